"""The judge of canaries, judged itself: simulated rollouts, seeded, many at once.

`python -m benchmarks.canary` runs more of them, and draws what docs/canary.md shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import pytest

from benchmarks.canary import judges, traffic
from benchmarks.canary.traffic import Traffic
from pipelines.policy.evidence import log_value, sounded
from pipelines.policy.needed import proof
from pipelines.policy.trial import begin, moved, observed
from pipelines.values.evidence import Rules, Wealth
from pipelines.values.seen import Failure, Seen

RUNS = 1000
LOOKS = 250
PER_LOOK = 100
ALPHA = 0.005
"""Of the comparison of failures, unless the project file says otherwise."""
SHARES = traffic.changing(LOOKS, 0.05, 0.5)
FEW_RUNS, FEW_LOOKS = 150, 60
"""Of the simulations by the very code that runs, which is slower."""
START = datetime(2026, 1, 31, tzinfo=UTC)
AT_ONCE = Rules(settle_seconds=0.0)
"""Where failures are known as soon as successes."""


def random() -> np.random.Generator:
    """The same luck at each run of the tests."""
    return np.random.default_rng(20260131)


def equal(rates: traffic.Rates, share: traffic.Rates = SHARES, runs: int = RUNS) -> Traffic:
    """Two versions that fail equally often."""
    return traffic.simulate(random(), runs, PER_LOOK, share, rates, rates)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.2])
@pytest.mark.parametrize("shares", [(0.05, 0.5), (0.1,), (0.5, 0.05)], ids=str)
def test_a_healthy_candidate_is_seldom_rolled_back(rate: float, shares: tuple[float, ...]) -> None:
    """At most alpha of the runs, looked at 250 times, whatever the rate is and also when the share changes mid-way."""
    found = judges.harm(equal(traffic.steady(rate, LOOKS), traffic.changing(LOOKS, *shares)), ALPHA)
    assert judges.share_of(found) <= judges.within(ALPHA, RUNS)


def test_bad_hours_are_not_the_candidate_s_fault() -> None:
    """A rate that swings by nine tenths, three times over the rollout."""
    found = judges.harm(equal(traffic.swinging(0.02, LOOKS)), ALPHA)
    assert judges.share_of(found) <= judges.within(ALPHA, RUNS)


def test_a_late_failure_is_judged_by_the_share_it_was_routed_with() -> None:
    """When the share falls soon from a half to a twentieth, failures of before still come.

    Judged by the new share they would roll healthy versions back.
    """
    share = np.where(np.arange(LOOKS) < 10, 0.5, 0.05)
    late = traffic.delayed(random(), equal(traffic.steady(0.02, LOOKS), share), 10)
    assert judges.share_of(judges.harm(late, ALPHA)) <= judges.within(ALPHA, RUNS)
    assert judges.share_of(judges.harm(traffic.judged_late(late), ALPHA)) > 4 * ALPHA


def test_users_who_stay_are_counted_once() -> None:
    """A few users fail nearly always and stay with their version: each of their failures counted would be evidence."""
    share = traffic.changing(60, 0.1, 0.25)

    def crowd(*, once: bool) -> Traffic:
        return traffic.clustered(random(), 400, 400, share, 0.02, 0.8, 0.002, once=once)

    assert judges.share_of(judges.harm(crowd(once=True), ALPHA)) <= judges.within(ALPHA, 400)
    assert judges.share_of(judges.harm(crowd(once=False), ALPHA)) > 10 * ALPHA


@pytest.mark.parametrize("shares", [(0.1,), (0.5,), (0.05, 0.5), (0.5, 0.05)], ids=str)
@pytest.mark.parametrize("stable", [0.005, 0.01, 0.2])
def test_a_candidate_at_the_edge_is_seldom_promoted(shares: tuple[float, ...], stable: float) -> None:
    """It fails just M times as often, the first time just at the highest tolerated rate: at most alpha of the runs
    prove it, also when the share changes mid-way.
    """
    at = traffic.simulate(
        random(),
        RUNS,
        PER_LOOK,
        traffic.changing(LOOKS, *shares),
        traffic.steady(stable, LOOKS),
        traffic.steady(2 * stable, LOOKS),
    )
    assert judges.share_of(judges.promotion(at, 0.05)) <= judges.within(0.05, RUNS)


def test_good_hours_prove_nothing_that_both_have() -> None:
    """Rates that swing by nine tenths, the candidate's always M times the stable version's."""
    stable = traffic.swinging(0.2, LOOKS)
    at = traffic.simulate(random(), RUNS, PER_LOOK, SHARES, stable, 2 * stable)
    assert judges.share_of(judges.promotion(at, 0.05)) <= judges.within(0.05, RUNS)


@pytest.mark.parametrize(("rate", "requests"), [(0.3, 108), (0.1, 433), (0.05, 1450), (0.03, 4500)])
def test_how_soon_harm_is_seen(rate: float, requests: int) -> None:
    """At a tenth of the traffic, beside a stable version that fails at 1 %: the median number, within a tenth."""
    per_look = max(2, requests // 60)
    looks = 400
    seen = traffic.simulate(
        random(), RUNS, per_look, traffic.steady(0.1, looks), traffic.steady(0.01, looks), traffic.steady(rate, looks)
    )
    found = judges.harm(seen, 0.01)
    until = np.where(found == judges.NEVER, looks * 10, found + 1) * per_look
    assert np.median(until) == pytest.approx(requests, rel=0.1)


def test_without_a_failure_a_few_hundred_requests_prove_it() -> None:
    """The absolute part alone: about 370 requests of the candidate."""
    count = next(
        count
        for count in range(1, 2000)
        if np.logaddexp(0.0, log_value(sounded(Wealth(), count, 0, 0.01))) - math.log(2) >= -math.log(0.05)
    )
    assert count == pytest.approx(370, rel=0.1)


@pytest.mark.parametrize(("share", "compared", "proved"), [(0.1, 10_800, 14_000), (0.5, 5400, 6600)])
def test_how_soon_an_equal_one_is_proved(share: float, compared: int, proved: int) -> None:
    """Both fail at 1 %: the median number of requests of both, by the comparison alone and with the absolute part.

    The absolute part costs a factor of two in evidence, and is what proves a candidate that hardly fails.
    """
    looks, per_look = 500, 100
    both = traffic.steady(0.01, looks)
    seen = traffic.simulate(random(), RUNS, per_look, traffic.steady(share, looks), both, both)
    for found, requests in ((judges.better(seen, 0.05), compared), (judges.promotion(seen, 0.05), proved)):
        until = np.where(found == judges.NEVER, looks * 10, found + 1) * per_look
        assert np.median(until) == pytest.approx(requests, rel=0.1)


def test_a_failover_to_a_healthy_candidate_is_not_its_fault() -> None:
    """While the stable version is out of rotation its requests go to the candidate, whose failures then are more.

    Taken for its share's, they would roll back most healthy versions.
    """
    assert failing_over("stable", 0.02, 0.02).harmed <= judges.within(ALPHA, FEW_RUNS)
    assert failing_over("stable", 0.02, 0.02, is_told=False).harmed > 0.5


def test_a_candidate_that_is_away_is_not_proved_by_the_other() -> None:
    """While the candidate is out of rotation its requests go to the stable version, whose failures then are more.

    Taken for a share that the candidate did not fail at, they would promote one that fails M times as often.
    """
    assert failing_over("candidate", 0.04, 0.02).proved <= judges.within(0.05, FEW_RUNS)
    assert failing_over("candidate", 0.04, 0.02, is_told=False).proved > 0.5


def test_failures_that_are_known_late_prove_nothing_before() -> None:
    """A candidate at the edge, whose failures are time-outs: known three looks after its successes.

    Without the waiting the successes of three looks would be there, and none of their failures.
    """
    assert timing_out(settle_seconds=3.0) <= judges.within(0.05, FEW_RUNS)
    assert timing_out(settle_seconds=0.0) > 0.5


@dataclass(frozen=True)
class Ended:
    """How many of the rollouts had evidence of harm, and how many were proved, at any look."""

    harmed: float
    proved: float


def failing_over(
    away: Literal["candidate", "stable"], candidate: float, stable: float, *, is_told: bool = True
) -> Ended:
    """Rollouts at a quarter of the traffic, one of whose versions is out of rotation at six looks of ten.

    Args:
        away: Which one.
        candidate: How often the candidate fails.
        stable: How often the stable version does.
        is_told: Whether the judge knows that it is away.
    """
    dice, share = random(), 0.25
    ends = []
    for _ in range(FEW_RUNS):
        trial, most = begin("r1", "digits@8", "digits@7", share, START), 0.0
        for _ in range(FEW_LOOKS):
            is_out = dice.random() < 0.6
            ours = int(dice.binomial(PER_LOOK, share)) if not is_out else PER_LOOK * (away == "stable")
            failed = int(dice.binomial(ours, candidate)), int(dice.binomial(PER_LOOK - ours, stable))
            seen = Seen(
                candidate_ready=not (is_told and is_out and away == "candidate"),
                stable_ready=not (is_told and is_out and away == "stable"),
                candidate_requests=ours,
                stable_requests=PER_LOOK - ours,
                failures=_failures(share, *failed),
            )
            trial = observed(AT_ONCE, trial, seen, trial.looked + timedelta(seconds=1))
            most = max(most, proof(trial))
        ends.append((trial.failures.peak >= -math.log(ALPHA), most >= -math.log(0.05)))
    harmed, proved = np.mean(ends, axis=0)
    return Ended(float(harmed), float(proved))


def timing_out(settle_seconds: float) -> float:
    """How many rollouts at half the traffic are proved whose candidate fails at 1 % beside 0.5 %, and tells it late."""
    dice, share, late, proved = random(), 0.5, 3, 0
    rules = Rules(settle_seconds=settle_seconds)
    for _ in range(FEW_RUNS):
        trial, most = begin("r1", "digits@8", "digits@7", share, START), 0.0
        ours = dice.binomial(10 * PER_LOOK, share, FEW_LOOKS)
        failed = dice.binomial(ours, 0.01)
        known = np.concatenate([np.zeros(late, dtype=int), failed[:-late]])
        refused = dice.binomial(10 * PER_LOOK - ours, 0.005)
        for mine, timed_out, told, theirs in zip(ours, failed, known, refused, strict=True):
            answered = int(mine) - int(timed_out)
            seen = Seen(
                candidate_requests=answered + int(told),
                stable_requests=10 * PER_LOOK - int(mine),
                failures=_failures(share, int(told), int(theirs)),
            )
            trial = observed(rules, trial, seen, trial.looked + timedelta(seconds=1))
            most = max(most, proof(trial))
        proved += most >= -math.log(0.05)
    return proved / FEW_RUNS


def test_what_is_simulated_is_what_runs() -> None:
    """The daemon's code, look by look, comes to the very e-values of the code that judges many rollouts at once."""
    share = traffic.changing(40, 0.1, 0.25)
    seen = traffic.simulate(random(), 3, 50, share, traffic.steady(0.03, 40), traffic.steady(0.08, 40))
    harm, promotion = judges.log_harm(seen), judges.log_promotion(seen)
    for run in range(3):
        trial = begin("r1", "digits@8", "digits@7", float(share[0]), START)
        for look in range(40):
            trial = moved(trial, float(share[look]), trial.looked)
            trial = observed(AT_ONCE, trial, _seen(seen, run, look), trial.looked + timedelta(seconds=1))
        trial = observed(AT_ONCE, trial, Seen(), trial.looked + timedelta(seconds=1))
        assert log_value(trial.failures) == pytest.approx(harm[run, -1])
        assert proof(trial) == pytest.approx(promotion[run, -1])


def _seen(simulated: Traffic, run: int, look: int) -> Seen:
    share = float(simulated.share[look])
    failed = simulated.failures[share]
    ours, theirs = int(failed.candidate[run, look]), int(failed.stable[run, look])
    return Seen(
        candidate_requests=int(simulated.candidate[run, look]),
        stable_requests=int(simulated.stable[run, look]),
        failures=_failures(share, ours, theirs),
    )


def _failures(share: float, candidate: int, stable: int) -> tuple[Failure, ...]:
    return (Failure(True, share),) * candidate + (Failure(False, share),) * stable
