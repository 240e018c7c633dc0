"""What is decided about a rollout, on what grounds, and the record from which it can be decided again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pipelines.values.evidence import Rules, Trial
from pipelines.values.gates import Verdict
from pipelines.values.seen import Seen


class Move(StrEnum):
    """What to do with a rollout."""

    HOLD = "hold"
    """Leave the traffic as it is."""
    RAMP = "ramp"
    """Give the candidate the next step's share."""
    PROMOTE = "promote"
    """Give it the traffic, and let it bake."""
    FINISH = "finish"
    """The bake is over: it is the champion."""
    ROLLBACK = "rollback"
    """Back to the stable version; the candidate is quarantined."""
    ABORT = "abort"
    """Back to the stable version, without a verdict on the candidate."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What is still missing until a candidate can be promoted, if all goes on as it went.

    Args:
        requests: Of both versions together; None when no number of them would do.
        minutes: At the present rate, or because a step lasts that long; None when it cannot be told.
    """

    requests: int | None = 0
    minutes: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and on what grounds.

    Args:
        move: What to do.
        verdict: What the evidence says of the candidate.
        reason: In a sentence.
        share: The share of the traffic, in percent, that the candidate shall have then.
        asks: Whether a person has to decide.
        proven: False for a promotion at the deadline that nothing but the project file asked for.
        needed: What is missing; only while it is inconclusive.
        evidence: The numbers, JSON-ready.
    """

    move: Move
    verdict: Verdict
    reason: str
    share: int
    asks: bool = False
    proven: bool = True
    needed: Needed | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The decision as JSON."""
        return {**asdict(self), "move": self.move.value, "verdict": self.verdict.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        needed = Needed(**data["needed"]) if data["needed"] else None
        return cls(**{**data, "move": Move(data["move"]), "verdict": Verdict(data["verdict"]), "needed": needed})


@dataclass(frozen=True, slots=True)
class Record:
    """One look at a rollout, from which its decision can be found again.

    Args:
        rules: By what was judged.
        before: What was known.
        seen: What came to it.
        now: When, UTC.
        decision: What was decided.
    """

    rules: Rules
    before: Trial
    seen: Seen
    now: datetime
    decision: Decision

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON."""
        return {
            "rules": self.rules.as_dict(),
            "before": self.before.as_dict(),
            "seen": self.seen.as_dict(),
            "now": self.now.isoformat(),
            "decision": self.decision.as_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            rules=Rules.from_dict(data["rules"]),
            before=Trial.from_dict(data["before"]),
            seen=Seen.from_dict(data["seen"]),
            now=datetime.fromisoformat(data["now"]),
            decision=Decision.from_dict(data["decision"]),
        )
