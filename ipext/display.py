"""A result as a cell displays it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipelines.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipywidgets import Widget

    from ipext.cells import Cells
    from pipelines.app import App
    from pipelines.views import View


class Displayed:
    """A view in a notebook or in a terminal; its attributes are the view's, and `str()` of a version is its REF.

    A cell shows its HTML, which stays readable in a saved notebook and in a static export; a page would show an empty
    place there for a widget. So a widget is shown only for what is live, and asked for by `.widget` otherwise.

    Args:
        view: The view.
        app: Opens the project, for what a widget may be asked to do.
        cells: Where what is live is shown; None in a terminal.
    """

    def __init__(self, view: View, app: Callable[[], App], cells: Cells | None) -> None:
        self.view = view
        self._app = app
        self._cells = cells

    @property
    def widget(self) -> Widget:
        """The view as a widget: with buttons and filters where there is something to do.

        Raises:
            MissingExtra: ipywidgets is not installed.
        """
        from ipext.widgets import widget

        try:
            return widget(self.view, self._app())
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"a widget needs {error.name}", then="`pip install 'turnout[lab]'` brings it."
            ) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.view, name)

    def __str__(self) -> str:
        return str(self.view)

    def __repr__(self) -> str:
        return self.view.text(width=_width())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        del include, exclude
        said: dict[str, Any] = {"text/html": self.view.html(), "text/plain": repr(self)}
        if self._cells is not None and self._cells.is_attended and getattr(self.view, "is_live", False):
            with suppress(MissingExtra):
                live = self.widget
                self._cells.keep(live)
                bundle = live._repr_mimebundle_() or {}
                said = {**{kind: data for kind, data in bundle.items() if "widget" in kind}, **said}
        return said


def _width() -> int:
    try:
        return min(os.get_terminal_size().columns, 120)
    except OSError:
        return 100
