"""What client, daemon and guardian agree on: files in the project's state, and the words that go over the socket."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

PROTOCOL = 2
"""Rises with each change that an older daemon would not understand: a newer client then replaces it."""

HEADER = "x-turnout-protocol"
STREAM = "application/x-ndjson"
"""An operation is followed line by line: `{"step": {...}}`, and last `{"done": {...}}` or `{"error": {...}}`."""

DAEMON_LOCK = "daemon.lock"
"""Held by the daemon as long as it lives: there is one."""
GUARDIAN_LOCK = "guardian.lock"
CLIENT_LOCK = "client.lock"
"""Held while a client starts the others."""
LEASE = "daemon.lease"
"""The daemon's process id; touched every second. Gone when the daemon has ended on purpose."""
ADDRESS = "daemon.json"
"""`protocol`, `version`, `pid` and `socket` of the daemon that answers."""
FAILURE = "daemon-failed.json"
"""Why the last daemon could not start: a TurnoutError as JSON."""
STOPPED = "stopped.json"
"""The last status before everything was stopped."""

LEASE_RENEWED_SECONDS = 1.0


def try_lock(path: Path, patience: float = 0.5) -> IO[str] | None:
    """The open, locked file, to be kept as long as the lock; None when another process holds it.

    Args:
        path: The file.
        patience: Seconds to go on trying: somebody may only be looking whether it is held.

    Raises:
        OSError: the file cannot be made.
    """
    file = path.open("a")
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.close()
                    return None
                time.sleep(0.02)
            else:
                return file
    except BaseException:
        file.close()
        raise


def is_held(path: Path) -> bool:
    """Whether a process holds the lock; a file that is not there is held by nobody."""
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
