"""What the stages ask of those who work for them: carry out commands, keep notes, tell of changes, run tests.

One contract suite holds all implementations to it, fakes too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipelines.ports import CellProgress, NotebookJob
from pipelines.values.testing import OneTest
from pipelines.values.watching import Places
from pipelines.values.work import Carried, Task


@dataclass(frozen=True, slots=True)
class Room:
    """A crew's memory.

    Args:
        available_mb: What can be given, 10^6 bytes.
        used_mb: What each command under way has taken, 10^6 bytes.
    """

    available_mb: float
    used_mb: Sequence[float] = ()


class Crew(Protocol):
    """Carries out commands in processes of their own. Safe for threads; a command that fails takes no other along."""

    @property
    def most(self) -> int:
        """How many commands it takes at once, whatever they need: its cores."""

    def room(self) -> Room:
        """What is taken and what is free now."""

    def carry_out(self, task: Task, hear: Callable[[str | CellProgress], None]) -> Carried:
        """Carry out one command and return when it has come to its end.

        Args:
            task: The command.
            hear: Told its steps and cells, where that is possible; called in this thread.

        Raises:
            TurnoutError: as the command itself does, or its process ended.
            Interrupted: it was stopped.
        """

    def stop(self) -> None:
        """Have all that is under way end, as Ctrl-C does; what begins afterwards ends at once."""

    def close(self) -> None:
        """End what is left. Nothing is carried out afterwards."""


class Notes(Protocol):
    """Small JSON documents of the project, each written whole."""

    def read(self, name: str) -> dict[str, Any] | None:
        """What was written last; None when nothing was, or it cannot be read any more."""

    def write(self, name: str, note: Mapping[str, Any]) -> None:
        """Write it.

        Raises:
            StorageFailed: the disk is full or read-only; what was there stays.
        """

    def holding(self, name: str, what: str, waits: Callable[[str], None] | None = None) -> AbstractContextManager[None]:
        """Keep other processes away from it.

        Args:
            name: Of the note.
            what: What is done meanwhile, in words for others.
            waits: Told once that another one holds it, which is then waited for.

        Raises:
            Busy: another one holds it, and that is not to be waited for.
            StorageFailed: the disk is full or read-only.
        """


class Changes(Protocol):
    """Tells of changes below folders, soon after they were made; it may miss some, and tell of what is none."""

    def watch(self, places: Places) -> None:
        """Tell of changes there from now on; folders that are gone are passed over. It may tell of one right away."""

    def wait(self, seconds: float) -> bool:
        """Wait until something has changed, at most so long; whether something has since the last call."""

    @property
    def trouble(self) -> str:
        """Why it cannot tell of changes, in words; empty while it can."""

    def close(self) -> None:
        """Watch no more."""


class NotebookTester(Protocol):
    """Runs tests, in processes of their own."""

    def check(self) -> None:
        """Whether what it takes is installed.

        Raises:
            MissingExtra: it is not.
        """

    def notebook(
        self, job: NotebookJob, progress: Callable[[CellProgress], None], *, is_strict: bool = False
    ) -> list[OneTest]:
        """Test a notebook cell by cell: none may raise, and a cell that asks for it gives the outputs that are stored.

        Args:
            job: The notebook, and what it runs with; the executed one is at its place afterwards.
            progress: Told each cell as it begins.
            is_strict: Whether all cells are to give what is stored.

        Returns:
            A test a code cell; those behind one that raised are skipped.

        Raises:
            BadParameter, BadProject: the notebook cannot be run so.
            Interrupted: a person pressed Ctrl-C.
        """

    def files(
        self, paths: Sequence[Path], root: Path, environment: Mapping[str, str], step: Callable[[str], None]
    ) -> list[OneTest]:
        """Run the tests of files, as pytest finds them.

        Args:
            paths: Files and folders.
            root: The project's folder, where they run.
            environment: Variables, over those of this process.
            step: Told each test as it ends.

        Raises:
            TurnoutError: pytest could not run them.
            Interrupted: a person pressed Ctrl-C.
        """
