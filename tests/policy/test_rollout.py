"""What is decided about a candidate, look by look."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.policy.rollout import judge, replay
from pipelines.policy.trial import LONGEST_LOOK_SECONDS, baking, begin, moved
from pipelines.values import Rollout, Verdict
from pipelines.values.decisions import Decision, Move, Record
from pipelines.values.evidence import Rules, Trial
from pipelines.values.seen import Answers, Failure, Outcomes, Seen

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
RULES = Rules()
SETTLED = Seen()
"""A look at which nothing has happened: by then whatever failed before is known."""


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
    _, decision = watch(RULES, canary(), requests(60, 540, failures(6, 1)), SETTLED)
    assert (decision.move, decision.verdict, decision.share) == (Move.ROLLBACK, Verdict.FAIL, 0)
    assert "too many failures: 6 of digits@8 beside 1 of digits@7" in decision.reason
    streams = decision.evidence["streams"]
    assert streams["failures"]["e_value"] > streams["failures"]["threshold"] == pytest.approx(200)


@pytest.mark.parametrize("count", [500, 100_000])
def test_no_evidence_is_too_much(count: int) -> None:
    """After minutes in which nobody looked, under full load: what no number can hold rolls back all the same."""
    seen = replace(
        requests(10 * count, 90 * count, failures(count, 1)), slow=(Outcomes(0.1, count, count, 9 * count, 0),) * 3
    )
    trial, decision = watch(rules(on_shift="rollback"), canary(), seen, SETTLED)
    assert decision.move is Move.ROLLBACK
    assert "evidence beyond a million, 200 needed" in decision.reason
    assert json.loads(json.dumps(decision.evidence))["streams"]["failures"]["e_value"] > 1e100
    assert Trial.from_dict(json.loads(json.dumps(trial.as_dict()))) == trial


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
    assert 380 <= trial.total.candidate <= 420
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
    _, decision = watch(RULES, bake, requests(9000, 1000, failures(90, 1, share=0.9)), SETTLED)
    assert decision.move is Move.ROLLBACK
    _, decision = watch(RULES, bake, requests(9000, 1000, failures(90, 10, share=0.9)), SETTLED)
    assert decision.move is Move.HOLD


def test_what_may_still_be_answered_for_waits() -> None:
    """The candidate's failures count once those of the stable version from the same time must have come."""
    trial, decision = watch(RULES, canary(), requests(60, 540, failures(6, 0)), seconds=0.2)
    assert decision.move is Move.HOLD
    _, decision = watch(RULES, trial, SETTLED, SETTLED, seconds=0.2)
    assert decision.move is Move.HOLD
    _, decision = watch(RULES, trial, *(SETTLED,) * 6, seconds=0.2)
    assert decision.move is Move.ROLLBACK


def test_an_idle_canary_holds() -> None:
    """No traffic is no evidence: the share stays and nothing is promoted, and it is said that there is none."""
    trial, decision = watch(RULES, canary(), *(SETTLED,) * 60)
    assert (decision.move, decision.share) == (Move.HOLD, 10)
    assert "no traffic" in decision.reason
    assert trial.total.candidate == 0


def test_a_candidate_without_a_healthy_host_is_no_exposure() -> None:
    """Its share silently goes to the other version: what that answers well does not count for the candidate."""
    away = replace(requests(1000, 9000), candidate_ready=False)
    trial, decision = watch(RULES, canary(), *(away,) * 10)
    assert (decision.move, trial.total.candidate) == (Move.HOLD, 0)


def test_without_a_healthy_stable_version_nothing_is_decided() -> None:
    """There is nothing to compare with, and nowhere to go back to: harm waits, too."""
    seen = replace(requests(60, 0, failures(6, 0)), stable_ready=False)
    _, decision = watch(RULES, canary(), seen, seen)
    assert decision.move is Move.HOLD
    assert "nowhere to go back to" in decision.reason


