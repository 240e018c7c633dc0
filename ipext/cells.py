"""Which cell runs, and the panels that live in its output: they end when it is run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class Live(Protocol):
    """A widget that goes on by itself."""

    subject: str
    """What it shows; of two in cells without a name the older one ends."""

    def end(self) -> None:
        """Stop, and give back what it takes."""


class Cells:
    """The cells of one shell, by the names that the front end gives them.

    Args:
        shell: The shell.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._cell: str | None = None
        self._panels: dict[str | None, list[Live]] = {}

    @property
    def is_attended(self) -> bool:
        """Whether the front end of the cell that runs could put a question to a person.

        Papermill, nbconvert and nbval say that they cannot: there nobody would move a slider, and a page made from the
        notebook would show an empty place where a widget was.
        """
        return bool(getattr(getattr(self._shell, "kernel", None), "_allow_stdin", False))

    def enter(self) -> None:
        """Hear of every cell that is run."""
        self._shell.events.register("pre_run_cell", self._begins)

    def leave(self) -> None:
        """Hear of none any more; end all panels."""
        if self._begins in self._shell.events.callbacks["pre_run_cell"]:
            self._shell.events.unregister("pre_run_cell", self._begins)
        for cell in list(self._panels):
            self._clear(cell)

    def keep(self, panel: Live) -> None:
        """A panel is shown in the cell that runs now."""
        held = self._panels.setdefault(self._cell, [])
        if self._cell is None:
            for other in [one for one in held if one.subject == panel.subject]:
                held.remove(other)
                other.end()
        held.append(panel)

    def _begins(self, info: Any) -> None:
        self._cell = getattr(info, "cell_id", None)
        if self._cell is not None:
            self._clear(self._cell)

    def _clear(self, cell: str | None) -> None:
        for panel in self._panels.pop(cell, []):
            panel.end()
