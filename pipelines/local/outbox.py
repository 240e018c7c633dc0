"""Tells the registry who is champion, some time after it is so: what it takes to tell takes seconds to import."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.errors import TurnoutError
from pipelines.local.journal import Event, Journal, Message
from pipelines.ports import Clock

TIMEOUT_SECONDS = 120.0
FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 600.0
WRONG_CALL = 2
"""The exit code of a message that can never arrive: the registry has no such version."""

_STEP = "· "
"""How a command's own words begin on stderr; what libraries write there is none of our business."""

Courier = Callable[[str, Mapping[str, Any]], Sequence[str] | None]
"""The command that delivers a message of a kind, with its body; None when nobody wants it."""


class Outbox:
    """Delivers the journal's messages in their order, one at a time, each until it has arrived.

    Args:
        journal: Where they wait.
        courier: How they are delivered.
        clock: What time it is.
        monotonic: Seconds, for the waits between attempts.
    """

    def __init__(
        self, journal: Journal, courier: Courier, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._journal = journal
        self._courier = courier
        self._clock = clock
        self._monotonic = monotonic
        self._not_before = 0.0

    def deliver(self) -> int:
        """Deliver what waits; return how many arrived. One that does not arrive holds up the others, for some time."""
        if self._monotonic() < self._not_before:
            return 0
        arrived = 0
        for message in self._journal.undelivered():
            failure = self._try(message)
            if failure is not None:
                self._journal.not_delivered(message.id, failure)
                wait = min(FIRST_WAIT_SECONDS * 2**message.attempts, LONGEST_WAIT_SECONDS)
                self._not_before = self._monotonic() + wait
                break
            self._journal.delivered(message.id, self._clock.now())
            arrived += 1
        return arrived

    def _try(self, message: Message) -> str | None:
        """Why it did not arrive; None when it did, or never can."""
        try:
            command = self._courier(message.kind, message.body)
            if command is None:
                return None
            done = subprocess.run(  # noqa: S603 - our own command
                list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
            )
        except (OSError, subprocess.SubprocessError, TurnoutError) as error:
            return str(error)
        if done.returncode == 0:
            self._note(message, done.stderr.decode(errors="replace"))
        if done.returncode in (0, WRONG_CALL):
            return None
        return done.stderr.decode(errors="replace") or f"exit code {done.returncode}"

    def _note(self, message: Message, said: str) -> None:
        """It has arrived, and what it said on the way (a tag that could not be set) belongs into the history."""
        ref = str(message.body.get("ref", ""))
        for line in said.splitlines():
            if not line.startswith(_STEP):
                continue
            reason = line.removeprefix(_STEP)
            event = Event(self._clock.now(), ref.partition("@")[0], "the daemon", "alert", "", ref, reason, {})
            self._journal.note(event)
