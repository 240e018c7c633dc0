"""Whoever watches the work."""

from __future__ import annotations

from typing import Protocol

from pipelines.ports.notebooks import CellProgress


class Picture(Protocol):
    """What can be shown to a person; each view can."""

    def text(self, width: int = 100, *, color: bool = False, encoding: str = "utf-8") -> str:
        """For a terminal."""

    def html(self) -> str:
        """For a page."""


class Reporter(Protocol):
    """Somebody who watches the work, perhaps nobody."""

    def step(self, text: str) -> None:
        """A new piece of work has begun, said in a few words."""

    def cell(self, progress: CellProgress) -> None:
        """A notebook has come to another cell."""

    def board(self, picture: Picture) -> None:
        """Several pieces of work at once, as they are now; it takes the place of the picture before it."""
