"""Views of what hosts, gateway and daemon have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipelines.values.logs import LogRecord, Template
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Line, Tone, visible

if TYPE_CHECKING:
    from pipelines.stages.logs import Summary

_NOTHING = "Nothing was written that was asked for."
_TONES = {"WARNING": Tone.UNSURE, "ERROR": Tone.BAD, "CRITICAL": Tone.BAD}


@dataclass(frozen=True)
class LogsView(View):
    """Messages, the latest last."""

    records: Sequence[LogRecord]

    def blocks(self) -> Sequence[Block]:
        """A row a message."""
        if not self.records:
            return [Line(_NOTHING)]
        return [Grid(("time (UTC)", "level", "log", "message"), [_row(record) for record in self.records])]

    def text(self, width: int = 100, *, color: bool = False, encoding: str = "utf-8") -> str:
        """A line a message and no wrapping, for `grep`."""
        del width, color
        said = "\n".join(map(line_text, self.records)) if self.records else _NOTHING
        return said.encode(encoding, "backslashreplace").decode(encoding)

    def document(self) -> dict[str, Any]:
        """`records`, each with `time`, `level`, `source`, `version`, `logger`, `message` and `request_id`."""
        return {"records": [record.as_dict() for record in self.records]}


@dataclass(frozen=True)
class LogSummaryView(View):
    """Messages by what they have in common."""

    summary: Summary

    def blocks(self) -> Sequence[Block]:
        """What was compared, then a row a template."""
        templates = self.summary.templates
        if not templates:
            return [Line(_NOTHING)]
        columns: tuple[str, ...] = ("count", "level", "template", "first (UTC)", "last (UTC)", "logs")
        told = f"{self.summary.messages:,} messages, {len(templates)} different ones."
        compared = [f"{name} with {before}" for name, before in self.summary.before.items()]
        if compared:
            fresh = sum(one.is_new is True for one in templates)
            told += f" {fresh} new: compared were {', '.join(compared)}."
            columns = ("", *columns)
        return [Line(told), Grid(columns, [_template_row(one, is_compared=bool(compared)) for one in templates])]

    def document(self) -> dict[str, Any]:
        """`messages`, `compared` and `templates`."""
        return {
            "messages": self.summary.messages,
            "compared": dict(self.summary.before),
            "templates": [one.as_dict() for one in self.summary.templates],
        }


def line_text(record: LogRecord) -> str:
    """`2026-01-31 14:00:00.123Z WARNING digits@7 turnout.serving: ... [request 12]`; further lines are indented."""
    time = f"{record.time:%Y-%m-%d %H:%M:%S}.{record.time.microsecond // 1000:03}Z" if record.time else "-"
    logger = f"{visible(record.logger)}: " if record.logger else ""
    request = f" [request {record.request_id}]" if record.request_id else ""
    first, *more = visible(record.message).split("\n")
    said = f"{time} {record.level} {record.source} {logger}{first}{visible(request)}"
    return "\n".join([said, *(f"    {line}" for line in more)])


def _row(record: LogRecord) -> list[Cell]:
    request = f" [request {record.request_id}]" if record.request_id else ""
    return [
        Cell(_moment(record.time)),
        Cell(record.level, _TONES.get(record.level, Tone.PLAIN)),
        Cell(record.source),
        Cell(record.message + request),
    ]


def _template_row(one: Template, *, is_compared: bool) -> list[Cell]:
    logs = ", ".join(f"{source} {count:,}" for source, count in sorted(one.by_source.items()))
    cells = [
        Cell(f"{one.count:,}", is_number=True),
        Cell(one.level, _TONES.get(one.level, Tone.PLAIN)),
        Cell(one.text),
        Cell(_moment(one.first)),
        Cell(_moment(one.last)),
        Cell(logs),
    ]
    return [Cell("new", Tone.UNSURE, is_badge=True) if one.is_new else Cell(""), *cells] if is_compared else cells


def _moment(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else "-"
