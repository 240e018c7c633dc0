"""A grid in a terminal, which may be narrower than the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.views.blocks import Cell, Grid, visible
from pipelines.views.drawing import SPARK_WIDTH, Strokes, scale_text, spark_text
from pipelines.views.text import STYLES, styled

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_GAP = 2
_NARROWEST_COLUMN = 14
"""Of a column whose text may be broken into lines."""
_SCALE = (14, 32)
"""The least and the most characters of a drawn scale."""


def print_grid(console: Console, block: Grid, marks: Strokes) -> None:
    """Print it as a table; as a list of facts, row by row, where no table of it fits.

    Scales stand in a column of their own, or below the row's name where there is no room for one.
    """
    if not block.rows:
        return
    fitting = _fitting(block, console.width)
    if sum(_widths(fitting, is_broken=True)) > console.width:
        # Below one another there is room for all of it.
        _print_cards(console, block, marks)
        return
    block = fitting
    has_scales = any(cell.scale for row in block.rows for cell in row)
    room = console.width - sum(_widths(block, is_broken=False)) - _GAP
    is_beside = has_scales and room >= _SCALE[0]
    _print_table(console, block, marks, min(room, _SCALE[1]) if is_beside else 0, has_scales=has_scales)


def _print_table(console: Console, block: Grid, marks: Strokes, beside: int, *, has_scales: bool) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for number, name in enumerate(block.columns):
        is_number = any(row[number].is_number for row in block.rows)
        table.add_column(
            visible(name), justify="right" if is_number else "left", no_wrap=_is_kept(block, number), overflow="fold"
        )
    if beside:
        table.add_column("", no_wrap=True)
    below = 0 if beside or not has_scales else min(max(_width(row[0].text) for row in block.rows), _SCALE[1])
    for row in block.rows:
        scaled = next((cell for cell in row if cell.scale), None)
        cells = [_sparked(cell, marks) for cell in row]
        if beside:
            cells.append(_drawn(scaled, beside, marks))
        elif below >= _SCALE[0] and scaled is not None:
            cells[0] = cells[0].append("\n").append_text(_drawn(scaled, below, marks))
        table.add_row(*cells)
    console.print(table)


def _print_cards(console: Console, block: Grid, marks: Strokes) -> None:
    from rich.text import Text

    for row in block.rows:
        badges = [_text(cell) for cell in row[1:] if cell.is_badge]
        console.print(Text("  ").join([styled(row[0].text, "bold"), *badges]), overflow="fold")
        for name, cell in zip(block.columns[1:], row[1:], strict=True):
            if (cell.text.strip(" -") or cell.spark) and not cell.is_badge:
                _print_fact(console, name, _sparked(cell, marks))
            if cell.scale:
                console.print(Text("  ").append_text(_drawn(cell, _SCALE[1], marks)))


def _print_fact(console: Console, name: str, text: Text) -> None:
    from rich.padding import Padding
    from rich.text import Text

    said = Text.assemble(styled(f"{name} ", "dim"), text)
    said.overflow = "fold"
    console.print(Padding(said, (0, 0, 0, 2), expand=False))


def _fitting(block: Grid, width: int) -> Grid:
    """The grid without as many of its spare columns as it takes to fit."""
    for name in block.spare:
        if sum(_widths(block, is_broken=False)) <= width:
            break
        kept = [number for number, column in enumerate(block.columns) if column != name]
        rows = [[row[number] for number in kept] for row in block.rows]
        block = replace(block, columns=[block.columns[number] for number in kept], rows=rows)
    return block


def _widths(block: Grid, *, is_broken: bool) -> list[int]:
    """The width of each column with its gap; `is_broken` when those that may be are broken into lines."""
    found: list[int] = []
    for number, texts in enumerate(zip(block.columns, *_texts(block), strict=True)):
        width = max(map(_width, texts))
        is_whole = not is_broken or _is_kept(block, number)
        found.append((width if is_whole else min(width, _NARROWEST_COLUMN)) + _GAP)
    if found:
        found[-1] -= _GAP
    return found


def _texts(block: Grid) -> Sequence[Sequence[str]]:
    return [[cell.text + "x" * (SPARK_WIDTH if cell.spark else 0) for cell in row] for row in block.rows]


def _is_kept(block: Grid, number: int) -> bool:
    """Names and verdicts are what one looks for: other columns give way first."""
    return number == 0 or any(row[number].is_badge or row[number].is_number or row[number].spark for row in block.rows)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return max((cell_len(line) for line in visible(text).splitlines()), default=0)


def _drawn(cell: Cell | None, width: int, marks: Strokes) -> Text:
    if cell is None or cell.scale is None:
        return styled("")
    return styled(scale_text(cell.scale, width, marks), STYLES[cell.tone])


def _sparked(cell: Cell, marks: Strokes) -> Text:
    return _text(cell).append(spark_text(cell.spark, marks)) if cell.spark else _text(cell)


def _text(cell: Cell) -> Text:
    return styled(cell.text, STYLES[cell.tone])
