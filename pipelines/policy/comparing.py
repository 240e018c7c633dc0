"""Where two versions that answered the same requests disagree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from pipelines.policy.answers import Said

MOST_KINDS = 8
"""Slices of a column by its values; the rarer values are one slice together."""
QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """One row that both versions answered.

    Args:
        request_id: The gateway's id of the request.
        row: Which of its rows, from 0.
        inputs: The row as it was sent; None where it was not kept.
        left: What one version says.
        right: What the other one says.
    """

    request_id: str
    row: int
    inputs: Any
    left: Said
    right: Said


@dataclass(frozen=True, slots=True)
class Share:
    """How often something is so.

    Args:
        count: How often it is.
        total: Of how many.
        low: Lower end of the interval of the share.
        high: Upper end.
    """

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself; 0 of nothing."""
        return self.count / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of one kind.

    Args:
        column: By what they are told apart: a named column, or `predicted` for what the left version says.
        kind: Which ones, in words.
        disagree: In how many the versions disagree.
    """

    column: str
    kind: str
    disagree: Share


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far two versions agree.

    Args:
        disagree: The rows in which they do not.
        difference: Mean of right - left, where both are numbers; None for classes.
        tolerance: By how much numbers may differ and still agree.
        slices: Rows by kind, those with the most disagreement first.
        pairs: The rows that disagree, in the order in which they came.
    """

    disagree: Share
    difference: float | None
    tolerance: float
    slices: tuple[Slice, ...]
    pairs: tuple[Pair, ...]


def wilson(count: int, total: int, level: float = 0.95) -> Share:
    """A share with its interval (E. B. Wilson, JASA 22 (1927), 209-212): sensible at 0, at 1 and for few rows too."""
    return Share(count, total, *wilson_of(count / total, total, level)) if total else Share(0, 0, 0.0, 1.0)


def wilson_of(share: float, total: float, level: float) -> tuple[float, float]:
    """Wilson's interval of a share of `total` independent trials, which need not be a whole number of them."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    middle = share + z * z / (2 * total)
    width = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - width) / scale), min(1.0, (middle + width) / scale)


def disagreement(pairs: Sequence[Pair], tolerance: float | None = None) -> Disagreement:
    """Compare what two versions said of the same rows.

    Args:
        pairs: The rows.
        tolerance: By how much numbers may differ and still agree; None for a hundredth of the left version's spread.
    """
    allowed = _spread(pairs) / 100 if tolerance is None else tolerance
    apart = tuple(pair for pair in pairs if not _agrees(pair, allowed))
    numbers = [right - left for left, right in map(_numbers, pairs) if left is not None and right is not None]
    return Disagreement(
        disagree=wilson(len(apart), len(pairs)),
        difference=sum(numbers) / len(numbers) if numbers and len(numbers) == len(pairs) else None,
        tolerance=allowed,
        slices=tuple(_slices(pairs, frozenset((pair.request_id, pair.row) for pair in apart))),
        pairs=apart,
    )


def _agrees(pair: Pair, tolerance: float) -> bool:
    left, right = _numbers(pair)
    return pair.left == pair.right if left is None or right is None else abs(left - right) <= tolerance


def _numbers(pair: Pair) -> tuple[float | None, float | None]:
    return tuple(one if isinstance(one, float) else None for one in (pair.left, pair.right))  # type: ignore[return-value]


def _spread(pairs: Sequence[Pair]) -> float:
    values = sorted(pair.left for pair in pairs if isinstance(pair.left, float))
    return values[-1 - len(values) // 20] - values[len(values) // 20] if values else 0.0


def _slices(pairs: Sequence[Pair], apart: frozenset[tuple[str, int]]) -> list[Slice]:
    found: list[Slice] = []
    for column, values in _columns(pairs).items():
        kinds = _kinds([value for _, value in values])
        counts: dict[str, tuple[int, int]] = {}
        for pair, value in values:
            kind = kinds(value)
            total, bad = counts.get(kind, (0, 0))
            counts[kind] = (total + 1, bad + ((pair.request_id, pair.row) in apart))
        if len(counts) > 1:
            found += [Slice(column, kind, wilson(bad, total)) for kind, (total, bad) in counts.items()]
    return sorted(found, key=lambda one: (-one.disagree.low, -one.disagree.value, one.column, one.kind))


def _columns(pairs: Sequence[Pair]) -> dict[str, list[tuple[Pair, Any]]]:
    """The named columns that the rows have, or what the left version says where a row has no names."""
    named = [pair for pair in pairs if isinstance(pair.inputs, Mapping)]
    if not named:
        return {"predicted": [(pair, pair.left) for pair in pairs]}
    names = dict.fromkeys(name for pair in named for name in pair.inputs)
    return {name: [(pair, pair.inputs.get(name)) for pair in named] for name in names}


def _kinds(values: Iterable[Any]) -> Any:
    """What tells the kind of a value: quarters of numbers, else the value itself."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        distinct = sorted(set(known))
        if len(distinct) > MOST_KINDS:
            ordered = sorted(known)
            ends = sorted({ordered[len(ordered) * part // QUARTERS] for part in range(1, QUARTERS)})
            return lambda value: "missing" if value is None else _quarter(value, ends)
    counts: dict[str, int] = {}
    for value in known:
        counts[_word(value)] = counts.get(_word(value), 0) + 1
    frequent = set(sorted(counts, key=lambda word: (-counts[word], word))[:MOST_KINDS])
    return lambda value: "missing" if value is None else _word(value) if _word(value) in frequent else "others"


def _quarter(value: float, ends: Sequence[float]) -> str:
    place = sum(value >= end for end in ends)
    if place == 0:
        return f"below {ends[0]:.4g}"
    return f"from {ends[place - 1]:.4g}" + (f" to {ends[place]:.4g}" if place < len(ends) else "")


def _word(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)[:60]
