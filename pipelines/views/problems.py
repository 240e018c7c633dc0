"""Errors, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.errors import TurnoutError
from pipelines.views.base import View
from pipelines.views.blocks import Block, Line, Tone


@dataclass(frozen=True)
class ErrorView(View):
    """Why a command did not succeed."""

    error: TurnoutError

    @property
    def ok(self) -> bool:
        """Never."""
        return False

    def blocks(self) -> Sequence[Block]:
        """One sentence."""
        return [Line(f"{type(self.error).__name__}: {self.error}", Tone.BAD)]

    def document(self) -> Mapping[str, Any]:
        """The error below `error`."""
        return {"error": self.error.as_dict()}
