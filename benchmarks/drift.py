"""`python -m benchmarks.drift`: how often the watch for drift is wrong without any, and how soon it finds some.

Each window meets a reference of its own, both drawn anew: what is counted is how often a project would be alarmed, and
not how lucky one reference was. `--write-docs` puts the tables into docs/drift.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.policy.drift import judge
from pipelines.policy.drift_bins import Values, make_bins, tally
from pipelines.policy.drift_features import summary
from pipelines.values.drift import Bins, DriftSettings, Reference

DOCS = Path(__file__).parents[1] / "docs" / "drift.md"
BEGIN, END = "<!-- simulated: begin -->", "<!-- simulated: end -->"

SEED = 20261126
FEATURES = 64
SIZES = (100, 500, 2000)
REFERENCE = 360
WINDOWS = 1000
SHIFTS = (0.25, 0.5)
CUSTOMARY = 0.2

Rng = np.random.Generator
Rows = Mapping[str, Values]
Draw = Callable[[Rng, int], Rows]


def _named(table: npt.NDArray[np.float64]) -> Rows:
    return {str(place): table[:, place] for place in range(table.shape[1])}


def normal(rng: Rng, rows: int) -> Rows:
    """Bell curves."""
    return _named(rng.normal(size=(rows, FEATURES)))


def skewed(rng: Rng, rows: int) -> Rows:
    """Such as amounts of money."""
    return _named(rng.lognormal(sigma=1.5, size=(rows, FEATURES)))


def whole(rng: Rng, rows: int) -> Rows:
    """Small whole numbers, and the last half of them larger ones."""
    return _named(rng.poisson(np.repeat([2.0, 60.0], FEATURES // 2), size=(rows, FEATURES)).astype(float))


def mostly_zero(rng: Rng, rows: int) -> Rows:
    """0 in 60 to 99 % of the rows, else skewed; a tenth of the others is missing."""
    zero = rng.random((rows, FEATURES)) < np.linspace(0.6, 0.99, FEATURES)
    table = np.where(zero, 0.0, rng.lognormal(size=(rows, FEATURES)))
    table[~zero & (rng.random((rows, FEATURES)) < 0.1)] = np.nan
    return _named(table)


def categories(rng: Rng, rows: int) -> Rows:
    """Names, a few or thousands, some much more frequent than others; one in a hundred is missing."""
    found = {}
    for place in range(FEATURES):
        kinds = (3, 12, 60, 5000)[place % 4]
        weights = 1.0 / np.arange(1, kinds + 1)
        drawn = rng.choice(kinds, size=rows, p=weights / weights.sum())
        gaps = rng.random(rows) < 0.01
        found[str(place)] = [None if gap else f"n{name}" for name, gap in zip(drawn, gaps, strict=True)]
    return found


def constant(rng: Rng, rows: int) -> Rows:
    """The same in each row, or in all but one in 200."""
    rare = rng.random((rows, FEATURES)) < 0.005
    rare[:, : FEATURES // 2] = False
    return _named(np.where(rare, rng.normal(size=(rows, FEATURES)), 7.0))


def correlated(rng: Rng, rows: int) -> Rows:
    """Bell curves that hang together: a correlation of 0.9 between any two."""
    common = rng.normal(size=(rows, 1))
    return _named(np.sqrt(0.9) * common + np.sqrt(0.1) * rng.normal(size=(rows, FEATURES)))


@cache
def _digits() -> npt.NDArray[np.float64]:
    from sklearn.datasets import load_digits

    images: npt.NDArray[np.float64] = load_digits().images
    return images


def pixels(rng: Rng, rows: int) -> Rows:
    """The 64 pixels of scikit-learn's digits, each a feature."""
    images = _digits()
    return _named(images[rng.integers(0, len(images), rows)].reshape(rows, -1))


def images(rng: Rng, rows: int) -> Rows:
    """The same digits as images, told in summary."""
    found = _digits()
    return summary("image", found[rng.integers(0, len(found), rows)])


KINDS: Mapping[str, Draw] = {
    "normal": normal,
    "skewed": skewed,
    "whole numbers": whole,
    "mostly zero, some missing": mostly_zero,
    "categories": categories,
    "constant, or nearly": constant,
    "correlated": correlated,
    "digits' pixels": pixels,
    "digits' images in summary": images,
}


