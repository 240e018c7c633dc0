"""What differs between two versions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from typing import Any, Literal

from pipelines.values import GateReport, Gates

_CONTEXT = 2
_RELATED = 0.4
"""Two cells in the same place that share less than this of their lines are one that went and one that came."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs.

    Args:
        name: What it is called.
        left: Its value in the left version; None where it has none.
        right: Its value in the right version.
        is_better: Whether the right one is the better one; None where nobody said which way is good.
        interval: The ends of the 95 % interval of right - left; None where nothing tells it.
    """

    name: str
    left: Any
    right: Any
    is_better: bool | None = None
    interval: tuple[float, float] | None = None

    @property
    def may_be_chance(self) -> bool:
        """Whether the two may be equally good, by the interval."""
        return self.interval is not None and self.interval[0] <= 0.0 <= self.interval[1]


@dataclass(frozen=True, slots=True)
class CellChange:
    """A code cell that differs.

    Args:
        left: Its number among the left notebook's code cells, from 1; None for a new one.
        right: Its number among the right one's; None for one that is gone.
        lines: A unified diff without its file names.
    """

    left: int | None
    right: int | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs in one respect, and how much does not."""

    changes: tuple[Change, ...] = ()
    equal: int = 0


def compare(
    left: Mapping[str, Any],
    right: Mapping[str, Any],
    better: Mapping[str, Literal["higher", "lower"]] | None = None,
) -> Compared:
    """Compare values by name, in the order of the left ones, then what only the right one has.

    Args:
        left: The values of the left version.
        right: The values of the right version.
        better: For numbers: which way is good, as far as it is known.
    """
    names = [*left, *(name for name in right if name not in left)]
    changes = []
    for name in names:
        a, b = left.get(name), right.get(name)
        if not _is_same(a, b):
            changes.append(Change(name, a, b, _is_better(a, b, (better or {}).get(name))))
    return Compared(tuple(changes), len(names) - len(changes))


def directions(gates: Gates, reports: Iterable[GateReport | None]) -> dict[str, Literal["higher", "lower"]]:
    """Which way each metric is good, as the gates tell: one with a single bound does, and each comparison."""
    found: dict[str, Literal["higher", "lower"]] = {}
    for threshold in gates.thresholds:
        if (threshold.min is None) != (threshold.max is None):
            found[threshold.metric] = "higher" if threshold.max is None else "lower"
    for comparison in gates.comparisons:
        if comparison.better:
            found[comparison.metric] = comparison.better
    for report in reports:
        for check in report.checks if report else ():
            better = check.evidence.get("better")
            if better in ("higher", "lower"):
                found[check.name.removesuffix("_vs_champion")] = better
    return found


def compare_cells(left: Sequence[str], right: Sequence[str]) -> tuple[CellChange, ...]:
    """The code cells that differ; one that only moved up or down because of others does not."""
    changes: list[CellChange] = []
    for kind, a, a_end, b, b_end in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind != "equal":
            changes += _replaced(left, right, range(a, a_end), range(b, b_end))
    return tuple(changes)


def _replaced(left: Sequence[str], right: Sequence[str], gone: range, came: range) -> list[CellChange]:
    """Pair what stands in the same place when it is much the same, and leave the rest alone."""
    changes, mates = [], list(came)
    for a in gone:
        mate = next((b for b in mates if _is_related(left[a], right[b])), None)
        if mate is None:
            changes.append(CellChange(a + 1, None, _lines(left[a], "")))
            continue
        changes += [CellChange(None, b + 1, _lines("", right[b])) for b in mates[: mates.index(mate)]]
        mates = mates[mates.index(mate) + 1 :]
        changes.append(CellChange(a + 1, mate + 1, _lines(left[a], right[mate])))
    return changes + [CellChange(None, b + 1, _lines("", right[b])) for b in mates]


def _is_related(left: str, right: str) -> bool:
    return SequenceMatcher(None, left.splitlines(), right.splitlines(), autojunk=False).ratio() >= _RELATED


def _lines(left: str, right: str) -> tuple[str, ...]:
    if not left or not right:
        return tuple(f"{'-' if left else '+'}{line}" for line in (left or right).splitlines())
    # The first two lines would name the files.
    return tuple(unified_diff(left.splitlines(), right.splitlines(), lineterm="", n=_CONTEXT))[2:]


def _is_same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right):
        return True
    # True is 1 for Python, but not for the notebook that takes it.
    return type(left) is type(right) and bool(left == right)


def _is_better(left: Any, right: Any, way: Literal["higher", "lower"] | None) -> bool | None:
    if way is None or not _is_number(left) or not _is_number(right):
        return None
    return bool(right > left) if way == "higher" else bool(right < left)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
