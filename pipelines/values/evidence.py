"""What is known of a candidate beside the version that it shall replace, as it is kept between two looks.

All of it is frozen, becomes JSON and comes back as the same: a rollout whose daemon was killed goes on with the
evidence it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pipelines.values.project import Rollout
from pipelines.values.seen import Answers, Outcomes


class Stream(StrEnum):
    """By what a candidate is compared with the stable version, each a test of its own."""

    FAILURES = "failures"
    """Requests whose first attempt failed at the version that was chosen."""
    SLOW = "slow"
    """Answers that took the host longer than the frozen threshold."""
    WRONG = "wrong"
    """Answers that a label, arriving later, shows to be wrong."""
    PAIRS = "pairs"
    """Requests that both versions answered, one of them wrongly."""
    SHIFT = "shift"
    """How far the answers' distribution lies from the stable version's."""


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a rollout is judged, frozen when it begins.

    Args:
        rollout: What the project file says.
        by_user: Whether users stay with their version: then a user is one trial, not a request.
        slow_ms: Above how many milliseconds inside the host an answer is slow; None when there is nothing to go by.
        settle_seconds: How long after the others of its time a failure may come to be known: as long as the gateway
            waits for a first attempt. Until then nothing is built on its absence.
    """

    rollout: Rollout = Rollout()
    by_user: bool = False
    slow_ms: float | None = None
    settle_seconds: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """The rules as JSON."""
        rollout = {**asdict(self.rollout), "steps": list(self.rollout.steps)}
        return {
            "rollout": rollout,
            "by_user": self.by_user,
            "slow_ms": self.slow_ms,
            "settle_seconds": self.settle_seconds,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        rollout = Rollout(**{**data["rollout"], "steps": tuple(data["rollout"]["steps"])})
        return cls(**{**data, "rollout": rollout})


@dataclass(frozen=True, slots=True)
class Wealth:
    """An e-process: what bettors against a hypothesis have made of a stake of 1 in all.

    Args:
        logs: The logarithm of each bettor's wealth; empty before the first event.
        peak: The highest logarithm that their mean ever had: evidence once reached stays reached.
        candidate: Events that were the candidate's.
        stable: Events that were the stable version's.
    """

    logs: tuple[float, ...] = ()
    peak: float = 0.0
    candidate: int = 0
    stable: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The e-process as JSON; numbers come back to the last bit."""
        return {**asdict(self), "logs": list(self.logs)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(**{**data, "logs": tuple(data["logs"])})


@dataclass(frozen=True, slots=True)
class Spread:
    """The e-process for a shift of the answers.

    Args:
        wealth: What the bettors have.
        candidate: The candidate's answers by kind, so far.
        stable: The stable version's.
        waiting: Answers since the last bet.
        excess: Sum over the bets of (difference - tolerated shift) * answers, these being counted harmonically.
        answers: Sum over the bets of the answers.
    """

    wealth: Wealth = Wealth()
    candidate: tuple[int, ...] = ()
    stable: tuple[int, ...] = ()
    waiting: Answers = Answers()
    excess: float = 0.0
    answers: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The e-process as JSON."""
        return {
            "wealth": self.wealth.as_dict(),
            "candidate": list(self.candidate),
            "stable": list(self.stable),
            "waiting": {"candidate": list(self.waiting.candidate), "stable": list(self.waiting.stable)},
            "excess": self.excess,
            "answers": self.answers,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            wealth=Wealth.from_dict(data["wealth"]),
            candidate=tuple(data["candidate"]),
            stable=tuple(data["stable"]),
            waiting=Answers(tuple(data["waiting"]["candidate"]), tuple(data["waiting"]["stable"])),
            excess=data["excess"],
            answers=data["answers"],
        )


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much of the traffic was judged, while both versions had a healthy host.

    Args:
        candidate: Requests for which the candidate was chosen.
        candidate_failures: Those that failed.
        stable: Requests for which the stable version was.
        stable_failures: Those that failed.
        seconds: For how long.
    """

    candidate: int = 0
    candidate_failures: int = 0
    stable: int = 0
    stable_failures: int = 0
    seconds: float = 0.0

    def __add__(self, other: Exposure) -> Exposure:
        return Exposure(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(Exposure)))


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What one look saw, as long as failures of that time may still come.

    Args:
        at: When, as `Trial.seconds`.
        successes: Of the candidate.
        failures: Those that count: the share they were routed with, how many were the candidate's, how many the stable
            version's.
    """

    at: float
    successes: int
    failures: tuple[tuple[float, int, int], ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`."""
        return cls(
            data["at"], data["successes"], tuple((share, ours, theirs) for share, ours, theirs in data["failures"])
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One rollout under judgement: all that a decision rests on.

    Args:
        rollout: Its id.
        candidate: The version under judgement.
        stable: The version it is compared with; empty when there is none, as during a bake without a holdback.
        kind: `canary` while the candidate has a share of the traffic, `bake` once it is promoted.
        share: The candidate's share, between 0 and 1.
        looked: When it was last looked at, UTC.
        seconds: For how long it has been watched; while nobody looked, or the clock jumped, no time went by.
        step: The traffic since the share last changed.
        total: The traffic since it began.
        failures, slow, wrong, pairs: The e-processes for harm.
        shift: The one for a shift of the answers.
        better: The e-process against "the candidate fails at least M times as often".
        sound: The e-process against "the candidate fails at least at the highest tolerated rate".
        broken: During a bake, the e-process against "the candidate fails at most at the rate `ceiling`".
        ceiling: That rate.
        unsettled: What was seen so lately that failures of its time may still come.
        users: Digests of users whose failure was counted.
        measured: Answers since the last bet on their time, by share.
        labelled: Labels since the last bet on them, by share.
        stop: The first reason seen for it to go at once.
    """

    rollout: str
    candidate: str
    stable: str
    kind: Literal["canary", "bake"]
    share: float
    looked: datetime
    seconds: float = 0.0
    step: Exposure = Exposure()
    total: Exposure = Exposure()
    failures: Wealth = Wealth()
    slow: Wealth = Wealth()
    wrong: Wealth = Wealth()
    pairs: Wealth = Wealth()
    shift: Spread = Spread()
    better: Wealth = Wealth()
    sound: Wealth = Wealth()
    broken: Wealth = Wealth()
    ceiling: float = 1.0
    unsettled: tuple[Unsettled, ...] = ()
    users: frozenset[str] = frozenset()
    measured: tuple[Outcomes, ...] = ()
    labelled: tuple[Outcomes, ...] = ()
    stop: str = ""

    def with_(self, **changes: Any) -> Trial:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """The trial as JSON; numbers come back to the last bit."""
        plain = {part.name: getattr(self, part.name) for part in fields(self)}
        nested = {name: getattr(self, name).as_dict() for name in (*_WEALTH, "shift")}
        counted = {name: asdict(getattr(self, name)) for name in ("step", "total")}
        waiting = {name: [asdict(one) for one in getattr(self, name)] for name in _WAITING}
        return {**plain, **nested, **counted, **waiting, "looked": self.looked.isoformat(), "users": sorted(self.users)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            **{
                **data,
                **{name: Wealth.from_dict(data[name]) for name in _WEALTH},
                **{name: Exposure(**data[name]) for name in ("step", "total")},
                **{name: tuple(Outcomes(**one) for one in data[name]) for name in ("measured", "labelled")},
                "shift": Spread.from_dict(data["shift"]),
                "unsettled": tuple(Unsettled.from_dict(one) for one in data["unsettled"]),
                "looked": datetime.fromisoformat(data["looked"]),
                "users": frozenset(data["users"]),
            }
        )


_WEALTH = ("failures", "slow", "wrong", "pairs", "better", "sound", "broken")
_WAITING = ("measured", "labelled", "unsettled")
