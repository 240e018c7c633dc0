"""Evidence that two versions answer more differently than is tolerated, as total variation.

The kinds of answers that the candidate has given more often so far are bet on together. With n and m answers in the
next stretch of time, the difference Z of the two versions' shares of these kinds has a mean of at most `tolerated`
under the hypothesis, and by Hoeffding's lemma exp(l * (Z - tolerated) - l^2 / 8 * (1/n + 1/m)) has a mean of at most 1
for every l > 0. With l = 4 * e * k, where k = 1 / (1/n + 1/m) and e is the excess that a bettor believes in, the
product over all stretches is exp(4 * e * S - 2 * e^2 * K), S being the sum of k * (Z - tolerated) and K that of k: two
sums say all.
"""

from __future__ import annotations

from pipelines.policy.evidence import grown, spaced
from pipelines.values.evidence import Spread
from pipelines.values.seen import Answers

_EXCESS = spaced(0.02, 0.8, 12)
"""By how much more than tolerated the bettors believe the answers to differ."""
_FEW = 10
"""Fewer answers of a version than this wait for the next."""


def shifted(spread: Spread, answers: Answers, tolerated: float) -> Spread:
    """The e-process after more answers.

    Args:
        spread: The e-process so far.
        answers: Of both versions, in the same stretch of time; the same kinds as before.
        tolerated: The total variation that is no shift.
    """
    if not answers.candidate:
        return spread
    seen = Answers(_sum(spread.waiting.candidate, answers.candidate), _sum(spread.waiting.stable, answers.stable))
    candidate, stable = sum(seen.candidate), sum(seen.stable)
    if min(candidate, stable) < _FEW:
        return Spread(spread.wealth, spread.candidate, spread.stable, seen, spread.excess, spread.answers)
    learned = (_sum(spread.candidate, seen.candidate), _sum(spread.stable, seen.stable))
    if not spread.candidate:
        return Spread(spread.wealth, *learned)
    # Chosen by what came before these answers: by the same ones, chance alone would look like a difference.
    kinds = _more_frequent(spread.candidate, spread.stable)
    difference = (
        sum(seen.candidate[kind] for kind in kinds) / candidate - sum(seen.stable[kind] for kind in kinds) / stable
    )
    count = 1.0 / (1.0 / candidate + 1.0 / stable)
    excess, total = spread.excess + count * (difference - tolerated), spread.answers + count
    logs = tuple(4.0 * bet * excess - 2.0 * bet * bet * total for bet in _EXCESS)
    wealth = grown(spread.wealth, logs, candidate, stable)
    return Spread(wealth, *learned, Answers(), excess, total)


def distance(candidate: tuple[int, ...], stable: tuple[int, ...]) -> float:
    """The total variation between two samples: half the sum of the differences of their shares; 0 without answers."""
    ours, theirs = sum(candidate), sum(stable)
    if not ours or not theirs:
        return 0.0
    return sum(abs(a / ours - b / theirs) for a, b in zip(candidate, stable, strict=True)) / 2.0


def _more_frequent(candidate: tuple[int, ...], stable: tuple[int, ...]) -> list[int]:
    ours, theirs = sum(candidate), sum(stable)
    return [kind for kind, (a, b) in enumerate(zip(candidate, stable, strict=True)) if a * theirs > b * ours]


def _sum(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True)) if one else other
