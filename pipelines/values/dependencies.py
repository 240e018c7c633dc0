"""What a stage depends on, part by part: enough to say what has changed since it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipelines.values.project import Parameter


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The parts of what a stage depends on, each with a short digest of its content.

    Whether a stage may be skipped is decided by whole digests elsewhere; these only tell the reason.

    Args:
        notebook: The notebook's file name.
        cells: Its code cells, in order, blank ones left out.
        inputs: Declared files by their path in the project, and commands by their text.
        modules: The project's own modules that the notebook imports, by their path in the project.
        lock: The environment's lock by its file name; empty without one.
        upstream: The results of other models or stages it builds on, by name.
        parameters: What the notebook runs with, where the stage records it nowhere else.
    """

    notebook: str = ""
    cells: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    lock: Mapping[str, str] = field(default_factory=dict)
    upstream: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The parts as JSON."""
        return {
            "notebook": self.notebook,
            "cells": list(self.cells),
            "inputs": dict(self.inputs),
            "modules": dict(self.modules),
            "lock": dict(self.lock),
            "upstream": dict(self.upstream),
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`; what a later release adds is passed over."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**known, "cells": tuple(data.get("cells", ()))})


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a notebook stage's dependencies lie.

    Args:
        notebook: The notebook, absolute.
        root: The project's folder, absolute.
        inputs: Declared files and folders, absolute, perhaps with wildcards.
        commands: Shell commands whose output counts; they run in `root`.
        lock: The environment's lock.
    """

    notebook: Path
    root: Path
    inputs: tuple[Path, ...] = ()
    commands: tuple[str, ...] = ()
    lock: Path | None = None


@dataclass(frozen=True, slots=True)
class Digested:
    """What a notebook stage depends on, digested.

    Args:
        notebook: SHA-256 of the code cells.
        data: Of the declared inputs, the output of commands included; empty without any.
        code: Of the project's modules that the notebook imports; empty where it imports none.
        lock: Of the environment's lock; empty without one.
        parts: The same, part by part.
    """

    notebook: str
    data: str = ""
    code: str = ""
    lock: str = ""
    parts: Dependencies = Dependencies()
