"""What `turnout init` wrote, and what to type next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.values.starting import Begun, Outcome
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Code, Grid, Heading, Line, Tone

_TONES = {Outcome.NEW: Tone.GOOD, Outcome.ADDED: Tone.UNSURE, Outcome.KEPT: Tone.PLAIN}


@dataclass(frozen=True)
class InitView(View):
    """The files of a project that begins.

    Args:
        begun: What was done.
        here: The current folder, from which the next command is typed.
    """

    begun: Begun
    here: str

    def blocks(self) -> Sequence[Block]:
        """The files, what a person should know, and the next commands."""
        rows = [[Cell(one.path), Cell(one.outcome.value, _TONES[one.outcome])] for one in self.begun.sheets]
        lines = [f" {line}" for command in self._commands() for line in command.split("\n")]
        title = self.begun.model or "continuous integration"
        return [
            Heading(title, beside=self.begun.folder),
            Grid(("file", ""), rows),
            *(Line(note, Tone.UNSURE) for note in self.begun.notes),
            *(
                Code(f"It logs no model. Add this to the end of {file}:", [f" {line}" for line in code.split("\n")])
                for file, code in self.begun.additions
            ),
            *([Code("Next:", lines)] if lines else []),
        ]

    def document(self) -> Mapping[str, Any]:
        """`model`, `folder`, `files` (`path`, `outcome`), `notes`, `additions` and the commands to type `next`."""
        return {
            "model": self.begun.model or None,
            "folder": self.begun.folder,
            "files": [{"path": one.path, "outcome": one.outcome.value} for one in self.begun.sheets],
            "notes": list(self.begun.notes),
            "additions": [{"path": file, "code": code} for file, code in self.begun.additions],
            "next": self._commands(),
        }

    def _commands(self) -> list[str]:
        if self.begun.folder == self.here or not self.begun.commands:
            return list(self.begun.commands)
        near = os.path.relpath(self.begun.folder, self.here)
        return [f"cd {shlex.quote(self.begun.folder if near.startswith('..') else near)}", *self.begun.commands]
