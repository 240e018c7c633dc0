"""Two versions side by side: only what differs, and how much does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.values import Verdict
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Code, Grid, Heading, Line, Tone, number_text, verdict_cell
from pipelines.views.parts import bytes_text

if TYPE_CHECKING:
    from pipelines.policy.differences import CellChange, Change, Compared
    from pipelines.stages.diff import Difference

_SHOWN = 40
"""Rows of a table and lines of a cell, at most."""
_DIGITS = 12
_UNITS = {"latency_p95_ms": " ms", "start_seconds": " s", "memory_mb": " MB"}


@dataclass(frozen=True)
class DiffView(View):
    """What differs between two versions."""

    difference: Difference

    def blocks(self) -> Sequence[Block]:
        """A table for each respect in which they differ, the changed cells, and what is equal."""
        found = self.difference
        blocks: list[Block] = [Heading(f"{found.left.ref} and {found.right.ref}", beside=self._age())]
        for title, compared in self._tables():
            blocks += self._table(title, compared)
        if found.cells:
            blocks += self._cells(found.cells)
        if len(blocks) == 1:
            blocks.append(Line("Nothing that is recorded differs."))
        return [*blocks, *self._remarks()]

    def document(self) -> Mapping[str, Any]:
        """`left`, `right`, and for each respect `changes` and the count of what is `equal`."""
        found = self.difference
        tables = {title.replace(" ", "_"): _compared(compared) for title, compared in self._tables()}
        cells = [{"left": one.left, "right": one.right, "diff": list(one.lines)} for one in found.cells or ()]
        return {
            "left": str(found.left.ref),
            "right": str(found.right.ref),
            **tables,
            "packages": _compared(found.packages) if found.packages else None,
            "cells": {"changes": cells, "equal": found.equal_cells} if found.cells is not None else None,
        }

    def _tables(self) -> Iterator[tuple[str, Compared]]:
        found = self.difference
        yield "parameters", found.parameters
        yield "metrics", found.metrics
        yield "gates", found.gates
        yield "made from", found.origin
        yield "bento", found.bento
        if found.packages:
            yield "packages", found.packages

    def _table(self, title: str, compared: Compared) -> list[Block]:
        if not compared.changes:
            return []
        shown = compared.changes[:_SHOWN]
        left, right = str(self.difference.left.ref), str(self.difference.right.ref)
        columns = [title, left, right, "change" if any(_step(change) is not None for change in shown) else ""]
        rows = [_row(title, change) for change in shown]
        if any(change.interval for change in shown):
            columns.append("95 % interval")
            rows = [[*row, Cell(interval_text(change))] for row, change in zip(rows, shown, strict=True)]
        more = len(compared.changes) - len(shown)
        rest = [Line(f"and {more} more: `--json` has all.")] if more else []
        return [Grid(columns, rows, is_even=True), *rest]

    def _cells(self, cells: Sequence[CellChange]) -> list[Block]:
        count = f"{len(cells)} code cell{'s' if len(cells) > 1 else ''} of the training notebook"
        blocks: list[Block] = [Heading(count, is_small=True)]
        for cell in cells[:_SHOWN]:
            more = len(cell.lines) - _SHOWN
            cut = [f"  and {more} more lines: --json has all."] if more > 0 else []
            blocks.append(Code(_place(cell), [*cell.lines[:_SHOWN], *cut]))
        return blocks

    def _age(self) -> str:
        left, right = self.difference.left.created, self.difference.right.created
        return f"{left:%Y-%m-%d %H:%M} and {right:%Y-%m-%d %H:%M} UTC"

    def _remarks(self) -> list[Block]:
        """What is equal, and what nobody knows any more."""
        found = self.difference
        counts = {title: compared.equal for title, compared in self._tables()}
        counts["made from"] = 0
        said = [_count(title, count) for title, count in counts.items() if count]
        said += [f"the {change}" for change in _same_origin(found)]
        said += [_count("code cells", found.equal_cells)] if found.equal_cells else []
        blocks: list[Block] = [Line(f"Equal: {', '.join(said)}.")] if said else []
        unknown = [] if found.cells is not None else ["which cells (an executed notebook is gone)"]
        unknown += [] if found.packages is not None else ["which packages (a model does not say)"]
        if not found.left.report or not found.right.report:
            unknown.append("the verdicts (a version was not validated)")
        if not found.left.package or not found.right.package:
            unknown.append("the bentos (a version is not packaged)")
        return [*blocks, Line(f"Not known: {', '.join(unknown)}.", Tone.UNSURE)] if unknown else blocks


def _same_origin(found: Difference) -> list[str]:
    changed = {change.name for change in found.origin.changes}
    known = {
        "notebook": found.left.provenance.notebook_digest,
        "data": found.left.provenance.data_digest,
        "environment": found.left.provenance.lock_digest,
        "code": found.left.provenance.revision.revision,
    }
    return [name for name, value in known.items() if value and name not in changed]


def _count(title: str, count: int) -> str:
    singular = {"parameters": "parameter", "metrics": "metric", "gates": "gate", "packages": "package"}
    if title == "bento":
        return f"{count} fact{'s' if count > 1 else ''} of the bento"
    name = singular.get(title, title.removesuffix("s")) if count == 1 else title
    return f"{count} {name}"


def _place(cell: CellChange) -> str:
    if cell.left is None:
        return f"cell {cell.right}, new"
    if cell.right is None:
        return f"cell {cell.left}, gone"
    return f"cell {cell.right}" if cell.left == cell.right else f"cell {cell.right}, before cell {cell.left}"


def _row(title: str, change: Change) -> list[Cell]:
    values = (_value(title, change.name, value) for value in (change.left, change.right))
    return [Cell(change.name), *values, _change_cell(change)]


def _value(title: str, name: str, value: object) -> Cell:
    if value is None:
        return Cell("-")
    if title == "gates":
        return verdict_cell(Verdict(str(value)))
    if title == "packages":
        return Cell(str(value).removeprefix("==") or "any")
    if name == "size" and isinstance(value, int):
        return Cell(bytes_text(value), is_number=True)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(number_text(value) + (_UNITS.get(name, "") if title == "bento" else ""), is_number=True)
    return Cell(_short(str(value)) if title in ("made from", "bento") else str(value))


def interval_text(change: Change) -> str:
    """The interval of a change, or nothing."""
    return "" if change.interval is None else f"{change.interval[0]:+.3g} to {change.interval[1]:+.3g}"


def _short(text: str) -> str:
    """A digest by its first digits; `git 1a2b..., with changes` likewise."""
    return " ".join(
        word[:_DIGITS] + ("," if word.endswith(",") else "") if len(word) > 2 * _DIGITS else word
        for word in text.split(" ")
    )


def _step(change: Change) -> float | None:
    left, right = change.left, change.right
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right)):
        return None
    return float(right) - float(left)


def _change_cell(change: Change) -> Cell:
    step = _step(change)
    if step is None:
        return Cell("")
    bytes_more = f"{'-' if step < 0 else '+'}{bytes_text(round(abs(step)))}"
    text = bytes_more if change.name == "size" else f"{step:+.3g}"
    if change.may_be_chance:
        return Cell(f"{text}, may be chance", Tone.UNSURE)
    if change.is_better is None:
        return Cell(text)
    return Cell(f"{text} {'better' if change.is_better else 'worse'}", Tone.GOOD if change.is_better else Tone.BAD)


def _compared(compared: Compared) -> dict[str, Any]:
    changes = [
        {
            "name": one.name,
            "left": one.left,
            "right": one.right,
            "better": one.is_better,
            "interval": None if one.interval is None else list(one.interval),
        }
        for one in compared.changes
    ]
    return {"changes": changes, "equal": compared.equal}
