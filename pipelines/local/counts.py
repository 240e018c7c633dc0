"""What hosts count of their judged answers, read and told apart from what was read before.

See `pipelines.serving.arms` for what they count: answers, how long they took, and what they say, by generation of the
split. A host counts from 0 when it is started, so counts belong to an instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.local.unix_http import ask
from pipelines.values import Bento, VersionRef, read_ref

_PATIENCE_SECONDS = 0.5

# As in `pipelines.serving.arms`, of which each bento carries its own copy.
_FIRST_SECONDS, _STEP, _BUCKETS = 1e-5, 1.1, 170


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Judged answers of one host under one split.

    Args:
        answered: How many; where users stay with their version, of so many users.
        seconds: How many took how long, by number of bucket.
        predictions: How many said what.
    """

    answered: int = 0
    seconds: Mapping[int, int] = field(default_factory=dict)
    predictions: Mapping[str, int] = field(default_factory=dict)

    def minus(self, before: ArmCounts) -> ArmCounts:
        """What came since `before`."""
        return ArmCounts(
            max(0, self.answered - before.answered),
            _difference(self.seconds, before.seconds),
            _difference(self.predictions, before.predictions),
        )

    def plus(self, other: ArmCounts) -> ArmCounts:
        """Both together."""
        return ArmCounts(
            self.answered + other.answered,
            _sum(self.seconds, other.seconds),
            _sum(self.predictions, other.predictions),
        )

    def slower(self, seconds: float) -> int:
        """How many took longer, counting those whose bucket lies above it as a whole."""
        return sum(count for place, count in self.seconds.items() if place and upper_bound(place - 1) >= seconds)

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {
            "answered": self.answered,
            "seconds": {str(place): count for place, count in self.seconds.items()},
            "predictions": dict(self.predictions),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ArmCounts:
        """The inverse of `as_dict`; what a host answers, too."""
        return cls(
            int(data["answered"]),
            {int(place): int(count) for place, count in data["seconds"].items()},
            {str(what): int(count) for what, count in data["predictions"].items()},
        )


@dataclass(frozen=True, slots=True)
class HostCounts:
    """All that one host process has counted.

    Args:
        ref: Its version.
        arms: By generation.
    """

    ref: VersionRef
    arms: Mapping[int, ArmCounts]

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {
            "ref": str(self.ref),
            "arms": {str(generation): arm.as_dict() for generation, arm in self.arms.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> HostCounts:
        """The inverse of `as_dict`."""
        return cls(read_ref(data["ref"]), _arms(data["arms"]))


def upper_bound(place: int) -> float:
    """The seconds up to which answers are counted in a bucket; infinite for the last one."""
    return _FIRST_SECONDS * _STEP**place if place < _BUCKETS else float("inf")


def quantile(counts: ArmCounts, share: float) -> float:
    """The seconds within which this share of the answers came, rounded up to a bucket's bound; infinite for none."""
    wanted, seen = share * sum(counts.seconds.values()), 0
    for place in sorted(counts.seconds):
        seen += counts.seconds[place]
        if seen >= wanted:
            return upper_bound(place)
    return float("inf")


def can_count(bento: Bento) -> bool:
    """Whether the bento's own copy of the host counts judged answers; asking another one would load its page."""
    return (Path(bento.sources) / "pipelines" / "serving" / "arms.py").is_file()


def ask_counts(ref: VersionRef, socket: Path) -> dict[str, HostCounts]:
    """What a host has counted, by its instance; empty when it does not answer, or not in this form."""
    try:
        said = ask(socket, "/arms", timeout=_PATIENCE_SECONDS).json()
        return {str(said["instance"]): HostCounts(ref, _arms(said["arms"]))}
    except (OSError, LookupError, TypeError, ValueError, AttributeError):
        return {}


def _arms(data: Mapping[str, Any]) -> dict[int, ArmCounts]:
    return {int(generation): ArmCounts.from_dict(arm) for generation, arm in data.items()}


def _sum(one: Mapping[Any, int], other: Mapping[Any, int]) -> dict[Any, int]:
    total = dict(one)
    for key, count in other.items():
        total[key] = total.get(key, 0) + count
    return total


def _difference(now: Mapping[Any, int], before: Mapping[Any, int]) -> dict[Any, int]:
    return {key: more for key, count in now.items() if (more := count - before.get(key, 0)) > 0}
