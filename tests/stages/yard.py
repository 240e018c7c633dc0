"""A project that is watched, in a world where time passes by turns of the watch alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.errors import BadProject
from pipelines.stages.triggers import TICK_SECONDS, Asked, Means, Watch
from pipelines.values import ModelConfig, Project
from pipelines.values.automation import Automation
from pipelines.values.watching import Event, Kind
from pipelines.views import View
from pipelines.views.blocks import Block
from tests.fakes import FakeChanges, FakeClock, FakeCrew, FakeDigests, FakeNotes, fake_ports


def nothing(said: object) -> None:
    """Is done."""


@dataclass(frozen=True)
class Said(View):
    """What a shipment prints."""

    is_good: bool = True

    @property
    def ok(self) -> bool:
        """As given."""
        return self.is_good

    def blocks(self) -> Sequence[Block]:
        """Nothing."""
        return []

    def document(self) -> Mapping[str, Any]:
        """A version and a step."""
        outcome = "done" if self.is_good else "failed"
        return {"ref": "digits@1", "steps": [{"stage": "validate", "outcome": outcome, "reason": "accuracy FAIL"}]}


@dataclass
class Yard:
    """A project of models, watched in a world where time passes by turns of the watch alone.

    Args:
        folder: A temporary folder.
        after: What each model comes after.
        schedule: Of every model.
        most: How many shipments at once.
    """

    folder: Path
    after: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"digits": ()})
    schedule: str = ""
    most: int = 2

    def __post_init__(self) -> None:
        self.digests = FakeDigests()
        self.clock = FakeClock()
        self.ports = fake_ports(self.folder, {}, digests=self.digests, clock=self.clock)
        self.notes, self.changes = FakeNotes(), FakeChanges()
        self.champions: dict[str, str] = {}
        self.events: list[Event] = []
        self.seconds = 0.0
        self.during: Callable[[str], object] = nothing
        self.outcomes: dict[str, bool | Exception] = {}
        self.broken: BadProject | None = None
        self.models = {name: self._model(name, after) for name, after in self.after.items()}
        self.crew = FakeCrew(self._ship, self.most)

    def watch(self, **asked: Any) -> Watch:
        """Begin to watch, as another process would."""
        self.crew = FakeCrew(self._ship, self.most)
        means = Means(
            self.project,
            lambda names: {name: self.champions[name] for name in names if name in self.champions},
            self.ports,
            self.crew,
            self.notes,
            self.changes,
            lambda: self.seconds,
        )
        return Watch(Asked(**asked), means, self.events.append, nothing)

    def project(self) -> Project:
        """The project as it is now."""
        if self.broken is not None:
            raise self.broken
        return Project(self.folder, models=dict(self.models), timezone="UTC")

    def run(self, seconds: float = 10.0, *, restarted: Callable[[], None] = lambda: None, **asked: Any) -> list[str]:
        """Watch for so long, then press Ctrl-C; the models that were shipped, in order.

        Args:
            seconds: How long.
            restarted: Called at each turn.
            asked: What is asked for.
        """
        end = self.seconds + seconds

        def turn() -> None:
            # No time passes while something is shipped.
            for thread in list(watch._under_way.values()):
                thread.join(20)
            self.seconds += TICK_SECONDS
            restarted()
            if self.seconds >= end:
                raise KeyboardInterrupt

        self.changes.turn = turn
        watch = self.watch(**asked)
        watch.run()
        return self.shipped()

    def shipped(self) -> list[str]:
        """The models that were shipped since the watch began."""
        return [words[-1] for words in self.crew.asked]

    def change(self, name: str, content: str = "changed", *, told: bool = True) -> None:
        """Change a notebook or another file."""
        self.digests.contents[name] = content
        if told:
            self.changes.touch()

    def said(self, kind: Kind) -> list[str]:
        """What was told of one kind."""
        return [event.says for event in self.events if event.kind is kind]

    def at(self, second: float, do: Callable[[], None]) -> Callable[[], None]:
        """Something to be done once, at the first turn after that second from now."""
        when, done = self.seconds + second, threading.Event()

        def turn() -> None:
            if self.seconds >= when and not done.is_set():
                done.set()
                do()

        return turn

    def _model(self, name: str, after: tuple[str, ...]) -> ModelConfig:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        automation = Automation(self.schedule, after)
        inputs = (self.folder / "data" / f"{name}.csv",)
        return ModelConfig(
            name, home / f"{name}-train.ipynb", home / f"{name}-validate.ipynb", inputs=inputs, automation=automation
        )

    def _ship(self, words: Sequence[str]) -> View:
        self.during(words[-1])
        outcome = self.outcomes.get(words[-1], True)
        if isinstance(outcome, Exception):
            raise outcome
        return Said(outcome)
