"""What later truth says of answers: whether one was right, and how well a version has answered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from pipelines.policy.answers import Said
from pipelines.policy.comparing import wilson_of
from pipelines.values.labels import Quality, Truth

LEVEL = 0.95
FEWEST_REQUESTS = 5
"""Fewer than these have no interval of their mean error."""
_TRUTHS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Marked:
    """One answered row beside its truth.

    Args:
        is_wrong: Whether the class differs; None for numbers.
        error: The absolute distance of a number; None for classes.
    """

    is_wrong: bool | None
    error: float | None


def mark(said: Said, truth: Truth) -> Marked | None:
    """Compare an answer with the truth; None when they are of different kinds, as a number and a name are.

    Where one of them is a truth value, the other one may be 1 or 0 for it.
    """
    if isinstance(said, float):
        number = _TRUTHS.get(truth, truth) if isinstance(truth, str) else truth
        return Marked(None, abs(said - number)) if isinstance(number, float) else None
    ours, theirs = _number(said), _number(truth)
    if ours is None and theirs is None:
        return Marked(said != truth, None)
    if said in _TRUTHS or truth in _TRUTHS:
        ours, theirs = (_TRUTHS.get(str(one), number) for one, number in ((said, ours), (truth, theirs)))
    return None if ours is None or theirs is None else Marked(ours != theirs, None)


def _number(word: Truth) -> float | None:
    if isinstance(word, float):
        return word
    try:
        # Only as a program writes it: "007" and "inf" are names.
        return float(word) if word == str(int(word)) else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over a version's labelled requests, from which its quality follows.

    Args:
        is_classes: Whether its answers are classes.
        requests: How many.
        rows: Of all of them.
        rows_squared: Sum of the squares of each request's rows.
        faults: Wrong rows, or the sum of the errors.
        faults_squared: Sum of the squares of each request's faults.
        crossed: Sum of the products of each request's rows and faults.
    """

    is_classes: bool
    requests: int = 0
    rows: int = 0
    rows_squared: float = 0.0
    faults: float = 0.0
    faults_squared: float = 0.0
    crossed: float = 0.0

    def plus(self, rows: int, faults: float) -> Tally:
        """With one request more."""
        return Tally(
            self.is_classes,
            self.requests + 1,
            self.rows + rows,
            self.rows_squared + rows * rows,
            self.faults + faults,
            self.faults_squared + faults * faults,
            self.crossed + rows * faults,
        )


def quality(tally: Tally) -> Quality:
    """The accuracy or the mean error, with its interval.

    Rows of one request are alike, so requests are what is sampled: the variance is that of a ratio of their sums (W. G.
    Cochran, Sampling Techniques (1977), section 6.4). A share has Wilson's interval of so many independent rows as
    would have this variance.
    """
    mean = tally.faults / tally.rows
    variance = _variance(tally, mean)
    if not tally.is_classes:
        low, high = _around(mean, variance, tally.requests)
        return Quality("mean_error", mean, low, high, tally.requests, tally.rows)
    independent = float(tally.requests)
    if variance > 0 and 0 < mean < 1:
        independent = min(max(mean * (1 - mean) / variance, 1.0), float(tally.rows))
    low, high = wilson_of(1 - mean, independent, LEVEL)
    return Quality("accuracy", 1 - mean, low, high, tally.requests, tally.rows, round(tally.faults))


def _variance(tally: Tally, mean: float) -> float:
    if tally.requests < 2:
        return 0.0
    apart = tally.faults_squared - 2 * mean * tally.crossed + mean * mean * tally.rows_squared
    # The exact binomial variance where each request has one row.
    factor = 1.0 if tally.is_classes else tally.requests / (tally.requests - 1)
    return max(0.0, apart) * factor / tally.rows**2


def _around(mean: float, variance: float, requests: int) -> tuple[float | None, float | None]:
    if requests < FEWEST_REQUESTS:
        return None, None
    width = _student(requests - 1) * math.sqrt(variance)
    return max(0.0, mean - width), mean + width


def _student(degrees: int) -> float:
    """Student's quantile by its expansion around the normal one (Abramowitz and Stegun, 26.7.5)."""
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / degrees**power for power, term in enumerate(terms, 1))
