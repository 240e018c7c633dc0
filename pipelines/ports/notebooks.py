"""Running a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipelines.values import Parameter


@dataclass(frozen=True, slots=True)
class CellProgress:
    """How far a notebook has come.

    Args:
        cell: The number of the code cell now running, from 1; `cells` + 1 when all are done.
        cells: How many code cells there are.
        title: What the cell does: its nearest heading, or else its first line.
    """

    cell: int
    cells: int
    title: str


@dataclass(frozen=True, slots=True)
class NotebookJob:
    """One execution of a notebook.

    Args:
        notebook: The notebook, absolute, inside `root`.
        output: Where the executed notebook goes, also a failed one.
        root: The project's folder: notebooks outside of it are refused.
        parameters: Values for names that the cell tagged `parameters` declares, and for no others.
        environment: Variables for the kernel, over those of this process; an empty one is removed.
        cell_timeout_seconds: The longest a cell may run.
    """

    notebook: Path
    output: Path
    root: Path
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    cell_timeout_seconds: float = 3600.0


class NotebookRunner(Protocol):
    """Runs notebooks, each in a kernel of its own."""

    def defaults(self, notebook: Path) -> dict[str, Parameter]:
        """What the cell tagged `parameters` declares, by name.

        Raises:
            BadProject: the notebook cannot be read.
        """

    def run(self, job: NotebookJob, progress: Callable[[CellProgress], None]) -> float:
        """Run the notebook to its end and return how many seconds it took.

        The executed notebook is at `job.output` afterwards, whole, whether it succeeded or failed; no kernel is left.

        Raises:
            BadParameter: a name that is no identifier or not declared, or a value of another type than the default's.
            BadProject: the notebook lies outside the project, or cannot be read.
            NotebookRaised: a cell raised; the message names the cell, the exception and the executed notebook.
            NotebookTimeout: a cell took too long.
            KernelDied: the kernel ended by itself.
            Interrupted: a person pressed Ctrl-C; the kernel has been stopped.
        """
