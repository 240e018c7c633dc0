"""The base of all views."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.views.blocks import Block


class View(ABC):
    """A result to be shown; a subclass says its blocks and its JSON once."""

    @abstractmethod
    def blocks(self) -> Sequence[Block]:
        """What is shown, top-down."""

    @abstractmethod
    def document(self) -> Mapping[str, Any] | Sequence[Any]:
        """What programs get."""

    @property
    def ok(self) -> bool:
        """Whether it succeeded: exit code 0, else 1."""
        return True

    def text(self, width: int = 100, *, color: bool = False, encoding: str = "utf-8") -> str:
        """The view for a terminal.

        Args:
            width: Its columns.
            color: Whether a person looks at it.
            encoding: Of the stream: bars are drawn with what it can write, and what it cannot is spelled out.
        """
        from pipelines.views.text import render

        return render(self.blocks(), width, color=color, encoding=encoding)

    def html(self) -> str:
        """The view as a fragment of a page that needs nothing from elsewhere; every text in it is escaped."""
        from pipelines.views.html import render

        return render(self.blocks())

    def json(self) -> Any:
        """The view as JSON values; numbers that are not finite become null."""
        return _plain(self.document())

    def __str__(self) -> str:
        return self.text()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
