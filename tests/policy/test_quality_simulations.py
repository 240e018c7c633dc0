"""The comparisons beside that of failures, simulated: answers that shift, are wrong, or are slow for a while.

Each by the very code that runs, at the edge of what is tolerated; and once beyond it, so that it is seen to see.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.canary import judges
from pipelines.policy.trial import begin, observed
from pipelines.values import Rollout
from pipelines.values.evidence import Rules, Trial, Wealth
from pipelines.values.seen import Answers, Outcomes, Seen

RUNS, LOOKS = 200, 60
ALPHA = 0.05
"""More than is allowed to any of them, so that few runs tell."""
SHARE, OURS, THEIRS = 0.1, 20, 180
Dice = np.random.Generator


def found(
    see: Callable[[Dice, int], Seen], wealth: Callable[[Trial], Wealth], rules: Rules | None = None, runs: int = RUNS
) -> float:
    """How many of the rollouts had so much evidence at any look.

    Args:
        see: What is seen at a look, by its number.
        wealth: The comparison.
        rules: By what it is judged.
        runs: How many rollouts.
    """
    dice, reached = np.random.default_rng(20260131), 0
    for _ in range(runs):
        trial = begin("r1", "digits@8", "digits@7", SHARE, datetime(2026, 1, 31, tzinfo=UTC))
        for look in range(LOOKS):
            trial = observed(rules or Rules(), trial, see(dice, look), trial.looked + timedelta(seconds=1))
        reached += wealth(trial).peak >= -math.log(ALPHA)
    return reached / runs


def answers(dice: Dice, look: int) -> Seen:
    """Of four kinds, a tenth of which the candidate gives otherwise: the total variation that is tolerated."""
    del look
    ours = dice.multinomial(OURS, [0.35, 0.25, 0.25, 0.15])
    theirs = dice.multinomial(THEIRS, [0.25, 0.25, 0.25, 0.25])
    return Seen(answers=Answers(tuple(map(int, ours)), tuple(map(int, theirs))))


def test_a_shift_that_is_tolerated_is_seldom_found() -> None:
    """The kinds that are bet on were chosen by earlier answers; the same shift is found where less is tolerated."""
    assert found(answers, lambda trial: trial.shift.wealth) <= judges.within(ALPHA, RUNS)
    strict = Rules(Rollout(max_shift=0.01))
    assert found(answers, lambda trial: trial.shift.wealth, strict, runs=40) > 0.5


def labels(rate: float) -> Callable[[Dice, int], Seen]:
    """Labels of both versions' answers, in hours of which some are hard; the candidate's rate as a multiple."""

    def see(dice: Dice, look: int) -> Seen:
        hour = 0.3 * (1.0 + 0.9 * math.sin(look / 5.0))
        # Whose answers are labelled has nothing to do with the split.
        ours, theirs = int(dice.integers(0, 30)), int(dice.integers(0, 60))
        wrong = int(dice.binomial(ours, min(1.0, rate * hour))), int(dice.binomial(theirs, hour))
        return Seen(labelled=(Outcomes(SHARE, ours, wrong[0], theirs, wrong[1]),))

    return see


def test_equally_wrong_answers_are_seldom_evidence() -> None:
    """Whatever share of them is labelled, and however hard the hour is; half as many again are found."""
    assert found(labels(1.0), lambda trial: trial.wrong) <= judges.within(ALPHA, RUNS)
    assert found(labels(1.5), lambda trial: trial.wrong, runs=40) > 0.5


def bursts(rate: float) -> Callable[[Dice, int], Seen]:
    """Stretches in which most answers are slow come to the stable version at a twentieth of the looks."""

    def see(dice: Dice, look: int) -> Seen:
        del look
        ours, theirs = dice.random() < rate, dice.random() < 0.05
        slow = Outcomes(SHARE, OURS, 16 if ours else 1, THEIRS, 120 if theirs else 9)
        return Seen(slow=(slow,))

    return see


def test_bursts_of_slow_answers_are_seldom_evidence() -> None:
    """Just as much more often as is tolerated, twice; eight times as often is found."""
    assert found(bursts(0.095), lambda trial: trial.slow) <= judges.within(ALPHA, RUNS)
    assert found(bursts(0.4), lambda trial: trial.slow, runs=40) > 0.5


def test_pairs_that_are_even_are_seldom_evidence() -> None:
    """Of what both answered each alone is wrong as often; three times as often is found."""

    def pairs(chance: float) -> Callable[[Dice, int], Seen]:
        def see(dice: Dice, look: int) -> Seen:
            del look
            apart = int(dice.poisson(2.0))
            ours = int(dice.binomial(apart, chance))
            return Seen(pairs=(ours, apart - ours))

        return see

    assert found(pairs(0.5), lambda trial: trial.pairs) <= judges.within(ALPHA, RUNS)
    assert found(pairs(0.75), lambda trial: trial.pairs, runs=40) > 0.5
