"""Whether the rows of a window come from where the reference's rows came from.

Both are samples, and the reference is often the smaller one: each test compares two samples. Of each feature three
things are tested, and the smallest of the three p-values counts threefold:

- its shape: the likelihood ratio of the two rows of counts, with Williams' correction (Biometrika 63 (1976), 33-37),
  on bins so wide that the smaller sample is to be expected at least EXPECTED times in each. So corrected its chance of
  a false alarm stays within a tenth of what is asked for down to 0.0001, where Pearson's statistic and the plain ratio
  are off by a factor of two to five;
- its place, where its values have an order: Wilcoxon's rank sum on the same bins. It finds a shift of the whole, the
  most frequent drift, with far fewer rows;
- its rest: how many rows lie outside of all that the reference has, by Fisher's exact test.

The features' p-values are corrected by Holm's procedure, so that all of a window together are falsely alarmed about at
most as often as asked for, however they hang together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.policy.tables import FloatArray
from pipelines.values.drift import Bins, DriftSettings, FeatureKind, Finding, Reference, Standing

EXPECTED = 15.0
"""Rows that are to be expected in a bin of the smaller sample."""
_MOST_ONE_SIDED = 0.7
"""Where one bin has more than this share, ranks say no more than the bins do, and their normal limit is poor."""
_LEAST_P = 1e-300


@dataclass(frozen=True, slots=True)
class Difference:
    """How a feature of a window differs from the reference.

    Args:
        psi: Population stability index, in nats.
        chance: The index that chance alone reaches at the level asked for.
        p: How often chance alone would differ as much; of this feature alone.
        moved: How far its values have moved, in standard deviations of a bell curve; None without an order.
    """

    psi: float
    chance: float
    p: float
    moved: float | None


def judge(reference: Reference, tallies: Mapping[str, Sequence[int]], settings: DriftSettings) -> tuple[Finding, ...]:
    """Hold a window against the reference.

    Args:
        reference: The version's.
        tallies: What `tally` has counted of each feature that the rows of the window have.
        settings: The level, and from which index on it matters.

    Returns:
        All features, the highest index first.
    """
    compared = [bins for bins in reference.features if sum(tallies.get(bins.name, ())[:-1])]
    level = settings.alpha / max(1, len(compared))
    found = {bins.name: difference(bins, tallies[bins.name], level) for bins in compared}
    corrected = holm({name: one.p for name, one in found.items()})
    findings = [
        Finding(
            feature=name,
            rows=sum(tallies[name][:-1]),
            psi=one.psi,
            threshold=max(settings.min_psi, one.chance),
            p=corrected[name],
            moved=one.moved,
            is_drift=corrected[name] <= settings.alpha and one.psi >= settings.min_psi,
        )
        for name, one in found.items()
    ]
    return tuple(sorted(findings, key=lambda one: (-one.psi, one.feature)))


def difference(bins: Bins, seen: Sequence[int], level: float) -> Difference:
    """Hold one feature against the reference.

    Args:
        bins: The reference's.
        seen: What `tally` has counted of the window.
        level: For `Difference.chance`.
    """
    ours, theirs = np.array(seen[:-1], float), np.array(bins.counts, float)
    is_ordered = bins.kind is FeatureKind.NUMBER
    tests = 3 if is_ordered else 2
    if not theirs.sum() or not ours.sum():
        return Difference(0.0, 0.0, 1.0, None)
    rest = np.array([seen[-1], ours.sum() - seen[-1]]), np.array([bins.rest, theirs.sum() - bins.rest])
    if is_ordered:
        # The last place counts missing values, which have no order; they are among the rest.
        ours, theirs = ours[:-1], theirs[:-1]
    least, shape, place, moved = _exact(*rest), 1.0, 1.0, None
    ours, theirs = _merged(ours, theirs, is_ordered=is_ordered)
    if len(ours) == 2:
        shape = _exact(ours, theirs)
    elif len(ours) > 2:
        shape = _likelihood_ratio(ours, theirs)
        place = _rank_sum(ours, theirs) if is_ordered else 1.0
    if is_ordered and len(ours) > 1:
        moved = _moved(ours, theirs)
    p = min(1.0, tests * min(shape, place, least))
    psi = max(_psi(ours, theirs), _psi(*rest))
    return Difference(psi, _chance(ours, theirs, level / tests), max(p, _LEAST_P), moved)


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """P-values corrected for their number (S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70)."""
    corrected: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(sorted(values, key=lambda name: (values[name], name))):
        highest = max(highest, min(1.0, (len(values) - place) * values[name]))
        corrected[name] = highest
    return corrected


def follow(before: Standing, drifted: Sequence[str]) -> Standing:
    """What the windows come to after another one.

    One window in a hundred without any drift is to be expected to look as if it had some, and there are many windows a
    day: a feature drifts when two in a row say so, and does not any more when two in a row do not.
    """
    last = set(before.last)
    stays = [name for name in before.drifting if name in last or name in drifted]
    return Standing(tuple(drifted), tuple(dict.fromkeys([*(name for name in drifted if name in last), *stays])))


def _merged(ours: FloatArray, theirs: FloatArray, *, is_ordered: bool) -> tuple[FloatArray, FloatArray]:
    """The counts in bins that are wide enough: two at least, where there are two; none where a sample is empty."""
    both = ours + theirs
    if not ours.sum() or not theirs.sum():
        return ours[:0], theirs[:0]
    places = [int(place) for place in (range(len(both)) if is_ordered else np.argsort(both, kind="stable"))]
    smaller = min(ours.sum(), theirs.sum()) / both.sum()
    groups: list[list[int]] = []
    group: list[int] = []
    for place in places:
        group.append(place)
        if both[group].sum() * smaller >= EXPECTED:
            groups.append(group)
            group = []
    if groups:
        groups[-1 if is_ordered else 0] += group
    if len(groups) < 2:
        top = int(both.argmax())
        others = [place for place in places if place != top]
        groups = [[top], others] if both[others].sum() else [[top]]
    return np.array([ours[group].sum() for group in groups]), np.array([theirs[group].sum() for group in groups])


def _likelihood_ratio(ours: FloatArray, theirs: FloatArray) -> float:
    from scipy.special import chdtrc, xlogy

    n, m = ours.sum(), theirs.sum()
    shares = (ours + theirs) / (n + m)
    ratio = 2.0 * float((xlogy(ours, ours / (n * shares)) + xlogy(theirs, theirs / (m * shares))).sum())
    freedom = len(shares) - 1
    total = n + m
    williams = 1.0 + (total / n + total / m - 1.0) * ((1.0 / shares).sum() - 1.0) / (6.0 * total * freedom)
    return float(chdtrc(freedom, max(0.0, ratio) / williams))


def _rank_sum(ours: FloatArray, theirs: FloatArray) -> float:
    from scipy.special import ndtr

    n, m = ours.sum(), theirs.sum()
    shares = (ours + theirs) / (n + m)
    if shares.max() > _MOST_ONE_SIDED:
        return 1.0
    ranks = np.cumsum(shares) - shares / 2.0
    spread = float((shares * (ranks - 0.5) ** 2).sum()) * (1.0 / n + 1.0 / m) * (n + m) / (n + m - 1.0)
    return 2.0 * float(ndtr(-abs(float((ranks * (ours / n - theirs / m)).sum())) / math.sqrt(spread)))


def _moved(ours: FloatArray, theirs: FloatArray) -> float:
    """The shift between two bell curves of which as often one of ours is larger than one of theirs."""
    from scipy.special import ndtri

    n, m = ours.sum(), theirs.sum()
    larger = float((ours / n * (np.cumsum(theirs) - theirs / 2.0) / m).sum())
    # Beyond that the bins cannot say how far.
    return math.sqrt(2.0) * float(ndtri(min(max(larger, 0.01), 0.99)))


def _exact(ours: FloatArray, theirs: FloatArray) -> float:
    """Fisher's exact test of counts in two bins, two-sided: twice the smaller tail."""
    from scipy.special import gammaln

    n, m, marked = int(ours.sum()), int(theirs.sum()), int(ours[0] + theirs[0])
    possible = np.arange(max(0, marked - m), min(marked, n) + 1)
    if len(possible) < 2:
        return 1.0

    def ways(of: int, chosen: npt.ArrayLike) -> FloatArray:
        found: FloatArray = gammaln(of + 1) - gammaln(np.add(chosen, 1)) - gammaln(np.subtract(of, chosen) + 1)
        return found

    chances = np.exp(ways(marked, possible) + ways(n + m - marked, n - possible) - ways(n + m, n))
    here = int(np.searchsorted(possible, ours[0]))
    return min(1.0, 2.0 * float(min(chances[: here + 1].sum(), chances[here:].sum())))


def _psi(ours: FloatArray, theirs: FloatArray) -> float:
    """Half a row is added to each bin: an empty one would make the index infinite."""
    bins = len(ours)
    if bins < 2:
        return 0.0
    seen = (ours + 0.5) / (ours.sum() + 0.5 * bins)
    expected = (theirs + 0.5) / (theirs.sum() + 0.5 * bins)
    return float(((seen - expected) * np.log(seen / expected)).sum())


def _chance(ours: FloatArray, theirs: FloatArray, level: float) -> float:
    """Without drift PSI / (1/n + 1/m) follows about a chi-square law with a degree of freedom a bin but one."""
    from scipy.special import chdtri

    if len(ours) < 2:
        return 0.0
    return float(chdtri(len(ours) - 1, level)) * (1.0 / float(ours.sum()) + 1.0 / float(theirs.sum()))
