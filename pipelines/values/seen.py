"""What is seen of a rollout between two looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from pipelines.errors import BadInput


@dataclass(frozen=True, slots=True)
class Failure:
    """A judged request that failed at the version chosen for it.

    Args:
        is_candidate: Whether that was the candidate.
        share: The candidate's share of the traffic when the request was routed, between 0 and 1.
        user: What keeps the user with a version; empty without.
    """

    is_candidate: bool
    share: float
    user: str = ""

    def __post_init__(self) -> None:
        _check_share(self.share)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many of both versions' answers had a fault: were slow, or wrong.

    Args:
        share: The candidate's share of the traffic when these requests were routed. Those of different shares are never
            counted together: a bad hour at one share would look like a bad candidate.
        candidate: The candidate's answers.
        candidate_faults: Those of them with the fault.
        stable: The stable version's answers.
        stable_faults: Those of them with the fault.
    """

    share: float
    candidate: int = 0
    candidate_faults: int = 0
    stable: int = 0
    stable_faults: int = 0

    def __post_init__(self) -> None:
        _check_share(self.share)
        if not (0 <= self.candidate_faults <= self.candidate and 0 <= self.stable_faults <= self.stable):
            raise BadInput(f"{self} cannot be", instead="each version has at most as many faults as answers")

    def plus(self, other: Outcomes) -> Outcomes:
        """Both together; they have the same share."""
        return Outcomes(
            self.share,
            self.candidate + other.candidate,
            self.candidate_faults + other.candidate_faults,
            self.stable + other.stable,
            self.stable_faults + other.stable_faults,
        )


@dataclass(frozen=True, slots=True)
class Answers:
    """How often each kind of answer was given in one stretch of time.

    A kind is a class, or a bin of a number: the same kinds in the same order for both versions throughout a rollout.

    Args:
        candidate: The candidate's answers by kind.
        stable: The stable version's.
    """

    candidate: tuple[int, ...] = ()
    stable: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.candidate) != len(self.stable) or min((*self.candidate, *self.stable), default=0) < 0:
            raise BadInput(f"{self} cannot be", instead="both versions have a count from 0 for each kind of answer")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen since the last look.

    Requests and failures are those that ended between the same two moments: successes told before the failures of their
    time would look like a good version, failures before their successes like a bad one.

    Args:
        candidate_ready: Whether the candidate had a healthy host all the while.
        stable_ready: Whether the stable version had.
        candidate_requests: Judged requests for which the candidate was chosen.
        stable_requests: Those for which the stable version was.
        candidate_users: Where users stay with their version: users that came to the candidate for the first time in
            this rollout. 0 when that is not known; then the candidate can be proved only by comparison.
        failures: Those of the requests that failed.
        slow: Answers, and those over the threshold.
        labelled: Labels that came in for answers of judged requests, and those that show the answer to be wrong. Where
            users stay with their version, one a user.
        pairs: Of the labelled requests that both versions answered: how often the candidate alone was wrong, and how
            often the stable version alone.
        answers: By kind, all routed at the present share. Where users stay with their version, one a user.
        stop: Why the candidate must go at once: its process died, or it was taken out of rotation. Empty when there is
            no such reason.
        missing: What could not be seen, in words: then nothing is counted, and nothing is proved. Empty otherwise.
    """

    candidate_ready: bool = True
    stable_ready: bool = True
    candidate_requests: int = 0
    stable_requests: int = 0
    candidate_users: int = 0
    failures: tuple[Failure, ...] = ()
    slow: tuple[Outcomes, ...] = ()
    labelled: tuple[Outcomes, ...] = ()
    pairs: tuple[int, int] = (0, 0)
    answers: Answers = Answers()
    stop: str = ""
    missing: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What was seen, as JSON."""
        return {
            **asdict(self),
            "failures": [[failure.is_candidate, failure.share, failure.user] for failure in self.failures],
            "slow": [asdict(outcomes) for outcomes in self.slow],
            "labelled": [asdict(outcomes) for outcomes in self.labelled],
            "pairs": list(self.pairs),
            "answers": {"candidate": list(self.answers.candidate), "stable": list(self.answers.stable)},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        only, other = data["pairs"]
        return cls(
            **{
                **data,
                "failures": tuple(Failure(*failure) for failure in data["failures"]),
                "slow": tuple(Outcomes(**outcomes) for outcomes in data["slow"]),
                "labelled": tuple(Outcomes(**outcomes) for outcomes in data["labelled"]),
                "pairs": (only, other),
                "answers": Answers(tuple(data["answers"]["candidate"]), tuple(data["answers"]["stable"])),
            }
        )


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise BadInput(f"a share is {share}", instead="it lies between 0 and 1")
