"""How work is shown in a terminal: a bar where a person watches, plain lines in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from pipelines.ports import CellProgress


class TerminalReporter:
    """Shows steps and notebook cells on `stream`, which is never stdout: that belongs to the result.

    Use it as a context manager; the bar is gone afterwards and the lines stay.
    """

    def __init__(self, stream: TextIO | None = None, *, is_quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._is_quiet = is_quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._started = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_bar()

    def step(self, text: str) -> None:
        """Say the step in a line of its own."""
        self._close_bar()
        if not self._is_quiet:
            print(f"· {text}", file=self._stream, flush=True)

    def cell(self, progress: CellProgress) -> None:
        """Move the bar, or say the cell in a line where nobody could see a bar move."""
        if self._is_quiet:
            return
        if not self._stream.isatty():
            if progress.cell <= progress.cells:
                print(f"  cell {progress.cell} of {progress.cells}: {progress.title}", file=self._stream, flush=True)
            return
        bar, task = self._open_bar(progress.cells)
        bar.update(task, completed=progress.cell - 1, title=progress.title)
        if progress.cell > progress.cells:
            self._close_bar()
            took = time.monotonic() - self._started
            print(f"  {progress.cells} cells in {took:.1f} s", file=self._stream, flush=True)

    def _open_bar(self, cells: int) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        if self._bar is None or self._task is None:
            self._started = time.monotonic()
            self._bar = Progress(
                TextColumn("  "),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[title]}", markup=False),
                console=Console(file=self._stream),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=cells, title="")
        return self._bar, self._task

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None
