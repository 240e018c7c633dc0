"""Sends in a process of its own: whatever hangs is ended, and nothing of it reaches the daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

SEND_SECONDS = 20.0
"""A target that has not taken a message by then has not got it."""

COMMAND = (sys.executable, "-P", "-m", "pipelines.adapters.apprise_sender")


class Sender:
    """Sends one message at a time, from any thread.

    Args:
        command: Takes a line of JSON on its standard input, and answers with one on its standard output.
        seconds: How long it may take.
    """

    def __init__(self, command: Sequence[str] = COMMAND, seconds: float = SEND_SECONDS) -> None:
        self._command = command
        self._seconds = seconds

    def send(self, letter: Mapping[str, Any]) -> str | None:
        """Why the message did not arrive; None when it did. The address is in no argument, which others could see."""
        try:
            with subprocess.Popen(  # noqa: S603 - our own command
                list(self._command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as process:
                try:
                    return self._talk(process, letter)
                finally:
                    with suppress(OSError):
                        process.kill()
        except OSError as error:
            return f"it could not be sent: {error}"

    def _talk(self, process: subprocess.Popen[bytes], letter: Mapping[str, Any]) -> str | None:
        assert process.stdin is not None  # noqa: S101 - for mypy
        assert process.stdout is not None  # noqa: S101 - for mypy
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(dict(letter)).encode() + b"\n")
            process.stdin.flush()
        try:
            # Its input stays open: it ends when this process does.
            process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            return f"no answer within {self._seconds:.0f} s"
        try:
            said = json.loads(process.stdout.read())
        except ValueError:
            return f"the sender ended with {process.returncode}"
        return None if said.get("ok") else str(said.get("error") or "it was not taken")
