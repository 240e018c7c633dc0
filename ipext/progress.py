"""Work as a cell shows it while it goes on: one display, which ends as a card of one line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from pipelines.views.base import View
from pipelines.views.blocks import Bar, Block, Cell, Heading, Line, Tone

if TYPE_CHECKING:
    from types import TracebackType

    from pipelines.ports import CellProgress, Picture

TICK_SECONDS = 0.5
"""How often the card is drawn anew; a saved notebook keeps the last one only."""
SHOWN_STEPS = 6


@dataclass
class Progress:
    """How far a piece of work has come; safe to be read while another thread writes.

    Args:
        title: What is done.
        expected: How many seconds it took before; None when nobody knows.
        begun: When it began, in seconds of `time.monotonic`.
        steps: What was said, in order.
        cell: The notebook's cell under way.
        ended: How it ended: a word and its tone; None while it goes on.
        seconds: How long it took, once it has ended.
        picture: Several pieces of work at once, where there are several.
    """

    title: str
    expected: float | None = None
    begun: float = field(default_factory=time.monotonic)
    steps: list[str] = field(default_factory=list)
    cell: CellProgress | None = None
    ended: tuple[str, Tone] | None = None
    seconds: float = 0.0
    picture: Picture | None = None

    def step(self, text: str) -> None:
        """Another step; the notebook before it is through."""
        self.cell = None
        # While something is waited for the same words come again.
        if self.steps[-1:] != [text]:
            self.steps.append(text)

    def end(self, said: str, tone: Tone) -> None:
        """It is over."""
        self.seconds = time.monotonic() - self.begun
        self.ended = (said, tone)

    def view(self) -> View:
        """As it is now."""
        return ProgressView(self)


class ProgressView(View):
    """The card.

    Args:
        progress: What it shows, as it is when it is drawn.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def blocks(self) -> Sequence[Block]:
        """One line once it is over; before that the last steps and, of a notebook, the cell."""
        now = self._progress
        if now.ended is not None:
            said, tone = now.ended
            steps = f", {len(now.steps)} steps" if len(now.steps) > 1 else ""
            return [Heading(now.title, Cell(said, tone, is_badge=True), f"{now.seconds:.1f} s{steps}", is_small=True)]
        blocks: list[Block] = [Heading(now.title, beside=self._time(), is_small=True)]
        blocks += [Line(f"· {step}") for step in now.steps[-SHOWN_STEPS:]]
        if isinstance(now.picture, View):
            blocks += now.picture.blocks()
        cell = now.cell
        if cell is not None and cell.cell <= cell.cells:
            share = 100 * (cell.cell - 1) / max(cell.cells, 1)
            name = f"cell {cell.cell} of {cell.cells}: {cell.title}"
            blocks += [Line(name), Bar("cells", [("done", share), ("to do", 100 - share)])]
        return blocks

    def document(self) -> Mapping[str, Any]:
        """The same as JSON."""
        now = self._progress
        return {
            "title": now.title,
            "steps": list(now.steps),
            "seconds": now.seconds or time.monotonic() - now.begun,
            "expected_seconds": now.expected,
            "ended": now.ended[0] if now.ended else None,
        }

    def _time(self) -> str:
        now = self._progress
        elapsed = f"{time.monotonic() - now.begun:.0f} s"
        return (
            f"{elapsed} of about {now.expected:.0f} s" if now.expected else f"{elapsed}, no earlier run to compare with"
        )


class Card:
    """A progress in a display of its own, drawn anew from a thread until it is over.

    A display is updated by its id, so that it does not matter which cell runs meanwhile; nothing is printed.

    Args:
        progress: What is shown.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._handle: Any = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def show(self) -> None:
        """Display it, once."""
        if self._handle is None:
            from IPython.display import display

            self._handle = display(_Bundle(self._progress), display_id=True)
            self._thread = threading.Thread(target=self._draw, name="turnout progress", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Draw the last state, and no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(5)
        if self._handle is not None:
            self._handle.update(_Bundle(self._progress))

    def _draw(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            self._handle.update(_Bundle(self._progress))


class _Bundle:
    def __init__(self, progress: Progress) -> None:
        self._view = progress.view()

    def __repr__(self) -> str:
        return self._view.text()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        del include, exclude
        return {"text/html": self._view.html(), "text/plain": repr(self)}


class LiveReporter:
    """Implements `ports.Reporter` in a notebook. Work that says nothing shows nothing.

    Use it as a context manager; how the work ended is on the card afterwards.

    Args:
        title: What is done.
        expected: Finds out how many seconds it took before.
    """

    def __init__(self, title: str, expected: Callable[[], float | None]) -> None:
        self._progress = Progress(title)
        self._expected = expected
        self._card = Card(self._progress)
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown:
            self._progress.end(*("failed", Tone.BAD) if error is not None else ("done", Tone.GOOD))
            self._card.close()

    def step(self, text: str) -> None:
        """Show the step."""
        self._progress.step(text)
        self._show()

    def cell(self, progress: CellProgress) -> None:
        """Show the cell."""
        self._progress.cell = progress
        self._show()

    def board(self, picture: Picture) -> None:
        """Show the picture."""
        self._progress.picture = picture
        self._show()

    def _show(self) -> None:
        if not self._is_shown:
            self._is_shown = True
            self._progress.expected = self._expected()
            self._card.show()
