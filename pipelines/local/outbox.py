"""Tells others what they have to know, some time after it is so: each message waits in the journal until it arrived."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.errors import TurnoutError
from pipelines.local.aside import side_by_side
from pipelines.local.journal import Event, Journal, Message
from pipelines.local.said import say
from pipelines.ports import Clock

TIMEOUT_SECONDS = 120.0
WRONG_CALL = 2
"""The exit code of a message that can never arrive: the registry has no such version."""

_STEP = "· "
"""How a command's own words begin on stderr; what libraries write there is none of our business."""

Courier = Callable[[str, Mapping[str, Any]], Sequence[str] | None]
"""The command that delivers a message of a kind, with its body; None when nobody wants it."""

Carrier = Callable[[Message], str | None]
"""Delivers a message; why it did not arrive, or None when it did, or nobody wants it any more."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a message is tried.

    Args:
        first: Seconds after the first attempt; twice as many after each further one.
        longest: At most so many seconds.
        attempts: After so many it is given up; None for never.
    """

    first: float = 5.0
    longest: float = 600.0
    attempts: int | None = None

    def wait(self, attempts: int) -> float:
        """Seconds until the next attempt, after so many that failed before the last one."""
        return float(min(self.first * 2 ** min(attempts, 32), self.longest))


class Outbox:
    """Delivers the journal's messages of some kinds.

    Those of a lane go in their order, one at a time; a lane whose first message does not arrive holds up no other.

    Args:
        journal: Where they wait.
        carriers: How they are delivered, by kind.
        clock: What time it is.
        pace: How often each is tried.
        lane: In which lane a message goes; all of a kind in one, unless given.
        monotonic: Seconds, for the waits between attempts.
    """

    def __init__(
        self,
        journal: Journal,
        carriers: Mapping[str, Carrier],
        clock: Clock,
        pace: Pace = Pace(),
        lane: Callable[[Message], str] = lambda message: message.kind,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._carriers = carriers
        self._clock = clock
        self._pace = pace
        self._lane = lane
        self._monotonic = monotonic
        self._not_before: dict[str, float] = {}

    def deliver(self) -> int:
        """Deliver what waits and is due; return how many arrived."""
        now = self._monotonic()
        lanes: dict[str, list[Message]] = {}
        for message in self._journal.undelivered(tuple(self._carriers)):
            lanes.setdefault(self._lane(message), []).append(message)
        self._not_before = {lane: at for lane, at in self._not_before.items() if lane in lanes}
        due = [(lane, messages) for lane, messages in lanes.items() if now >= self._not_before.get(lane, now)]
        arrived, failed = 0, None
        for outcome in side_by_side(self._deliver_guarded, due):
            if isinstance(outcome, TurnoutError):
                failed = outcome
            else:
                arrived += outcome
        if failed is not None:
            raise failed
        return arrived

    def _deliver_guarded(self, lane: tuple[str, Sequence[Message]]) -> int | TurnoutError:
        """How many of a lane arrived, or why that could not be noted."""
        try:
            return self._deliver(*lane)
        except TurnoutError as error:
            return error

    def _deliver(self, lane: str, messages: Sequence[Message]) -> int:
        arrived = 0
        for message in messages:
            failure = self._try(message)
            if failure is None:
                self._journal.delivered(message.id, self._clock.now())
                arrived += 1
            elif self._pace.attempts is not None and message.attempts + 1 >= self._pace.attempts:
                self._journal.gave_up(message.id, failure, self._clock.now())
                say(f"{lane}: given up after {message.attempts + 1} attempts: {failure}", "ERROR")
            else:
                self._journal.not_delivered(message.id, failure)
                self._not_before[lane] = self._monotonic() + self._pace.wait(message.attempts)
                break
        return arrived

    def _try(self, message: Message) -> str | None:
        try:
            return self._carriers[message.kind](message)
        except (OSError, TurnoutError) as error:
            return str(error)


def by_command(courier: Courier, journal: Journal, clock: Clock) -> Carrier:
    """A carrier that runs a command for each message, and notes what it said in the journal's history."""

    def carry(message: Message) -> str | None:
        command = courier(message.kind, message.body)
        if command is None:
            return None
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
            )
        except subprocess.SubprocessError as error:
            return str(error)
        if done.returncode == 0:
            _noted(message, done.stderr.decode(errors="replace"), journal, clock)
        if done.returncode in (0, WRONG_CALL):
            return None
        return done.stderr.decode(errors="replace") or f"exit code {done.returncode}"

    return carry


def _noted(message: Message, said: str, journal: Journal, clock: Clock) -> None:
    """It has arrived, and what it said on the way (a tag that could not be set) belongs into the history."""
    ref = str(message.body.get("ref", ""))
    for line in said.splitlines():
        if line.startswith(_STEP):
            reason = line.removeprefix(_STEP)
            journal.note(Event(clock.now(), ref.partition("@")[0], "the daemon", "alert", "", ref, reason, {}))
