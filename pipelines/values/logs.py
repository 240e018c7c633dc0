"""What hosts, gateway and daemon have written, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.errors import BadInput
from pipelines.values.refs import VersionRef

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""From what interests nobody to what ended a process."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One message of a log.

    Args:
        source: Who wrote it, the log's name: `digits@7`, `gateway` or `daemon`.
        message: What; several lines when it carries a traceback.
        level: One of `LEVELS`. What user code prints is INFO, a traceback ERROR.
        time: When, UTC: its own, or that of the message before it where a plain line names none. None when no
            message of the log names one.
        logger: The Python logger, or the gateway's component; empty for what was printed.
        request_id: Of the request or operation it belongs to; empty when it belongs to none.
        about: The version that a message of the daemon is about; empty when it is about none.
    """

    source: str
    message: str
    level: str = "INFO"
    time: datetime | None = None
    logger: str = ""
    request_id: str = ""
    about: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON."""
        return {
            "time": self.time.isoformat(timespec="milliseconds") if self.time else None,
            "level": self.level,
            "source": self.source,
            "version": self.source if "@" in self.source else self.about or None,
            "logger": self.logger,
            "message": self.message,
            "request_id": self.request_id or None,
        }


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which messages somebody wants to see.

    Args:
        ref: Of this version alone; of everything when None.
        level: At least so grave.
        since: Not before this moment, UTC.
        until: Before this moment, UTC.
        grep: Those that contain this text, in any case.
        lines: How many of the last.

    Raises:
        BadInput: the level is none, nothing can lie between the moments, or `lines` is below 1.
    """

    ref: VersionRef | None = None
    level: str = "DEBUG"
    since: datetime | None = None
    until: datetime | None = None
    grep: str = ""
    lines: int = 50

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise BadInput(f"{self.level!r} is no level", instead=f"the levels are {', '.join(LEVELS)}")
        if self.lines < 1:
            raise BadInput(f"{self.lines} lines are asked for", instead="at least 1")
        if self.since and self.until and self.since >= self.until:
            raise BadInput(
                f"nothing lies between {self.since:%Y-%m-%d %H:%M:%S} and {self.until:%Y-%m-%d %H:%M:%S} UTC",
                instead="--until comes after --since",
            )


@dataclass(frozen=True, slots=True)
class Template:
    """Messages that differ in their numbers and names alone.

    Args:
        text: What they have in common, `<*>` for what differs.
        level: The gravest of them.
        count: How many there are.
        first: When the first was written, UTC; None where no time is known.
        last: When the last was.
        by_source: How many each log has.
        is_new: Whether the version before had none of them; None where there is nothing to compare with.
    """

    text: str
    level: str
    count: int
    first: datetime | None
    last: datetime | None
    by_source: Mapping[str, int]
    is_new: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """The template as JSON."""
        return {
            "template": self.text,
            "level": self.level,
            "count": self.count,
            "first": self.first.isoformat(timespec="milliseconds") if self.first else None,
            "last": self.last.isoformat(timespec="milliseconds") if self.last else None,
            "by_source": dict(self.by_source),
            "new": self.is_new,
        }
