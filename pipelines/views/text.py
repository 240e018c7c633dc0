"""Blocks as plain text for a terminal."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.views.blocks import Block, Cell, Code, Facts, Grid, Heading, Line, Tone

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "red", Tone.UNSURE: "yellow"}


def render(blocks: Sequence[Block], width: int, *, color: bool = False) -> str:
    """The blocks for `width` columns, without trailing spaces; with `color`, terminal colours."""
    from rich.console import Console

    written = io.StringIO()
    console = Console(
        file=written,
        width=max(width, 40),
        force_terminal=color,
        color_system="standard" if color else None,
        force_jupyter=False,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for number, block in enumerate(blocks):
        if number:
            console.print()
        _print(console, block)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def _print(console: Console, block: Block) -> None:
    from rich.text import Text

    match block:
        case Heading():
            parts = [Text(block.text, "bold")]
            parts += [_text(block.badge)] if block.badge else []
            parts += [Text(block.beside)] if block.beside else []
            console.print(Text("  ").join(parts))
        case Facts():
            _facts(console, block)
        case Grid():
            _grid(console, block)
        case Line():
            console.print(Text(block.text, _STYLES[block.tone]))
        case Code():
            for line, tone in block.lines:
                console.print(Text(line, _STYLES[tone]), soft_wrap=True)


def _facts(console: Console, block: Facts) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in block.pairs:
        table.add_row(Text(name, "dim"), Text(value))
    console.print(table)


def _grid(console: Console, block: Grid) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    block = _fitting(block, console.width)
    for number, name in enumerate(block.columns):
        is_number = any(row[number].is_number for row in block.rows)
        # Names and verdicts are what one looks for: other columns give way first.
        kept = number == 0 or any(row[number].is_badge or row[number].is_number for row in block.rows)
        table.add_column(name, justify="right" if is_number else "left", no_wrap=kept, overflow="fold")
    for row in block.rows:
        table.add_row(*(_text(cell) for cell in row))
    console.print(table)
    if block.remarks:
        console.print()
    subjects: dict[str, list[str]] = {}
    for subject, remark in block.remarks:
        subjects.setdefault(remark, []).append(subject)
    for remark, found in subjects.items():
        said = f"{', '.join(found)}: {remark}"
        console.print(Text(textwrap.fill(said, console.width, subsequent_indent="  ", break_on_hyphens=False)))


def _fitting(block: Grid, width: int) -> Grid:
    """The grid without as many of its spare columns as it takes to fit."""
    for name in block.spare:
        widths = [
            max(map(len, texts))
            for texts in zip(block.columns, *([c.text for c in r] for r in block.rows), strict=True)
        ]
        if sum(widths) + 2 * (len(widths) - 1) <= width:
            break
        kept = [number for number, column in enumerate(block.columns) if column != name]
        rows = [[row[number] for number in kept] for row in block.rows]
        block = replace(block, columns=[block.columns[number] for number in kept], rows=rows)
    return block


def _text(cell: Cell) -> Text:
    from rich.text import Text

    return Text(cell.text, _STYLES[cell.tone])
