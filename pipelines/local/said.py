"""What the daemon says in its own log: a line of JSON, in the form that hosts write too."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime


def say(message: str, level: str = "WARNING", *, version: str = "", request_id: str = "") -> None:
    """Write one line. A log on a full disk is no reason to stop what works: then nothing is said.

    Args:
        message: What; however many lines it has, it is one in the log.
        level: One of `values.logs.LEVELS`.
        version: The version it is about.
        request_id: The operation it belongs to.
    """
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "logger": "turnout.daemon",
        "message": message,
        **({"version": version} if version else {}),
        **({"request_id": request_id} if request_id else {}),
    }
    with suppress(OSError):
        # In one piece: other threads write here too.
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
