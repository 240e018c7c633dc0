"""Workers that carry out commands in this process, and their notes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import click

from pipelines.cli import as_turnout
from pipelines.crews import Room
from pipelines.errors import Busy, Interrupted
from pipelines.ports import CellProgress
from pipelines.values.work import Carried, Task
from pipelines.views import View


class FakeCrew:
    """Implements `crews.Crew` in this very process.

    Args:
        do: Carries out a command, and returns its view.
        most: How many at once.
        memory_mb: What each needs.
        available_mb: What there is.
    """

    def __init__(
        self,
        do: Callable[[Sequence[str]], View],
        most: int = 2,
        memory_mb: float = 100.0,
        available_mb: float = 8000.0,
    ) -> None:
        self._do = do
        self.most = most
        self.memory_mb, self.available_mb = memory_mb, available_mb
        self.asked: list[tuple[str, ...]] = []
        self.at_once = 0
        """The most that were ever under way together."""
        self._under_way = 0
        self._guard = threading.Lock()
        self._is_stopped = False

    def room(self) -> Room:
        """What each under way has taken."""
        with self._guard:
            return Room(self.available_mb - self.memory_mb * self._under_way, [self.memory_mb] * self._under_way)

    def carry_out(self, task: Task, hear: Callable[[str | CellProgress], None]) -> Carried:
        """Carry it out."""
        with self._guard:
            if self._is_stopped:
                raise Interrupted("it was stopped before it began")
            self.asked.append(task.words)
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
        try:
            hear(f"doing {task.key}")
            try:
                view = self._do(task.words)
            except click.ClickException as error:
                raise as_turnout(error) from None
            return Carried(view.json(), view.ok, 1.0, self.memory_mb)
        finally:
            with self._guard:
                self._under_way -= 1

    def stop(self) -> None:
        """Nothing is carried out any more."""
        self._is_stopped = True

    def close(self) -> None:
        """The same."""
        self.stop()


@dataclass
class FakeNotes:
    """Implements `crews.Notes` in memory, as JSON."""

    kept: dict[str, str] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)

    @property
    def held(self) -> set[str]:
        """The names that somebody holds."""
        return {name for name, lock in self.locks.items() if lock.locked()}

    def read(self, name: str) -> dict[str, Any] | None:
        """What was written last."""
        return json.loads(self.kept[name]) if name in self.kept else None

    def write(self, name: str, note: Mapping[str, Any]) -> None:
        """Keep it."""
        self.kept[name] = json.dumps(note)

    @contextmanager
    def holding(self, name: str, what: str, waits: Callable[[str], None] | None = None) -> Iterator[None]:
        """Keep others away."""
        lock = self.locks.setdefault(name, Lock())
        if not lock.acquire(blocking=False):
            if waits is None:
                raise Busy(f"{what} is under way already")
            waits(f"waiting: {what} is under way already")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
