"""Requests and answers that are kept for later: which ones, how much of them, and what is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from zlib import crc32

from pipelines.errors import BadInput
from pipelines.values.refs import VersionRef

_WHOLE = 2**32


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What is kept of a model's requests and answers.

    Args:
        rate: The share of the requests, 0 to 1; 0 keeps nothing.
        leave_out: Fields, of the rows or the answers, that are not kept.
        hash: Fields of which only a keyed hash is kept: equal values can be told to be equal, and nothing else.
        max_mb: The most that all versions of the model together keep on the disk, 10^6 bytes.
        max_days: What is older is removed.
    """

    rate: float = 0.1
    leave_out: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    max_mb: float = 256.0
    max_days: float = 14.0

    def __post_init__(self) -> None:
        for name, low, high in (("rate", 0, 1), ("max_mb", 1, 10**6), ("max_days", 0.01, 3650)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInput(f"capture.{name} is {value}", instead=f"it lies between {low} and {high}")
        both = sorted(set(self.leave_out) & set(self.hash))
        if both:
            raise BadInput(
                f"capture.leave_out and capture.hash both name {both[0]}", instead="a field is in one of them at most"
            )

    @property
    def threshold(self) -> int:
        """A request is kept when the CRC-32 of its id is below this: every version keeps the same requests."""
        return round(self.rate * _WHOLE)

    def keeps(self, request_id: str) -> bool:
        """Whether the request of this id is among those that are kept."""
        return crc32(request_id.encode()) < self.threshold

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON."""
        return {
            "rate": self.rate,
            "leave_out": list(self.leave_out),
            "hash": list(self.hash),
            "max_mb": self.max_mb,
            "max_days": self.max_days,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`; what is not known is left aside.

        Raises:
            BadInput: a value is none of its kind.
        """
        try:
            return cls(
                rate=float(data["rate"]),
                leave_out=tuple(map(str, data["leave_out"])),
                hash=tuple(map(str, data["hash"])),
                max_mb=float(data["max_mb"]),
                max_days=float(data["max_days"]),
            )
        except (KeyError, TypeError) as error:
            raise BadInput(f"these are no settings of a capture: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Captured:
    """One request and its answer, as a version's host kept them.

    Args:
        id: The gateway's own id of the request; the copy that a shadow got has the same.
        request_id: The client's id, or one made for it.
        at: When it was answered, UTC.
        version: Who answered.
        chosen: Whose turn it was; None where the request was not judged. Of a copy for a shadow it is the live version,
            and so it is where this version answered in that one's place.
        generation: Of the split it was routed by; None where it was not judged.
        user: Equal for the requests of one user within a rollout, where users stay with a version.
        inputs: Its rows as they were sent; None where they are left out.
        outputs: One a row; None where they are left out.
    """

    id: str
    request_id: str
    at: datetime
    version: VersionRef
    chosen: VersionRef | None = None
    generation: int | None = None
    user: str = ""
    inputs: list[Any] | None = None
    outputs: list[Any] | None = None

    @property
    def rows(self) -> int:
        """How many rows it had, as far as that was kept."""
        return max(len(self.inputs or ()), len(self.outputs or ()))


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """One judged request whose truth has become known, as a trial of the version whose turn it was.

    Args:
        number: Counts up in the order in which labels found their answers; never given twice.
        request_id: The gateway's id of the request.
        version: Who answered.
        generation: Of the split the request was routed by.
        is_wrong: Whether its class differs from the truth.
    """

    number: int
    request_id: str
    version: VersionRef
    generation: int
    is_wrong: bool
