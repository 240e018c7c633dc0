"""Executed notebooks with numbered names."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from pathlib import Path

from pipelines.ports import Attempt


class FakeExecutions:
    """Implements `ports.Executions`: numbered names in a folder.

    Args:
        folder: Where executed notebooks go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pruned: list[tuple[str, datetime]] = []
        self.seconds: list[float] = []
        self.notes: dict[tuple[str, str, str], Attempt] = {}
        """The executions whose outcome is not recorded."""
        self.gone: set[str] = set()
        """The tags of those whose process has ended."""
        self._numbers = count(1)

    def begin(self, attempt: Attempt) -> None:
        """Keep it."""
        self.notes[attempt.model, attempt.verb, attempt.key] = attempt

    def finished(self, model: str, verb: str, key: str) -> tuple[Attempt, float] | None:
        """What was noted, when its process is gone and its notebook there."""
        found = self.notes.get((model, verb, key))
        is_done = found is not None and found.tag in self.gone and found.notebook.exists()
        return (found, 1.5) if found is not None and is_done else None

    def settle(self, model: str, verb: str, key: str) -> None:
        """Forget it."""
        self.notes.pop((model, verb, key), None)

    def place(self, model: str, verb: str) -> Path:
        """The next path."""
        home = self.folder / model
        home.mkdir(parents=True, exist_ok=True)
        return home / f"{next(self._numbers)}-{verb}.ipynb"

    def durations(self, model: str, verb: str, count: int = 3) -> list[float]:
        """What was given."""
        del model, verb
        return self.seconds[:count]

    def prune(self, model: str, before: datetime) -> int:
        """Note it; nothing is freed."""
        self.pruned.append((model, before))
        return 0
