"""The intervals: against formulas, and how often they hold what they promise (seeded simulations)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from pipelines.policy.intervals import Interval, mcnemar, paired, paired_auc
from pipelines.policy.tables import FloatArray

EXPERIMENTS = 600
Pair = tuple[FloatArray, FloatArray]


def accuracies(random: np.random.Generator, rows: int, drop: float = 0.0) -> Pair:
    """Two classifiers of 93 % (the first less `drop`) that find largely the same rows hard."""
    hard = random.random(rows)
    own = random.random((2, rows))
    shared = random.random((2, rows)) < 0.6
    return (np.where(shared[0], hard, own[0]) < 0.93 - drop).astype(float), (
        np.where(shared[1], hard, own[1]) < 0.93
    ).astype(float)


def log_losses(random: np.random.Generator, rows: int) -> Pair:
    """Two equally good classifiers' losses: skewed, with a long tail, correlated."""
    margin = random.normal(2.5, 1.5, rows)
    noise = random.normal(0, 0.8, (2, rows))
    return np.log1p(np.exp(-(margin + noise[0]))), np.log1p(np.exp(-(margin + noise[1])))


def coverage(
    make: Callable[[np.random.Generator, int], Pair], rows: int, truth: float, seed: int
) -> tuple[float, float]:
    """The share of 95 % intervals that hold the truth, and the share that lie wholly below -0.01 - truth."""
    random = np.random.default_rng(seed)
    pairs = [make(random, rows) for _ in range(EXPERIMENTS)]
    found = [paired(ours, theirs, 0.95) for ours, theirs in pairs]
    held = sum(interval.low <= truth <= interval.high for interval in found)
    failed = sum(interval.high < truth - 0.01 for interval in found)
    return held / EXPERIMENTS, failed / EXPERIMENTS


@pytest.mark.parametrize(
    ("make", "rows", "truth"),
    [
        (accuracies, 100, 0.0),
        (accuracies, 300, 0.0),
        (lambda random, rows: accuracies(random, rows, 0.03), 300, -0.03),
        (log_losses, 50, 0.0),
        (log_losses, 300, 0.0),
    ],
)
def test_the_interval_holds_the_truth_as_often_as_it_says(
    make: Callable[[np.random.Generator, int], Pair], rows: int, truth: float
) -> None:
    """Of 600 seeded 95 % intervals 92 to 98 % hold the true difference, for accuracy and for log loss."""
    held, _ = coverage(make, rows, truth, seed=rows)
    assert 0.92 <= held <= 0.98


@pytest.mark.parametrize("make", [accuracies, log_losses])
def test_an_equally_good_candidate_is_hardly_ever_failed(make: Callable[[np.random.Generator, int], Pair]) -> None:
    """With a margin of 0.01 fewer than 2.5 % of equally good candidates fail on 300 rows."""
    _, failed = coverage(make, 300, 0.0, seed=7)
    assert failed < 0.025


def test_a_mean_agrees_with_students_interval() -> None:
    """On 200 normal differences the bootstrap's ends are those of the t interval within a tenth of its width."""
    random = np.random.default_rng(1)
    ours, theirs = random.normal(0.1, 1, 200), random.normal(0, 1, 200)
    interval = paired(ours, theirs, 0.95)
    low, high = stats.t.interval(0.95, 199, loc=np.mean(ours - theirs), scale=stats.sem(ours - theirs))
    assert interval.estimate == pytest.approx(np.mean(ours - theirs))
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_few_distinct_values_are_resampled_by_their_counts() -> None:
    """The shortcut for accuracy gives what drawing rows gives: scipy's percentile interval, within one row."""
    random = np.random.default_rng(4)
    ours, theirs = accuracies(random, 400)
    reference = stats.bootstrap((ours - theirs,), np.mean, method="percentile", rng=np.random.default_rng(0))
    interval = paired(ours, theirs, 0.95)
    ends = reference.confidence_interval
    assert (interval.low, interval.high) == pytest.approx((ends.low, ends.high), abs=1.6 / 400)


