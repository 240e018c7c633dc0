"""An engine over a target in memory, for the tests of operations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.errors import NoSuchModel, TurnoutError
from pipelines.local.engine import Done, Engine, Request, Step
from pipelines.local.journal import Journal
from pipelines.local.upkeep import Upkeep
from pipelines.values import Deployment, Rollout, VersionRef
from tests.local.memory_target import HandClock, MemoryTarget, packaged

A, B, C = (VersionRef("digits", number) for number in (1, 2, 3))
ANNA = {"user": "anna", "pid": 123, "host": "here"}


class Crash(BaseException):
    """The process is gone: no handler of ours may see it."""


class Watch:
    """Remembers what an operation said.

    Args:
        calls: What the target was called with, as it grows.
    """

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls
        self.calls_at_done: list[str] = []
        self.steps: list[Step] = []
        self.results: list[Done] = []

    def step(self, step: Step) -> None:
        """Remember."""
        self.steps.append(step)

    def done(self, done: Done) -> None:
        """Remember, and also what had been called by then."""
        self.results.append(done)
        self.calls_at_done = list(self.calls)


@dataclass
class World:
    """An engine over everything in memory."""

    path: Path
    settings: Rollout = field(default_factory=Rollout)
    available: float = 10_000.0
    crash_at: str = ""
    reached: list[str] = field(default_factory=list)
    real_reach: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        self.target, self.clock, self.catalogue = MemoryTarget(), HandClock(), packaged("digits", 5)
        self.journal = Journal(self.path)
        self.count = 0
        self.boot()

    def boot(self) -> None:
        """A new daemon."""
        self.engine = Engine(
            self.target,
            self.catalogue,
            self.journal,
            self.clock,
            self.rollout,
            lambda: self.available,
            self.real_reach or self.reach,
        )
        self.upkeep = Upkeep(self.engine, monotonic=lambda: 0.0)

    def rollout(self, model: str) -> Rollout:
        """Two models."""
        if model not in ("digits", "credit"):
            raise NoSuchModel(f"no model {model}")
        return self.settings

    def reach(self, name: str) -> None:
        """Note the point, and crash there."""
        self.reached.append(name)
        if name == self.crash_at:
            self.crash_at = ""
            raise Crash

    def do(self, verb: str, ref: VersionRef | None = None, *, wait: bool = False, **arguments: Any) -> Done:
        """One operation."""
        self.count += 1
        given = {**arguments, **({"ref": str(ref)} if ref else {})}
        return self.engine.operate(Request(f"{verb} {self.count}", verb, "digits", given, ANNA, wait))

    @property
    def now(self) -> Deployment:
        """What is recorded."""
        return self.journal.deployment("digits")

    def weights(self) -> dict[VersionRef, int]:
        """What the target does."""
        split = self.target.split("digits")
        return {ref: weight for ref, weight in split.weights.items() if weight} if split else {}


def until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.001)


class Thread(threading.Thread):
    """One that keeps what its work raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Work."""
        try:
            self._work()
        except TurnoutError as error:
            self.error = error

    def ended(self) -> BaseException | None:
        """Wait for the end."""
        self.join(20)
        assert not self.is_alive()
        return self.error
