"""Gates as the project file states them, and reports of what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

from pipelines.errors import BadInput
from pipelines.values.refs import VersionRef, VersionSpec


class Verdict(StrEnum):
    """What a check, or all of them together, say."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound on one metric; both ends belong to the allowed range."""

    metric: str
    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        given = [bound for bound in (self.min, self.max) if bound is not None]
        if not given:
            raise BadInput(f"the gate {self.metric} has no bound", instead="it takes min, max or both")
        if not all(math.isfinite(bound) for bound in given):
            raise BadInput(
                f"the gate {self.metric} has a bound that is not finite", instead="bounds are finite numbers"
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise BadInput(
                f"the gate {self.metric} has min {self.min} above max {self.max}", instead="min is at most max"
            )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Not worse than the champion by more than a margin, on the same held-out rows.

    Args:
        metric: The metric's name, without `_vs_champion`.
        margin: The loss that is still tolerated, >= 0, in the metric's unit.
        confidence: Of the two-sided interval of the difference, between 0.5 and 1.
        better: Which direction is an improvement; None where Turnout knows the metric.
    """

    metric: str
    margin: float
    confidence: float = 0.95
    better: Literal["higher", "lower"] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.margin) and self.margin >= 0):
            raise BadInput(f"the margin of {self.metric}_vs_champion is {self.margin}", instead="it is 0 or more")
        if not 0.5 <= self.confidence < 1:
            raise BadInput(
                f"the confidence of {self.metric}_vs_champion is {self.confidence}",
                instead="it is at least 0.5 and below 1, such as 0.95",
            )


@dataclass(frozen=True, slots=True)
class ServingGates:
    """Upper bounds on the packaged bento, None where there is none.

    Args:
        latency_p95_ms: 95th percentile of one-row requests, in milliseconds.
        start_seconds: From the start of the process to the first answer, in seconds.
        memory_mb: Resident memory after the requests, in megabytes (10^6 bytes).
    """

    latency_p95_ms: float | None = None
    start_seconds: float | None = None
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        for name in ("latency_p95_ms", "start_seconds", "memory_mb"):
            bound = getattr(self, name)
            if bound is not None and not (math.isfinite(bound) and bound > 0):
                raise BadInput(f"gates.serving.{name} is {bound}", instead="it is a number above 0")


@dataclass(frozen=True, slots=True)
class Gates:
    """All gates of a model."""

    thresholds: tuple[Threshold, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    serving: ServingGates = ServingGates()


@dataclass(frozen=True, slots=True)
class Check:
    """One judged gate.

    Args:
        name: The gate's name in the project file, or a built-in one.
        verdict: What came out.
        observed: The number seen; None when there was none to see.
        required: What was asked, in words: `>= 0.95`.
        evidence: What the verdict rests on: intervals, counts, p-values; JSON-ready.
        note: A sentence for a person where the numbers need one.
    """

    name: str
    verdict: Verdict
    observed: float | None
    required: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The check as JSON; numbers that are not finite become null."""
        seen = self.observed if self.observed is not None and math.isfinite(self.observed) else None
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "observed": seen,
            "required": self.required,
            "evidence": dict(self.evidence),
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            name=data["name"],
            verdict=Verdict(data["verdict"]),
            observed=data["observed"],
            required=data["required"],
            evidence=data["evidence"],
            note=data["note"],
        )


@dataclass(frozen=True, slots=True)
class GateReport:
    """The checks of one version.

    The whole fails when one check fails, and is inconclusive when none fails and one is inconclusive.
    """

    ref: VersionRef
    checks: tuple[Check, ...]
    champion: VersionRef | None = None
    """The version it was compared with."""

    @property
    def verdict(self) -> Verdict:
        """The verdict of all checks together."""
        verdicts = {check.verdict for check in self.checks}
        for worst in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            if worst in verdicts:
                return worst
        return Verdict.PASS

    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if check.verdict is not Verdict.PASS)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "ref": str(self.ref),
            "champion": str(self.champion) if self.champion else None,
            "verdict": self.verdict.value,
            "checks": [check.as_dict() for check in self.checks],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            ref=_ref(data["ref"]),
            checks=tuple(Check.from_dict(check) for check in data["checks"]),
            champion=_ref(data["champion"]) if data["champion"] else None,
        )


def _ref(text: str) -> VersionRef:
    spec = VersionSpec.parse(text)
    if not isinstance(spec.which, int):
        raise BadInput(f"{text!r} is an alias", instead="a report names versions by number")
    return VersionRef(spec.model, spec.which)
