"""The daemon's part that tells people."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipelines.errors import BadInput, StorageFailed, TurnoutError
from pipelines.local.alerts.book import KIND, AlertBook, Post
from pipelines.local.alerts.sender import Sender
from pipelines.local.alerts.targets import AlertTarget, letter, targets_of
from pipelines.local.aside import aside, side_by_side
from pipelines.local.journal import Journal, Message
from pipelines.local.outbox import Outbox, Pace
from pipelines.local.rooms import Room
from pipelines.policy.alerts import Seen, Watched, from_event, look
from pipelines.ports import Clock
from pipelines.values.alerts import Alert, AlertKind, Alerts

WATCH_SECONDS = 2.0
DELIVERY_SECONDS = 1.0
PACE = Pace(first=5.0, longest=600.0, attempts=10)
"""Half an hour in all: later than that nobody need be told any more."""
_LISTED = 50


@dataclass(frozen=True)
class AlertSources:
    """What the alerts come from.

    Args:
        rules: Who is told and of what, as the project file has it now.
        journal: The history, and where alerts wait.
        status: What runs: `{"models": {...}}`.
        state: The project's state folder.
        clock: What time it is.
        environment: For the variables in addresses.
    """

    rules: Callable[[], Alerts]
    journal: Journal
    status: Callable[[], Mapping[str, Any]]
    state: Path
    clock: Clock
    environment: Mapping[str, str]


class AlertRoom:
    """Watches, raises alerts and sends them.

    Args:
        sources: What they come from.
        sender: Who sends.
        pace: How often each message is tried.
        free: Free bytes of the disk.
        monotonic: Seconds.
    """

    def __init__(
        self,
        sources: AlertSources,
        sender: Sender | None = None,
        pace: Pace = PACE,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = sources
        self._sender = sender or Sender()
        self._free = free
        self._monotonic = monotonic
        self._book = AlertBook(sources.journal)
        self._outbox = Outbox(sources.journal, {KIND: self._carry}, sources.clock, pace, _lane, monotonic)
        self._watched = Watched()

    @property
    def room(self) -> Room:
        """It as a part of the daemon."""
        return Room(
            loops=((self.watch, WATCH_SECONDS), (self.deliver_alerts, DELIVERY_SECONDS)),
            questions={"alerts": self.listed},
            orders={"alert": self.take, "alerts-test": self.test},
        )

    def watch(self) -> None:
        """Raise alerts of what has happened and of what is to be seen now.

        Raises:
            StorageFailed: the journal cannot be written; what was to be seen is sent once all the same.
        """
        rules = self._sources.rules()
        post = self._post(rules)
        self._book.take_events(lambda *event: _wanted(from_event(*event), rules), post)
        if not rules.urls:
            self._watched = Watched()
            return
        seen = Seen(
            self._sources.clock.now(),
            self._monotonic(),
            self._free(self._sources.state),
            self._sources.status()["models"],
        )
        self._watched, alerts = look(self._watched, seen, rules)
        failed: StorageFailed | None = None
        for alert in alerts:
            if rules.wants(alert.kind):
                try:
                    self._book.add(alert, post)
                except StorageFailed as error:
                    # The disk that is too full for a message is what the message is about.
                    for target in post.targets:
                        aside(partial(self._send, target, alert))
                    failed = error
        if failed is not None:
            raise failed

    def deliver_alerts(self) -> None:
        """Send what waits and is due."""
        self._outbox.deliver()

    def listed(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The latest alerts, how many messages wait, and who is told."""
        del asked
        targets = [target.label for target in self._post(self._sources.rules()).targets]
        return {"targets": targets, "waiting": self._book.waiting(), "alerts": self._book.recent(_LISTED)}

    def take(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raise an alert that a command hands over; it may come twice.

        Raises:
            BadInput: it is none.
        """
        try:
            alert = Alert.from_dict(body)
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"this is no alert: {error!r}") from error
        rules = self._sources.rules()
        return {"raised": rules.wants(alert.kind) and self._book.add(alert, self._post(rules))}

    def test(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send one to each target now, and say what came of it.

        Raises:
            BadInput: nobody is told of anything.
        """
        del body
        targets = self._post(self._sources.rules()).targets
        if not targets:
            raise BadInput(
                "nobody is told of anything",
                then='Add `urls = ["..."]` to [tool.turnout.alerts] in pyproject.toml; docs/monitoring.md shows some.',
            )
        text = "Somebody called `turnout alerts test`: alerts of this project arrive here."
        now = self._sources.clock.now()
        alert = Alert(f"test-{uuid4().hex}", AlertKind.TEST, "", "", "a test", text, now)
        return {"targets": side_by_side(lambda target: self._tried(target, alert), targets)}

    def _tried(self, target: AlertTarget, alert: Alert) -> dict[str, Any]:
        begun = self._monotonic()
        error = self._send(target, alert)
        return {"target": target.label, "error": error, "seconds": round(self._monotonic() - begun, 1)}

    def _carry(self, message: Message) -> str | None:
        targets = {target.key: target for target in self._post(self._sources.rules()).targets}
        target = targets.get(str(message.body["target"]))
        # One that has been taken out of the project file is told nothing any more.
        return self._send(target, Alert.from_dict(message.body["alert"])) if target else None

    def _send(self, target: AlertTarget, alert: Alert) -> str | None:
        try:
            return self._sender.send(letter(alert, target.url(self._sources.environment)))
        except TurnoutError as error:
            return str(error)

    def _post(self, rules: Alerts) -> Post:
        return Post(targets_of(rules.urls), timedelta(minutes=rules.quiet_minutes))


def _wanted(alert: Alert | None, rules: Alerts) -> Alert | None:
    return alert if alert is not None and rules.wants(alert.kind) else None


def _lane(message: Message) -> str:
    return f"alert to {message.body['label']}, {message.body['target']}"
