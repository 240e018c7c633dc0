"""Executed notebooks, and executions that are not settled yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Attempt:
    """An execution whose outcome is not recorded yet.

    Args:
        model: The model.
        verb: `train` or `validate`.
        key: Digest of all it depends on.
        tag: Under which its runs are found.
        notebook: Where the executed notebook goes.
    """

    model: str
    verb: str
    key: str
    tag: str
    notebook: Path


class Executions(Protocol):
    """Where executed notebooks are kept, and what became of them."""

    def place(self, model: str, verb: str) -> Path:
        """A new path for an executed notebook, its folder made.

        Raises:
            StorageFailed: the folder cannot be made.
        """

    def durations(self, model: str, verb: str, count: int = 3) -> list[float]:
        """The seconds that the last whole executions took, the latest first, `count` at most."""

    def prune(self, model: str, before: datetime) -> int:
        """Remove those of the model that are older; return the bytes freed."""

    def begin(self, attempt: Attempt) -> None:
        """Note that an execution begins, so that it need not be repeated when this process ends before it is recorded.

        It takes the place of an earlier note with the same model, verb and key.
        """

    def finished(self, model: str, verb: str, key: str) -> tuple[Attempt, float] | None:
        """A noted execution with that key, and its seconds: it came to its end, and who noted it is gone."""

    def settle(self, model: str, verb: str, key: str) -> None:
        """Forget the note: the outcome is recorded, or there is none."""
