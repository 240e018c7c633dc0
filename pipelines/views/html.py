"""Blocks as HTML: one fragment that needs nothing from elsewhere, and reads without its style too."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

from pipelines.views.blocks import (
    Bar,
    Block,
    Cell,
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
from pipelines.views.drawing import bar_svg, scale_svg, share_text, spark_svg
from pipelines.views.style import BADGES, SHARES, STYLE


def render(blocks: Sequence[Block]) -> str:
    """The blocks as one `<div>`; all texts are escaped."""
    return f'<div class="turnout"><style>{STYLE}</style>{_all(blocks)}</div>'


def _all(blocks: Iterable[Block]) -> str:
    return "".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    match block:
        case Heading():
            return _heading(block)
        case Facts():
            return _facts(block)
        case Grid():
            return _grid(block)
        case Line():
            return f'<p class="{block.tone.value}">{_COMMAND.sub(_code_mark, _said(block.text))}</p>'
        case Bar():
            return _bar(block)
        case Timeline():
            return "".join(f"<h4>{_said(day)}</h4><ul>{_happenings(found)}</ul>" for day, found in block.days)
        case Code():
            title = f"<h4>{_said(block.title)}</h4>" if block.title else ""
            return f"{title}<pre>{_code(block.lines)}</pre>"
        case Fold():
            return f"<details><summary>{_said(block.title)}</summary>{_all(block.blocks)}</details>"


_COMMAND = re.compile("`([^`]+)`")
_code_mark = r"<code>\1</code>"


def _heading(block: Heading) -> str:
    badge = f" {_mark(block.badge)}" if block.badge else ""
    beside = f" <small>{_said(block.beside)}</small>" if block.beside else ""
    tag = "h4" if block.is_small else "h3"
    return f"<{tag}>{_said(block.text)}{badge}{beside}</{tag}>"


def _facts(block: Facts) -> str:
    rows = (f'<tr><th scope="row">{_said(name)}</th><td>{_said(value)}</td></tr>' for name, value in block.pairs)
    return f'<table class="facts">{"".join(rows)}</table>'


def _grid(block: Grid) -> str:
    remarks = dict(block.remarks)
    heads = []
    for number, name in enumerate(block.columns):
        kind = ' class="number"' if any(row[number].is_number for row in block.rows) else ""
        heads.append(f'<th scope="col"{kind}>{_said(name)}</th>')
    rows = []
    for row in block.rows:
        cells = "".join(f"<td{_class(number, cell)}>{_cell(cell)}</td>" for number, cell in enumerate(row))
        remark = remarks.get(row[0].text, "")
        if not remark:
            rows.append(f"<tr>{cells}</tr>")
        else:
            rows.append(f'<tr class="noted">{cells}</tr>')
            rows.append(f'<tr class="remark"><td colspan="{len(row)}">{_said(remark)}</td></tr>')
    head = f"<thead><tr>{''.join(heads)}</tr></thead>"
    kind = ' class="even"' if block.is_even else ""
    return f'<div class="wide"><table{kind}>{head}<tbody>{"".join(rows)}</tbody></table></div>'


_SHORT, _LONG = 24, 30


def _class(number: int, cell: Cell) -> str:
    if cell.is_number:
        return ' class="number"'
    if max(map(len, cell.text.split()), default=0) > _LONG:
        return ' class="long"'
    return ' class="kept"' if number == 0 and len(cell.text) <= _SHORT else ""


def _cell(cell: Cell) -> str:
    if cell.is_badge:
        return _mark(cell)
    text = _said(cell.text)
    if cell.tone is not Tone.PLAIN:
        text = f'<span class="{cell.tone.value}">{text}</span>'
    drawn = scale_svg(cell.scale, cell.tone) if cell.scale else spark_svg(cell.spark) if cell.spark else ""
    return f"{text} {drawn}".strip()


def _mark(cell: Cell) -> str:
    return f'<span class="badge" style="background:{BADGES[cell.tone]}">{_said(cell.text)}</span>'


def _bar(block: Bar) -> str:
    # The squares are characters, so that a page without our colours still tells the parts apart.
    named = (
        f'<span><b style="color:{SHARES[number % len(SHARES)]}">&#9632;</b> {_said(name)} {share_text(share)}</span>'
        for number, (name, share) in enumerate(block.parts)
    )
    return f'<div class="bar">{bar_svg(block)}{" ".join(named)}</div>'


def _happenings(found: Iterable[Happening]) -> str:
    return "".join(
        f'<li class="{one.tone.value}"><time>{_said(one.at)}</time> <strong>{_said(one.title)}</strong>'
        + (f" <small>{_said(one.beside)}</small>" if one.beside else "")
        + (f"<p>{_said(one.text)}</p>" if one.text else "")
        + "</li>"
        for one in found
    )


def _code(lines: Iterable[str]) -> str:
    tones = {"+": Tone.GOOD, "-": Tone.BAD}
    said = []
    for line in lines:
        tone = tones.get(line[:1])
        text = escape(visible(line))
        said.append(f'<span class="{tone.value}">{text}</span>' if tone else text)
    return "\n".join(said)


def _said(text: str) -> str:
    """The text escaped; one with letters that run from right to left does not turn what stands beside it."""
    text = visible(text)
    is_turning = not text.isascii() and any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text)
    return f"<bdi>{escape(text)}</bdi>" if is_turning else escape(text)