@dataclass(frozen=True, slots=True)
class Count:
    """How many windows were found to have drifted.

    Args:
        found: By our rule.
        customary: With an index above CUSTOMARY in any feature.
        windows: Of how many.
    """

    found: int
    customary: int
    windows: int


def clean(draw: Draw, rng: Rng, reference: int, rows: int, windows: int) -> Count:
    """Windows of the very rows that the reference is made of."""
    return _count(draw, draw, rng, reference, rows, windows)


def shifted(draw: Draw, rng: Rng, reference: int, rows: int, windows: int, by: float) -> Count:
    """Windows whose first feature lies higher by so many standard deviations; any other feature found is wrong."""

    def moved(rng: Rng, count: int) -> Rows:
        found = dict(draw(rng, count))
        first = found["0"]
        assert isinstance(first, np.ndarray)
        return {**found, "0": first + by}

    return _count(draw, moved, rng, reference, rows, windows, only="0")


def _count(
    draw: Draw, drawn: Draw, rng: Rng, reference: int, rows: int, windows: int, only: str | None = None
) -> Count:
    found = customary = 0
    for _ in range(windows):
        bins = Reference(tuple(make_bins(name, values) for name, values in draw(rng, reference).items()))
        values = drawn(rng, rows)
        tallies = {one.name: tally(one, values[one.name]) for one in bins.features}
        wanted = [one for one in bins.features if only in (None, one.name)]
        names = {one.name for one in wanted}
        found += any(one.is_drift and one.feature in names for one in judge(bins, tallies, DriftSettings()))
        customary += any(customary_index(one, tallies[one.name]) > CUSTOMARY for one in wanted)
    return Count(found, customary, windows)


def customary_index(bins: Bins, seen: Sequence[int]) -> float:
    """The population stability index as it is often computed: on all bins, however few rows they have."""
    expected, ours = np.array(bins.counts, float), np.array(seen[:-1], float)
    kept = expected > 0
    theirs, here = expected[kept] / expected.sum(), np.maximum(ours[kept], 0.5) / ours.sum()
    return float(((here - theirs) * np.log(here / theirs)).sum())


def tables(windows: int, say: Callable[[str], None]) -> str:
    """All of it, as Markdown."""
    rng = np.random.default_rng(SEED)
    heads = " | ".join(f"{size:,} rows" for size in SIZES)
    lines = [
        f"False alarms in {windows:,} windows without drift, {FEATURES} features, a reference of {REFERENCE} rows:",
        "",
        f"| features | {heads} | any PSI > {CUSTOMARY}, {SIZES[0]} rows |",
        "|---|" + "---:|" * (len(SIZES) + 1),
    ]
    for name, draw in KINDS.items():
        counts = [clean(draw, rng, REFERENCE, size, windows) for size in SIZES]
        cells = " | ".join(_share(one.found, windows) for one in counts)
        lines.append(f"| {name} | {cells} | {_share(counts[0].customary, windows)} |")
        say(lines[-1])
    for reference in (100, 200, 2000):
        counts = [clean(normal, rng, reference, size, windows) for size in SIZES]
        cells = " | ".join(_share(one.found, windows) for one in counts)
        lines.append(
            f"| normal, a reference of {reference:,} rows | {cells} | {_share(counts[0].customary, windows)} |"
        )
        say(lines[-1])
    lines += [
        "",
        f"Windows in which one of {FEATURES} normal features lies higher, and is found, with a reference of "
        f"{REFERENCE} rows:",
        "",
        "| shift | 100 rows | 500 rows | 1,000 rows | 2,000 rows |",
        "|---|---:|---:|---:|---:|",
    ]
    for by in SHIFTS:
        sizes = (100, 500, 1000, 2000)
        cells = " | ".join(_share(shifted(normal, rng, REFERENCE, size, windows, by).found, windows) for size in sizes)
        lines.append(f"| {by} standard deviations | {cells} |")
        say(lines[-1])
    return "\n".join(lines)


def _share(count: int, windows: int) -> str:
    return f"{100 * count / windows:.1f} %"


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, say it, and write it down if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--write-docs", action="store_true")
    wanted = parser.parse_args(arguments)
    found = tables(wanted.windows, lambda line: print(line, file=sys.stderr, flush=True))
    print(found)
    if wanted.write_docs:
        text = DOCS.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCS.write_text(f"{before}{BEGIN}\n\n{found}\n\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