def test_the_large_and_the_small_way_agree() -> None:
    """From 25,000 rows on a formula takes over; it continues what the bootstrap says just below."""
    random = np.random.default_rng(9)
    ours, theirs = random.exponential(size=(2, 25_001))
    for root in (False, True):
        resampled = paired(ours[:-1], theirs[:-1], 0.95, root=root)
        formula = paired(ours, theirs, 0.95, root=root)
        assert (resampled.method, formula.method) == ("paired bootstrap", "normal limit")
        width = formula.high - formula.low
        assert (resampled.low, resampled.high) == pytest.approx((formula.low, formula.high), abs=0.05 * width)


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("rows", [40, 30_000])
def test_exchanging_the_models_mirrors_the_interval(rows: int, root: bool) -> None:
    """The same draws are taken in both orders."""
    ours, theirs = np.random.default_rng(3).exponential(size=(2, rows))
    forth, back = paired(ours, theirs, 0.9, root=root), paired(theirs, ours, 0.9, root=root)
    mirrored = back.mirrored()
    assert (forth.estimate, forth.low, forth.high) == pytest.approx((mirrored.estimate, mirrored.low, mirrored.high))


def test_a_higher_confidence_is_a_wider_interval() -> None:
    """The confidence is used."""
    ours, theirs = np.random.default_rng(3).normal(size=(2, 100))
    narrow, wide = paired(ours, theirs, 0.8), paired(ours, theirs, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_root_is_that_of_the_means() -> None:
    """For rmse the difference of roots is estimated, not the root of a difference."""
    ours, theirs = np.full(50, 9.0), np.full(50, 4.0)
    assert paired(ours, theirs, 0.95, root=True) == Interval(1.0, 1.0, 1.0, "paired bootstrap", 2000)


def test_a_perfect_model_has_a_root_too() -> None:
    """No division by a mean of zero."""
    for rows in (50, 30_000):
        interval = paired(np.zeros(rows), np.random.default_rng(0).random(rows), 0.95, root=True)
        assert interval.low <= interval.estimate <= interval.high < 0


def test_delongs_interval_covers() -> None:
    """Of 300 seeded 95 % intervals of two equal areas under the curve 92 to 98 % hold zero."""
    random = np.random.default_rng(21)
    held = 0
    for _ in range(300):
        positive = random.random(200) < 0.4
        signal = positive + random.normal(0, 1, 200)
        found = paired_auc(positive, signal + random.normal(0, 0.5, 200), signal + random.normal(0, 0.5, 200), 0.95)
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 300 <= 0.98


def test_delong_of_a_model_with_itself_is_zero() -> None:
    """Equal scores differ by nothing, surely."""
    positive = np.arange(50) % 2 == 0
    scores = np.random.default_rng(0).random(50)
    found = paired_auc(positive, scores, scores, 0.95)
    assert (found.low, found.estimate, found.high) == (0, 0, 0)


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (1, 0), (5, 20), (20, 5), (300, 310), (7, 7)])
def test_mcnemars_p_is_the_exact_binomial(ours: int, theirs: int) -> None:
    """Against scipy's exact two-sided binomial test."""
    expected = stats.binomtest(ours, ours + theirs, 0.5).pvalue if ours + theirs else 1.0
    assert mcnemar(ours, theirs) == pytest.approx(expected)


def test_few_rows_widen_the_interval_as_students_law_does() -> None:
    """On 30 rows the ends lie t / z * sqrt(30 / 29) = 1.06 times as far apart as the plain percentiles."""
    random = np.random.default_rng(8)
    ratios = []
    for _ in range(40):
        ours, theirs = random.normal(size=(2, 30))
        plain = stats.norm.ppf(0.975) * 2 * np.std(ours - theirs) / np.sqrt(30)
        found = paired(ours, theirs, 0.95)
        ratios.append((found.high - found.low) / plain)
    assert np.mean(ratios) == pytest.approx(1.061, abs=0.01)