def test_what_cannot_be_seen_proves_nothing() -> None:
    """However well it went before: it holds and says what is missing. Harm that is known already does not wait."""
    lost = Seen(missing="there is no log")
    proved, decision = watch(RULES, canary(), *(requests(50, 450),) * 10)
    assert decision.move is Move.RAMP
    _, decision = watch(RULES, proved, lost)
    assert (decision.move, decision.verdict) == (Move.HOLD, Verdict.INCONCLUSIVE)
    assert "cannot be judged: there is no log" in decision.reason
    _, decision = watch(RULES, canary(), requests(60, 540, failures(6, 1)), SETTLED, lost)
    assert decision.move is Move.ROLLBACK


def test_a_hard_stop_needs_no_statistics() -> None:
    """A dead process is reason enough, at once and for good."""
    trial, decision = watch(RULES, canary(), replace(requests(1, 9), stop="its process died"))
    assert decision.move is Move.ROLLBACK
    _, decision = watch(RULES, trial, SETTLED)
    assert decision.move is Move.ROLLBACK


def test_the_first_five_all_failed() -> None:
    """At a share of the traffic where five failures are no evidence yet."""
    _, decision = watch(RULES, canary(0.9), requests(5, 1, failures(5, 0, share=0.9)), SETTLED)
    assert decision.move is Move.ROLLBACK
    assert "failed at each of its first 5 requests" in decision.reason
    _, decision = watch(RULES, canary(0.9), requests(4, 1, failures(4, 0, share=0.9)), SETTLED)
    assert decision.move is Move.HOLD


def test_a_user_s_failure_counts_once() -> None:
    """Under sticky routing one unlucky user meets the same failure at every request."""
    by_user = replace(RULES, by_user=True)
    trial, decision = watch(by_user, canary(), *(requests(60, 540, failures(20, 1, user="anna")),) * 5, SETTLED)
    assert decision.move is not Move.ROLLBACK
    assert trial.failures.candidate == 1


def test_a_user_s_failure_counts_once_a_rollout_its_bake_included() -> None:
    """Who failed at the canary stays with it when it is promoted, and says nothing new; somebody else does."""
    by_user = replace(RULES, by_user=True)
    trial, _ = watch(by_user, canary(), requests(60, 540, failures(1, 0, user="anna")), SETTLED)
    bake = baking(by_user, trial, "r1", "digits@8", "digits@7", 0.9, START)
    bake, _ = watch(by_user, bake, requests(90, 10, failures(5, 0, share=0.9, user="anna")), SETTLED)
    assert bake.failures.candidate == 0
    bake, _ = watch(by_user, bake, requests(90, 10, failures(5, 0, share=0.9, user="bert")), SETTLED)
    assert bake.failures.candidate == 1


@pytest.mark.parametrize(
    ("on_inconclusive", "move"), [("hold", Move.HOLD), ("promote", Move.PROMOTE), ("abort", Move.ABORT)]
)
def test_the_deadline(on_inconclusive: str, move: Move) -> None:
    """What is undecided by then is held for a person, promoted as unproven, or called off without a verdict on it."""
    by = rules(on_inconclusive=on_inconclusive, deadline_minutes=5)
    _, decision = watch(by, canary(), *(requests(5, 45, failures(0, 1)),) * 20)
    assert decision.move is move
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "undecided after 5 min" in decision.reason
    if move is Move.PROMOTE:
        assert decision.proven is False
    if move is Move.HOLD:
        assert decision.asks


@pytest.mark.parametrize(("on_shift", "move"), [("hold", Move.HOLD), ("rollback", Move.ROLLBACK)])
def test_other_answers_are_a_person_s_to_judge(on_shift: str, move: Move) -> None:
    """A better model answers differently, too: only on request does that roll back."""
    seen = replace(requests(50, 450), answers=Answers((10, 40), (405, 45)))
    _, decision = watch(rules(on_shift=on_shift), canary(), *(seen,) * 20)
    assert decision.move is move
    assert "answers differently" in decision.reason


def test_equal_answers_are_no_shift() -> None:
    """However many there are."""
    seen = replace(requests(50, 450), answers=Answers((25, 25), (225, 225)))
    trial, _ = watch(rules(on_shift="rollback"), canary(), *(seen,) * 50)
    assert trial.shift.wealth.peak < 1


