"""What a version was validated with, told in counts, and what was found when later rows were held against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from pipelines.errors import BadInput

REFERENCE_NAME: Final = "turnout-reference.json"
"""The reference's file in a bento."""
REFERENCE_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """How a model is watched for drift.

    Args:
        is_on: Whether it is.
        window_rows: A window has at least so many rows.
        min_minutes: And a version has no more than one window in so many minutes.
        alpha: How often a window without drift may be found to have some, all features together.
        min_psi: A smaller population stability index is no drift, however sure it is.
    """

    is_on: bool = True
    window_rows: int = 500
    min_minutes: float = 1.0
    alpha: float = 0.01
    min_psi: float = 0.1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("window_rows", 50, 100_000),
            ("min_minutes", 0, 10080),
            ("alpha", 1e-6, 0.2),
            ("min_psi", 0, 10),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInput(f"drift.{name} is {value}", instead=f"it lies between {low} and {high}")


class FeatureKind(StrEnum):
    """What a feature's values are."""

    NUMBER = "number"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True)
class Bins:
    """How a feature's values are told apart, and how many rows of the reference are of each kind.

    Args:
        name: The feature's.
        kind: Numbers have an order.
        ends: Of numbers: the upper ends of all bins but the last, rising; a bin includes its upper end.
        low: Of numbers: the smallest.
        high: Of numbers: the largest.
        names: Of categories: their names.
        counts: Rows of the reference by bin; for numbers the last place counts missing values, for categories the last
            two count missing values and those of other names.
        rest: Rows of the reference that lie outside of what it has to compare with: beyond its smallest and largest
            number, of another name, or missing.
    """

    name: str
    kind: FeatureKind
    counts: tuple[int, ...]
    rest: int
    ends: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        more = len(self.ends) + 2 if self.kind is FeatureKind.NUMBER else len(self.names) + 2
        rising = all(a < b for a, b in zip(self.ends, self.ends[1:], strict=False))
        if len(self.counts) != more or min(self.counts) < 0 or not rising or self.rest < 0:
            raise BadInput(f"the bins of {self.name!r} do not fit together")

    @property
    def rows(self) -> int:
        """How many rows the reference has of it."""
        return sum(self.counts)

    def as_dict(self) -> dict[str, Any]:
        """The bins as JSON."""
        said: dict[str, Any] = {"name": self.name, "kind": self.kind.value, "counts": list(self.counts)}
        if self.kind is FeatureKind.NUMBER:
            return {**said, "rest": self.rest, "ends": list(self.ends), "low": self.low, "high": self.high}
        return {**said, "rest": self.rest, "names": list(self.names)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`.

        Raises:
            BadInput, KeyError, TypeError, ValueError: these are no bins.
        """
        return cls(
            name=str(data["name"]),
            kind=FeatureKind(data["kind"]),
            counts=tuple(int(one) for one in data["counts"]),
            rest=int(data["rest"]),
            ends=tuple(float(one) for one in data.get("ends", ())),
            low=float(data.get("low", 0.0)),
            high=float(data.get("high", 0.0)),
            names=tuple(str(one) for one in data.get("names", ())),
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """What the validation rows of a version look like, and what the version says of them.

    Args:
        inputs: The features of its rows.
        answers: What it says, and how sure it is.
        left_out: Why some part has no bins, in words.
    """

    inputs: tuple[Bins, ...] = ()
    answers: tuple[Bins, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[Bins, ...]:
        """All of them."""
        return self.inputs + self.answers

    @property
    def rows(self) -> int:
        """How many rows it stands on."""
        return max((bins.rows for bins in self.features), default=0)

    def as_dict(self) -> dict[str, Any]:
        """The reference as JSON."""
        return {
            "schema": REFERENCE_SCHEMA,
            "inputs": [bins.as_dict() for bins in self.inputs],
            "answers": [bins.as_dict() for bins in self.answers],
            "left_out": list(self.left_out),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """The inverse of `as_dict`.

        Raises:
            BadInput: it is none, or one that this Turnout does not know.
        """
        try:
            if data["schema"] != REFERENCE_SCHEMA:
                raise BadInput(f"it has the schema {data['schema']!r}", instead=f"this one reads {REFERENCE_SCHEMA}")
            return cls(
                tuple(Bins.from_dict(one) for one in data["inputs"]),
                tuple(Bins.from_dict(one) for one in data["answers"]),
                tuple(str(one) for one in data["left_out"]),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"it cannot be read: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Finding:
    """One feature of a window beside the reference.

    Args:
        feature: Its name.
        rows: Rows of the window that have it.
        psi: Population stability index, in nats.
        threshold: The index from which on it counts, at this number of rows.
        p: How often chance alone would differ as much, corrected for the number of features.
        moved: How far its values have moved, in standard deviations of a bell curve; None where they have no order.
        is_drift: Whether it has drifted.
    """

    feature: str
    rows: int
    psi: float
    threshold: float
    p: float
    moved: float | None
    is_drift: bool

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {
            "feature": self.feature,
            "rows": self.rows,
            "psi": self.psi,
            "threshold": self.threshold,
            "p": self.p,
            "moved": self.moved,
            "is_drift": self.is_drift,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class DriftWindow:
    """Rows that came one after another, beside the reference.

    Args:
        rows: How many.
        first: When the first of them was answered, UTC.
        last: When the last was.
        findings: All features, the highest index first.
    """

    rows: int
    first: datetime
    last: datetime
    findings: tuple[Finding, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the features that have drifted, the highest index first."""
        return tuple(one.feature for one in self.findings if one.is_drift)

    def as_dict(self) -> dict[str, Any]:
        """The window as JSON."""
        return {
            "rows": self.rows,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "drifted": list(self.drifted),
            "features": [one.as_dict() for one in self.findings],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            data["rows"],
            datetime.fromisoformat(data["first"]),
            datetime.fromisoformat(data["last"]),
            tuple(Finding.from_dict(one) for one in data["features"]),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """What the windows of a version so far come to.

    Args:
        last: Features that had drifted in the latest window.
        drifting: Features that have drifted in two windows in a row, until two in a row find nothing.
    """

    last: tuple[str, ...] = ()
    drifting: tuple[str, ...] = field(default=())
