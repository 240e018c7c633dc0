"""Blocks as plain text for a terminal."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.views.blocks import (
    Bar,
    Block,
    Code,
    Facts,
    Fold,
    Grid,
    Happening,
    Heading,
    Line,
    Timeline,
    Tone,
    visible,
)
from pipelines.views.drawing import Strokes, bar_text, strokes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "red", Tone.UNSURE: "yellow"}
_NARROWEST = 40
_WIDEST_BAR = 60


def render(blocks: Sequence[Block], width: int, *, color: bool = False, encoding: str = "utf-8") -> str:
    """The blocks for `width` columns, without trailing spaces.

    Args:
        blocks: What is shown, top-down.
        width: Columns of the terminal; 40 at least are used.
        color: Whether with terminal colours.
        encoding: Of the stream it goes to: what that cannot write is drawn, or spelled, in other characters.
    """
    from rich.console import Console

    written = io.StringIO()
    console = Console(
        file=written,
        width=max(width, _NARROWEST),
        force_terminal=color,
        color_system="standard" if color else None,
        force_jupyter=False,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    Paper(console, strokes(encoding)).write(blocks)
    said = "\n".join(line.rstrip() for line in written.getvalue().splitlines())
    return said.encode(encoding, "backslashreplace").decode(encoding)


@dataclass(frozen=True, slots=True)
class Paper:
    """Where blocks are written.

    Args:
        console: It knows the width and the colours.
        marks: The characters for drawings.
    """

    console: Console
    marks: Strokes

    def write(self, blocks: Sequence[Block]) -> None:
        """Write them, a blank line between two."""
        for number, block in enumerate(blocks):
            if number:
                self.console.print()
            self._block(block)

    def _block(self, block: Block) -> None:
        match block:
            case Heading():
                self._heading(block)
            case Facts():
                self._facts(block)
            case Grid():
                self._grid(block)
            case Line():
                self.console.print(styled(block.text, STYLES[block.tone]))
            case Bar():
                self._bar(block)
            case Timeline():
                self._timeline(block)
            case Code():
                self._code(block)
            case Fold():
                self.console.print(styled(block.title, "dim"))
                self.write(block.blocks)

    def _heading(self, block: Heading) -> None:
        from rich.text import Text

        parts = [styled(block.text, "bold")]
        parts += [styled(block.badge.text, STYLES[block.badge.tone])] if block.badge else []
        parts += [styled(block.beside)] if block.beside else []
        self.console.print(Text("  ").join(parts), overflow="fold")

    def _facts(self, block: Facts) -> None:
        from rich.table import Table

        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(no_wrap=max((len(name) for name, _ in block.pairs), default=0) < _NARROWEST // 2)
        table.add_column(overflow="fold")
        for name, value in block.pairs:
            table.add_row(styled(name, "dim"), styled(value))
        self.console.print(table)

    def _grid(self, block: Grid) -> None:
        from pipelines.views.text_grid import print_grid

        print_grid(self.console, block, self.marks)
        if block.remarks:
            self.console.print()
        subjects: dict[str, list[str]] = {}
        for subject, remark in block.remarks:
            subjects.setdefault(remark, []).append(subject)
        for remark, found in subjects.items():
            self._wrapped(f"{', '.join(found)}: {remark}", "  ")

    def _bar(self, block: Bar) -> None:
        drawn, named = bar_text(block, min(self.console.width, _WIDEST_BAR), self.marks)
        self.console.print(styled(drawn))
        self._wrapped("   ".join(named), "")

    def _timeline(self, block: Timeline) -> None:
        for number, (day, found) in enumerate(block.days):
            if number:
                self.console.print()
            self.console.print(styled(day, "bold"))
            for one in found:
                self._happening(one)

    def _happening(self, one: Happening) -> None:
        from rich.text import Text

        mark = styled(self.marks.mark, STYLES[one.tone])
        title = one.title.replace("\u2192", self.marks.arrow)
        beside = f"  {one.beside}" if one.beside else ""
        self.console.print(Text.assemble(f"{one.at} ", mark, " ", styled(title + beside)), overflow="fold")
        if one.text:
            self._wrapped(one.text, "           ", is_indented=True)

    def _code(self, block: Code) -> None:
        if block.title:
            self.console.print(styled(block.title, "dim"))
        tones = {"+": Tone.GOOD, "-": Tone.BAD}
        for line in block.lines:
            self.console.print(styled(line, STYLES[tones.get(line[:1], Tone.PLAIN)]), overflow="fold")

    def _wrapped(self, text: str, indent: str, *, is_indented: bool = False) -> None:
        first = indent if is_indented else ""
        for part in visible(text).splitlines() or [""]:
            filled = textwrap.fill(
                part, self.console.width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
            )
            self.console.print(styled(filled), overflow="fold")


def styled(text: str, style: str = "") -> Text:
    """The text, taken literally."""
    from rich.text import Text

    return Text(visible(text), style)
