"""Blocks as HTML: one fragment with its own style, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipelines.views.blocks import Block, Cell, Code, Facts, Grid, Heading, Line, Scale, Tone

_COLORS = {Tone.PLAIN: "#57606a", Tone.GOOD: "#1a7f37", Tone.BAD: "#b42318", Tone.UNSURE: "#8a6100"}
"""Each with white text on it, and on white, at a contrast of 4.5 and more."""

_STYLE = """
.turnout{color-scheme:light dark;--good:#1a7f37;--bad:#b42318;--unsure:#8a6100;--soft:#57606a;--rule:#8886;
font:14px/1.5 system-ui,sans-serif;color:var(--jp-content-font-color1,inherit);max-width:72em}
.turnout h3{font-size:1.1em;margin:.2em 0 .5em}
.turnout table{border-collapse:collapse;margin:.3em 0 .8em;font-variant-numeric:tabular-nums}
.turnout th,.turnout td{text-align:left;vertical-align:top;padding:.2em 1em .2em 0;border-bottom:1px solid var(--rule)}
.turnout th{font-weight:600;color:var(--soft)}
.turnout .number{text-align:right;white-space:nowrap}
.turnout p{margin:.3em 0}
.turnout pre{margin:.3em 0 .8em;overflow-x:auto;background:none}
.turnout .good{color:var(--good)}.turnout .bad{color:var(--bad)}.turnout .unsure{color:var(--unsure)}
.turnout .badge{color:#fff;border-radius:.3em;padding:0 .45em;font-weight:600;font-size:.9em;white-space:nowrap}
.turnout svg{vertical-align:middle}
@media (prefers-color-scheme:dark){.turnout{--good:#3fb950;--bad:#ff7b72;--unsure:#d29922;--soft:#9aa4af}}
"""

_WIDTH, _HEIGHT = 140, 16


def render(blocks: Sequence[Block]) -> str:
    """The blocks as one `<div>`; all texts are escaped."""
    return f'<div class="turnout"><style>{_STYLE}</style>{"".join(_block(block) for block in blocks)}</div>'


def _block(block: Block) -> str:
    match block:
        case Heading():
            badge = f" {_mark(block.badge)}" if block.badge else ""
            beside = f" <small>{escape(block.beside)}</small>" if block.beside else ""
            return f"<h3>{escape(block.text)}{badge}{beside}</h3>"
        case Facts():
            rows = (
                f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in block.pairs
            )
            return f"<table>{''.join(rows)}</table>"
        case Grid():
            return _grid(block)
        case Line():
            return f'<p class="{block.tone.value}">{escape(block.text)}</p>'
        case Code():
            lines = (f'<span class="{tone.value}">{escape(line)}</span>' for line, tone in block.lines)
            return "<pre>" + "\n".join(lines) + "</pre>"


def _grid(block: Grid) -> str:
    remarks = dict(block.remarks)
    notes = "<th>note</th>" if remarks else ""
    heads = []
    for number, name in enumerate(block.columns):
        is_number = any(row[number].is_number for row in block.rows)
        heads.append(f'<th scope="col"{_class(is_number=is_number)}>{escape(name)}</th>')
    rows = []
    for row in block.rows:
        cells = "".join(f"<td{_class(is_number=cell.is_number)}>{_cell(cell)}</td>" for cell in row)
        note = f"<td>{escape(remarks.get(row[0].text, ''))}</td>" if remarks else ""
        rows.append(f"<tr>{cells}{note}</tr>")
    return f"<table><thead><tr>{''.join(heads)}{notes}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _class(*, is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _cell(cell: Cell) -> str:
    if cell.is_badge:
        return _mark(cell)
    text = escape(cell.text)
    if cell.tone is not Tone.PLAIN:
        text = f'<span class="{cell.tone.value}">{text}</span>'
    return f"{text} {_drawn(cell.scale, cell.tone)}" if cell.scale else text


def _mark(cell: Cell) -> str:
    return f'<span class="badge" style="background:{_COLORS[cell.tone]}">{escape(cell.text)}</span>'


def _drawn(scale: Scale, tone: Tone) -> str:
    """A bar: the allowed range shaded, its bounds as strokes, the number as a dot, its interval as a line."""
    low, high = min(scale.points), max(scale.points)
    room = (high - low) * 0.15 or abs(high) * 0.15 or 1.0

    def x(value: float) -> float:
        return round(4 + (_WIDTH - 8) * (value - low + room) / (high - low + 2 * room), 1)

    middle = _HEIGHT / 2
    left = x(scale.low) if scale.low is not None else 0
    right = x(scale.high) if scale.high is not None else _WIDTH
    parts = [
        f'<rect x="{left}" y="3" width="{max(0.0, round(right - left, 1))}" height="10" fill="#8884"/>',
        f'<line x1="0" y1="{middle}" x2="{_WIDTH}" y2="{middle}" stroke="#888"/>',
    ]
    parts += [
        f'<line x1="{x(bound)}" y1="1" x2="{x(bound)}" y2="15" stroke="#888" stroke-width="2"/>'
        for bound in (scale.low, scale.high)
        if bound is not None
    ]
    if scale.interval:
        start, end = (x(value) for value in scale.interval)
        parts.append(
            f'<line x1="{start}" y1="{middle}" x2="{end}" y2="{middle}" stroke="currentColor" stroke-width="3"/>'
        )
    parts.append(f'<circle cx="{x(scale.value)}" cy="{middle}" r="4" fill="currentColor"/>')
    return f'<svg class="{tone.value}" width="{_WIDTH}" height="{_HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'
