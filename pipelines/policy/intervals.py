"""How sure a difference between two models is that answered the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pipelines.policy.metrics import placements
from pipelines.policy.tables import BoolArray, FloatArray

RESAMPLES = 2_000
_SEED = 20_240_229
_CHUNK_NUMBERS = 2_000_000
"""How many numbers a batch of resamples holds at most: 16 MB."""
_MAX_NUMBERS = 50_000_000
"""From here on (25,000 rows) a resampled mean is its normal limit to the eye, and the limit is taken instead."""
_FEW_VALUES = 16


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval.

    Args:
        estimate: The difference itself.
        low: The lower end.
        high: The upper end.
        method: How it was found.
        resamples: Of the bootstrap; 0 for a formula.
    """

    estimate: float
    low: float
    high: float
    method: str
    resamples: int = 0

    def mirrored(self) -> Interval:
        """The interval of the difference with its sign turned."""
        return Interval(-self.estimate, -self.high, -self.low, self.method, self.resamples)


def paired(candidate: FloatArray, champion: FloatArray, confidence: float, *, root: bool = False) -> Interval:
    """The interval of mean(candidate) - mean(champion), the rows being resampled in pairs.

    The percentiles of the bootstrap are expanded for few rows (T. Hesterberg, The American Statistician 69 (2015),
    371-386, section 3.3); of those tried, BCa and the plain percentiles, this interval covers best. It is seeded: the
    same rows give the same interval, and exchanging the two models mirrors it.

    Args:
        candidate: A value per row, shape (rows,), finite.
        champion: The same rows' values of the other model.
        confidence: Of the interval, such as 0.95.
        root: Whether the difference is that of the roots of the means.
    """
    differing = np.flatnonzero(candidate != champion)
    if not len(differing):
        return Interval(0.0, 0.0, 0.0, "no row differs")
    # One of the two orders is always taken, so that both give the same draws.
    first = differing[0]
    if candidate[first] < champion[first]:
        return paired(champion, candidate, confidence, root=root).mirrored()
    rows = np.stack([candidate, champion], axis=1) if root else (candidate - champion)[:, None]
    estimate = float(_statistic(rows.mean(axis=0)[None, :], root=root)[0])
    if rows.shape[0] * RESAMPLES > _MAX_NUMBERS:
        return _normal(
            estimate, float(np.std(_influence(rows, root=root))) / math.sqrt(len(rows)), confidence, "normal limit"
        )
    draws = _statistic(_resampled_means(rows), root=root)
    low, high = _ends(draws, len(rows), confidence)
    return Interval(estimate, low, high, "paired bootstrap", RESAMPLES)


def paired_auc(positive: BoolArray, candidate: FloatArray, champion: FloatArray, confidence: float) -> Interval:
    """The interval of the difference of two correlated areas under the ROC curve.

    Source: E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988), 837-845.

    Args:
        positive: Which rows are of the positive class, shape (rows,), both classes occurring.
        candidate: Its scores, shape (rows,), finite.
        champion: The other model's.
        confidence: Of the interval.
    """
    ours, theirs = placements(positive, candidate), placements(positive, champion)
    of_positive, of_negative = ours[0] - theirs[0], ours[1] - theirs[1]
    variance = sum(
        float(np.var(part, ddof=1)) / len(part) if len(part) > 1 else 0.25 for part in (of_positive, of_negative)
    )
    return _normal(float(np.mean(of_positive)), float(np.sqrt(variance)), confidence, "DeLong")


def mcnemar(candidate_only: int, champion_only: int) -> float:
    """The exact two-sided p-value of McNemar's test.

    Args:
        candidate_only: Rows that only the candidate got right.
        champion_only: Rows that only the champion got right.
    """
    from scipy.special import bdtr

    discordant = candidate_only + champion_only
    if not discordant:
        return 1.0
    return min(1.0, 2.0 * float(bdtr(min(candidate_only, champion_only), discordant, 0.5)))


def _normal(estimate: float, error: float, confidence: float, method: str) -> Interval:
    reach = NormalDist().inv_cdf((1.0 + confidence) / 2.0) * error
    return Interval(estimate, estimate - reach, estimate + reach, method)


def _statistic(means: FloatArray, *, root: bool) -> FloatArray:
    """The difference from means of shape (draws, columns)."""
    return np.sqrt(means[:, 0]) - np.sqrt(means[:, 1]) if root else means[:, 0]


def _influence(rows: FloatArray, *, root: bool) -> FloatArray:
    """How far each row pulls the difference, shape (rows,): the first term of its expansion around the means."""
    means = rows.mean(axis=0)
    slopes = np.array([0.5 / math.sqrt(mean) if mean > 0 else 0.0 for mean in means]) * (1.0, -1.0)
    pull: FloatArray = (rows - means) @ (slopes if root else np.ones(1))
    return pull


def _resampled_means(rows: FloatArray) -> FloatArray:
    """Means of RESAMPLES draws with replacement, shape (RESAMPLES, columns)."""
    random = np.random.default_rng(_SEED)
    count = len(rows)
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    if len(distinct) <= _FEW_VALUES:
        # How often each value is drawn follows a multinomial law: the same as drawing rows, and far less work.
        few: FloatArray = random.multinomial(count, counts / count, size=RESAMPLES) @ distinct / count
        return few
    means = np.empty((RESAMPLES, rows.shape[1]))
    step = max(1, _CHUNK_NUMBERS // count)
    for start in range(0, RESAMPLES, step):
        drawn = random.integers(0, count, size=(min(step, RESAMPLES - start), count), dtype=np.int32)
        for column in range(rows.shape[1]):
            means[start : start + step, column] = rows[:, column][drawn].mean(axis=1)
    return means


def _ends(draws: FloatArray, rows: int, confidence: float) -> tuple[float, float]:
    """The ends of the expanded percentile interval: quantiles of the draws, as far out as Student's law asks for."""
    from scipy.special import stdtrit

    reach = float(stdtrit(rows - 1, (1 + confidence) / 2)) * math.sqrt(rows / (rows - 1))
    outside = NormalDist().cdf(-reach)
    low, high = np.quantile(draws, [outside, 1 - outside])
    return float(low), float(high)
