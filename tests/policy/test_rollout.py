"""What is decided about a candidate, look by look."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.policy.rollout import judge, replay
from pipelines.policy.trial import LONGEST_LOOK_SECONDS, baking, begin, moved
from pipelines.values import Rollout, Verdict
from pipelines.values.decisions import Decision, Move, Record
from pipelines.values.evidence import Rules, Trial
from pipelines.values.seen import Answers, Failure, Outcomes, Seen

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
RULES = Rules()


def rules(**changes: object) -> Rules:
    """The defaults, with some keys of the project file changed."""
    return Rules(replace(Rollout(), **changes))  # type: ignore[arg-type]


def canary(share: float = 0.1) -> Trial:
    """A rollout that begins."""
    return begin("r1", "digits@8", "digits@7", share, START)


def failures(candidate: int, stable: int, share: float = 0.1, user: str = "") -> tuple[Failure, ...]:
    """So many failures of each."""
    return (Failure(True, share, user),) * candidate + (Failure(False, share, user),) * stable


def requests(candidate: int, stable: int, failed: tuple[Failure, ...] = ()) -> Seen:
    """So many requests of each."""
    return Seen(candidate_requests=candidate, stable_requests=stable, failures=failed)


def watch(by: Rules, trial: Trial, *seen: Seen, seconds: float = 20.0) -> tuple[Trial, Decision]:
    """Look at each of `seen`, so many seconds apart."""
    assert seen
    for one in seen:
        trial, decision = judge(by, trial, one, trial.looked + timedelta(seconds=seconds))
    return trial, decision


def test_harm_rolls_back_with_its_evidence() -> None:
    """Six failures of the candidate beside one of the stable version, at a tenth of the traffic, are evidence."""
    _, decision = watch(RULES, canary(), requests(60, 540, failures(6, 1)))
    assert (decision.move, decision.verdict, decision.share) == (Move.ROLLBACK, Verdict.FAIL, 0)
    assert "too many failures: 6 of digits@8 beside 1 of digits@7" in decision.reason
    streams = decision.evidence["streams"]
    assert streams["failures"]["e_value"] > streams["failures"]["threshold"] == pytest.approx(200)


def test_a_candidate_without_failures_climbs_the_steps_and_is_promoted() -> None:
    """It gets each step's share once the step has had its requests and minutes, and the rest once it is proved."""
    trial, moves = canary(), []
    for _ in range(60):
        share = round(trial.share * 100)
        trial, decision = watch(RULES, trial, requests(4 * share // 10, 4 * (100 - share) // 10))
        if decision.move is not Move.HOLD:
            moves.append((decision.move, decision.share, decision.verdict))
            trial = moved(trial, decision.share / 100, trial.looked)
        if decision.move is Move.PROMOTE:
            break
    assert moves == [
        (Move.RAMP, 25, Verdict.INCONCLUSIVE),
        (Move.RAMP, 50, Verdict.INCONCLUSIVE),
        (Move.PROMOTE, 100, Verdict.PASS),
    ]
    assert 380 <= trial.total.candidate <= 400
    assert "proved to fail less than 2 times as often, or at less than 1.00%" in decision.reason


def test_a_recorded_look_gives_its_decision_again() -> None:
    """What the record holds, through JSON and back, leads to the very decision it holds."""
    seen = Seen(
        candidate_requests=60,
        stable_requests=540,
        failures=failures(6, 1),
        slow=(Outcomes(0.1, 60, 3, 540, 20),),
        labelled=(Outcomes(0.1, 2, 1, 3, 1),),
        pairs=(3, 1),
        answers=Answers((30, 30), (270, 270)),
    )
    before, _ = watch(RULES, canary(), seen, requests(10, 90, failures(0, 3)))
    now = before.looked + timedelta(seconds=LONGEST_LOOK_SECONDS)
    _, decision = judge(RULES, before, seen, now)
    record = Record(RULES, before, seen, now, decision)
    kept = Record.from_dict(json.loads(json.dumps(record.as_dict())))
    assert kept == record
    assert replay(kept) == decision


def test_a_late_harm_is_found_by_the_holdback() -> None:
    """After the promotion the version that keeps a tenth is what the candidate is compared with."""
    bake = baking(RULES, None, "r1", "digits@8", "digits@7", 0.9, START)
    _, decision = watch(RULES, bake, requests(9000, 1000, failures(90, 1, share=0.9)))
    assert decision.move is Move.ROLLBACK
    _, decision = watch(RULES, bake, requests(9000, 1000, failures(90, 10, share=0.9)))
    assert decision.move is Move.HOLD
