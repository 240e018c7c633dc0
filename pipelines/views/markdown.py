"""A shipment as Markdown, for a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipelines.values import Verdict
from pipelines.views.blocks import number_text, visible
from pipelines.views.diff import interval_text
from pipelines.views.parts import bytes_text

if TYPE_CHECKING:
    from pipelines.policy.differences import Change, Compared
    from pipelines.stages.diff import Difference
    from pipelines.stages.ship_report import ShipReport

_MARKS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "❔"}
_SPECIAL = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)")
_ROWS, _LINES = 40, 60
_DIGITS = 12


def report_markdown(report: ShipReport, files: Mapping[str, str], pictures: Sequence[tuple[str, str]]) -> str:
    """The document.

    Args:
        report: The shipment.
        files: Where what it left behind lies, relative to the document, by name.
        pictures: The plots of its notebooks: titles, and where they lie.
    """
    parts = [*_head(report), *_stages(report), *_gates(report)]
    if report.difference is not None:
        parts += _difference(report.difference)
    elif report.shipped is not None:
        parts.append("There is no champion yet that it could be compared with.")
    if pictures:
        parts += ["### Plots", *(f"{_text(title)}\n\n![{_text(title)}]({quote(at)})" for title, at in pictures)]
    if files:
        parts += ["### Files", "\n".join(f"- [{_text(name)}]({quote(at)})" for name, at in files.items())]
    return "\n\n".join(parts) + "\n"


def _head(report: ShipReport) -> Iterator[str]:
    name = str(report.shipped.version.ref) if report.shipped else report.model
    said = "passed" if report.is_good else "did not succeed" if report.error else "did not pass"
    yield f"## {'✅' if report.is_good else '❌'} {_text(name)} {said}"
    if report.error is not None:
        yield f"**{type(report.error).__name__}**: {_text(str(report.error))}"


def _stages(report: ShipReport) -> Iterator[str]:
    rows = [(str(step.stage), str(step.outcome), step.reason) for step in report.steps]
    if report.error is not None:
        rows.append((report.broken_stage or "after the last stage", "error", report.error.what))
    if rows:
        yield _table(("stage", "outcome", "because"), rows)


def _gates(report: ShipReport) -> Iterator[str]:
    if not report.checks:
        return
    rival = report.shipped.version.report.champion if report.shipped and report.shipped.version.report else None
    yield f"### Gates{f', compared with {_text(str(rival))}' if rival else ''}"
    rows = [
        (
            check.name,
            f"{_MARKS[check.verdict]} {check.verdict.value}",
            "-" if check.observed is None else number_text(check.observed),
            check.required,
            check.note,
        )
        for check in report.checks
    ]
    yield _table(("gate", "verdict", "observed", "required", ""), rows)


def _difference(found: Difference) -> Iterator[str]:
    left, right = str(found.left.ref), str(found.right.ref)
    if found.metrics.changes or found.metrics.equal:
        yield f"### Metrics against {_text(left)}"
        yield from _changes("metric", left, right, found.metrics)
    rest = (("parameter", found.parameters), ("made from", found.origin), ("bento", found.bento))
    tables = [(title, compared) for title, compared in (*rest, ("package", found.packages)) if compared]
    if any(compared.changes for _, compared in tables) or found.cells:
        yield f"### What else differs from {_text(left)}"
    for title, compared in tables:
        if compared.changes:
            yield from _changes(title, left, right, compared)
    yield from _cells(found)


def _cells(found: Difference) -> Iterator[str]:
    if found.cells is None:
        yield "Which code cells differ is not known: an executed notebook is gone."
    for cell in (found.cells or ())[:_ROWS]:
        title = f"Code cell {cell.right if cell.right is not None else cell.left}"
        said = ", new" if cell.left is None else ", gone" if cell.right is None else ""
        lines = [visible(line) for line in cell.lines[:_LINES]]
        more = len(cell.lines) - _LINES
        lines += [f"  and {more} more lines"] if more > 0 else []
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", "\n".join(lines))), default=0))
        code = "\n".join([f"{fence}diff", *lines, fence])
        yield f"<details><summary>{title}{said}</summary>\n\n{code}\n\n</details>"


def _changes(title: str, left: str, right: str, compared: Compared) -> Iterator[str]:
    shown = compared.changes[:_ROWS]
    rows = [[change.name, _value(change, change.left), _value(change, change.right), _step(change)] for change in shown]
    columns = [title, left, right, "change"]
    if any(change.interval for change in shown):
        columns.append("95 % interval")
        rows = [[*row, interval_text(change)] for row, change in zip(rows, shown, strict=True)]
    if rows:
        yield _table(columns, rows)
    more = len(compared.changes) - _ROWS
    said = [f"and {more} more"] if more > 0 else []
    said += [f"{compared.equal} equal"] if compared.equal and title == "metric" else []
    if said:
        yield f"{', '.join(said).capitalize()}."


def _value(change: Change, value: object) -> str:
    if value is None:
        return "-"
    if change.name == "size" and isinstance(value, int):
        return bytes_text(value)
    text = number_text(value)
    return " ".join(word[:_DIGITS] if len(word) > 2 * _DIGITS and word.isalnum() else word for word in text.split(" "))


def _step(change: Change) -> str:
    left, right = change.left, change.right
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right)):
        return ""
    better = {True: " better", False: " worse", None: ""}[change.is_better]
    if change.may_be_chance:
        better = ", may be chance"
    return f"{float(right) - float(left):+.3g}{better}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in (columns, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])


def _text(text: str) -> str:
    """The text as it stands, whatever Markdown would make of it."""
    plain = visible(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # An @ behind no word would call a person.
    return re.sub(r"(?<!\w)@", "&#64;", _SPECIAL.sub(lambda found: f"\\{found.group()}", plain))
