"""Messages as JSON, one line each."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO, Any


class JsonLines(logging.Formatter):
    """`{"time", "level", "logger", "message", "version"}`, and `request_id` where the message belongs to a request.

    A traceback stands in the message, after its own lines. Whatever the message holds, the line is one line.

    Args:
        version: Who writes, such as `digits@7`; None for a process that is no version.
    """

    def __init__(self, version: str | None = None) -> None:
        super().__init__()
        self._version = {"version": version} if version else {}

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, without its end."""
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        written: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            **self._version,
        }
        request_id = getattr(record, "request_id", None)
        if request_id:
            written["request_id"] = str(request_id)
        return json.dumps(written, ensure_ascii=False)


def set_up(version: str | None = None, level: int = logging.WARNING, stream: IO[str] | None = None) -> None:
    """Have all loggers write JSON lines, at least as grave as `level`, to a stream, stderr unless given."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(version))
    logging.basicConfig(handlers=[handler], level=level, force=True)
