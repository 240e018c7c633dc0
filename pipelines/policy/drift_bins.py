"""Bins of a feature, made of the reference's values, and how many values of a window lie in each.

Bins are chosen by what the reference has, and are then compared with what the reference has: that must not favour it.
Of numbers without ties the reference's shares are exact, and the true ones follow a Dirichlet law, which differs little
from the law of counts; names are chosen from one half of the rows and counted in the other, so that names that nobody
has seen before are as frequent among the counted rows as they will be later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipelines.policy.tables import FloatArray
from pipelines.values.drift import Bins, FeatureKind

MOST_BINS = 10
"""Of numbers; where they have no more values than MOST_VALUES, each is one."""
MOST_VALUES = 20
ROWS_A_BIN = 15
"""A bin of numbers has as many rows of the reference, or more."""
OFTEN = 5
"""Where each name occurs so often, all rows may choose the names and count."""
_LONGEST_NAME = 64

Values = FloatArray | Sequence[str | None]
"""A feature's values by row: numbers, NaN where one is missing; or texts, None where one is missing."""


def make_bins(name: str, values: Values) -> Bins:
    """The bins of a feature.

    Args:
        name: The feature's.
        values: The reference's, one a row.
    """
    return _numbers(name, values) if isinstance(values, np.ndarray) else _categories(name, values)


def tally(bins: Bins, values: Values) -> tuple[int, ...]:
    """How many values lie in each bin, in the order of `Bins.counts`, then how many are of the rest (`Bins.rest`)."""
    if isinstance(values, np.ndarray):
        present = values[~np.isnan(values)]
        missing = len(values) - len(present)
        counts = np.bincount(np.searchsorted(bins.ends, present, side="left"), minlength=len(bins.ends) + 1)
        outside = int(((present < bins.low) | (present > bins.high)).sum())
        return (*(int(one) for one in counts), missing, outside + missing)
    places = {name: place for place, name in enumerate(bins.names)}
    counted = [0] * len(bins.counts)
    for value in values:
        counted[-2 if value is None else places.get(value[:_LONGEST_NAME], -1)] += 1
    return (*counted, counted[-2] + counted[-1])


def _numbers(name: str, values: FloatArray) -> Bins:
    present = np.sort(values[~np.isnan(values)])
    missing = len(values) - len(present)
    if not len(present):
        return Bins(name, FeatureKind.NUMBER, (0, missing), missing)
    low, high = float(present[0]), float(present[-1])
    distinct = np.unique(present)
    if len(distinct) <= MOST_VALUES:
        ends = distinct[:-1]
    else:
        bins = max(1, min(MOST_BINS, len(present) // ROWS_A_BIN))
        places = np.round(np.linspace(0, len(present), bins + 1)[1:-1]).astype(int) - 1
        ends = np.unique(present[places])
        ends = ends[ends < high]
    counts = np.bincount(np.searchsorted(ends, present, side="left"), minlength=len(ends) + 1)
    # As often as the smallest and the largest value were themselves the first of their kind, others will be.
    beyond = sum(int((present == end).sum() < OFTEN) for end in (low, high))
    return Bins(
        name,
        FeatureKind.NUMBER,
        (*(int(one) for one in counts), missing),
        missing + beyond,
        tuple(float(one) for one in ends),
        low,
        high,
    )


def _categories(name: str, values: Sequence[str | None]) -> Bins:
    texts = [None if value is None else value[:_LONGEST_NAME] for value in values]
    seen = Counter(text for text in texts if text is not None)
    is_plain = len(seen) <= MOST_VALUES and min(seen.values(), default=OFTEN) >= OFTEN
    choosing, counting = (texts, texts) if is_plain else (texts[::2], texts[1::2])
    chosen = Counter(text for text in choosing if text is not None)
    names = tuple(sorted(chosen, key=lambda text: (-chosen[text], text))[:MOST_VALUES])
    empty = Bins(name, FeatureKind.CATEGORY, (0,) * (len(names) + 2), 0, names=names)
    *counts, rest = tally(empty, counting)
    return Bins(name, FeatureKind.CATEGORY, tuple(counts), rest, names=names)
