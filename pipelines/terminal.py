"""How work is shown in a terminal: a bar where a person watches, plain lines in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from types import TracebackType

    from rich.live import Live
    from rich.progress import Progress, TaskID

    from pipelines.ports import CellProgress, Picture


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
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_bar()
        self._close_board()

    def step(self, text: str) -> None:
        """Say the step in a line of its own."""
        self._close_bar()
        if self._is_quiet:
            return
        if self._live is not None:
            # Above the picture, which stays where it is.
            self._live.console.print(f"· {text}", markup=False, highlight=False)
        else:
            print(f"· {text}", file=self._stream, flush=True)

    def cell(self, progress: CellProgress) -> None:
        """Move the bar, or say the cell in a line where nobody could see a bar move."""
        if self._is_quiet:
            return
        if not self._stream.isatty():
            if progress.cell <= progress.cells:
                print(f"  cell {progress.cell} of {progress.cells}: {progress.title}", file=self._stream, flush=True)
            return
        self._close_board()
        bar, task = self._open_bar(progress.cells)
        bar.update(task, completed=progress.cell - 1, title=progress.title)
        if progress.cell > progress.cells:
            self._close_bar()
            took = time.monotonic() - self._started
            print(f"  {progress.cells} cells in {took:.1f} s", file=self._stream, flush=True)

    def board(self, picture: Picture) -> None:
        """Draw it over the one before; in a log the steps say it."""
        if self._is_quiet or not self._stream.isatty():
            return
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            self._close_bar()
            console = Console(file=self._stream)
            self._live = Live(console=console, transient=True, auto_refresh=False, vertical_overflow="ellipsis")
            self._live.start()
        said = picture.text(self._live.console.width, color=True, encoding=self._stream.encoding or "utf-8")
        self._live.update(Text.from_ansi(said), refresh=True)

    def _close_board(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

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