def test_slow_answers_roll_back() -> None:
    """Most of its answers over a threshold that a twentieth of the stable version's are over, for a while."""
    seen = replace(requests(50, 450), slow=(Outcomes(0.1, 50, 30, 450, 22),))
    _, decision = watch(rules(min_minutes=60), canary(), *(seen,) * 25)
    assert decision.move is Move.ROLLBACK
    assert "stretches of mostly slow answers" in decision.reason


def test_a_burst_of_slow_answers_is_one_event() -> None:
    """A process that waits for a core is late with all it has at hand: that happens to either version."""
    burst = replace(requests(500, 4500), slow=(Outcomes(0.1, 500, 500, 4500, 0),))
    quiet = replace(requests(500, 4500), slow=(Outcomes(0.1, 500, 25, 4500, 225),))
    trial, decision = watch(rules(min_minutes=600), canary(), *(burst, *(quiet,) * 20) * 5)
    assert decision.move is Move.HOLD
    assert trial.slow.candidate == 5


def test_few_answers_wait_until_they_tell_something() -> None:
    """Ten of each version make a stretch; before that even nine slow ones of nine say nothing."""
    few = replace(requests(3, 30), slow=(Outcomes(0.1, 3, 3, 30, 0),))
    trial, _ = watch(RULES, canary(), few, few, few)
    assert trial.slow.candidate == 0
    trial, _ = watch(RULES, trial, few)
    assert trial.slow.candidate == 1


def test_what_is_missing_is_said() -> None:
    """How many more requests, and how long that takes at the present rate."""
    _, decision = watch(RULES, canary(), *(requests(20, 180),) * 4)
    assert decision.needed is not None
    assert decision.needed.requests
    assert "more requests" in decision.reason
    assert "at the present rate" in decision.reason


def test_a_reason_ends_as_a_sentence_does() -> None:
    """Also where no traffic comes, or only time is missing."""
    _, idle = watch(RULES, canary(), requests(0, 0))
    assert idle.reason.endswith("more requests; there is no traffic at present")
    _, proved = watch(rules(steps=(10, 100)), canary(), *(requests(200, 1800),) * 4)
    assert (proved.verdict, proved.move) == (Verdict.PASS, Move.HOLD)
    assert proved.reason.endswith("min; less than a minute to go")


def test_a_clock_that_jumps_is_no_time_watched() -> None:
    """Neither forward nor back: a bake of ten minutes lasts ten minutes of watching."""
    bake = baking(RULES, None, "r1", "digits@8", "", 1.0, START)
    trial, decision = watch(RULES, bake, requests(100, 0), seconds=86_400.0)
    assert decision.move is Move.HOLD
    trial, decision = watch(RULES, trial, requests(100, 0), seconds=-7200.0)
    assert (decision.move, trial.seconds) == (Move.HOLD, LONGEST_LOOK_SECONDS)


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 200), st.integers(0, 4), st.integers(0, 4), st.booleans()),
        min_size=1,
        max_size=12,
    ),
    st.data(),
)
def test_a_restart_at_any_point_decides_the_same(
    looks: list[tuple[int, int, int, int, bool]], data: st.DataObject
) -> None:
    """The trial is written down after each look and read again by another process: all that follows is the same."""
    restart = data.draw(st.integers(0, len(looks) - 1))
    one = other = canary()
    for number, (ours, theirs, failed, their_failed, ready) in enumerate(looks):
        seen = Seen(
            candidate_ready=ready,
            candidate_requests=ours + failed,
            stable_requests=theirs + their_failed,
            failures=failures(failed, their_failed),
            answers=Answers((ours, failed), (theirs, their_failed)),
            slow=(Outcomes(0.1, ours, min(ours, failed), theirs, min(theirs, their_failed)),),
        )
        now = one.looked + timedelta(seconds=0.7)
        one, decided = judge(RULES, one, seen, now)
        other, also = judge(RULES, other, seen, now)
        assert (one, decided) == (other, also)
        if number == restart:
            other = Trial.from_dict(json.loads(json.dumps(other.as_dict())))
