"""Several trainings of one model with different parameters, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, Self


class RunStatus(StrEnum):
    """Where one run of a sweep stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether it has led to a version."""
        return self in (RunStatus.DONE, RunStatus.REUSED)


@dataclass(frozen=True, slots=True)
class SweepRun:
    """One combination of parameters.

    Args:
        number: From 1, in the order in which they were asked for.
        texts: The parameters that vary, as they were typed.
        status: Where it stands.
        ref: The version it led to; empty before that.
        value: The metric that is compared; None where it was not logged.
        seconds: How long it took; 0 for one that was reused.
        memory_mb: What its processes needed at most, 10^6 bytes; 0 where nobody has measured.
        says: What it is doing, or why it failed.
    """

    number: int
    texts: Mapping[str, str]
    status: RunStatus = RunStatus.WAITING
    ref: str = ""
    value: float | None = None
    seconds: float = 0.0
    memory_mb: float = 0.0
    says: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON."""
        return {
            "number": self.number,
            "parameters": dict(self.texts),
            "status": self.status.value,
            "ref": self.ref or None,
            "value": self.value,
            "seconds": self.seconds,
            "memory_mb": self.memory_mb,
            "says": self.says,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            data["number"],
            data["parameters"],
            RunStatus(data["status"]),
            data["ref"] or "",
            data["value"],
            data["seconds"],
            data["memory_mb"],
            data["says"],
        )


@dataclass(frozen=True, slots=True)
class Sweep:
    """All runs of a sweep.

    Args:
        model: The model.
        by: The metric that decides.
        better: Which way it improves.
        runs: The runs, by number.
    """

    model: str
    by: str
    better: Literal["higher", "lower"]
    runs: tuple[SweepRun, ...] = field(default=())

    def with_run(self, run: SweepRun) -> Sweep:
        """The same with one run changed."""
        return replace(self, runs=tuple(run if each.number == run.number else each for each in self.runs))

    def as_dict(self) -> dict[str, Any]:
        """The sweep as JSON."""
        return {
            "model": self.model,
            "by": self.by,
            "better": self.better,
            "runs": [run.as_dict() for run in self.runs],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        runs = tuple(SweepRun.from_dict(run) for run in data["runs"])
        return cls(data["model"], data["by"], data["better"], runs)
