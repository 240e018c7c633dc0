"""Views as widgets: a panel where one can do something, otherwise the view's own HTML."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from pipelines.errors import TurnoutError
from pipelines.views import ErrorView, MonitorView, StatusView, VersionsView, View

if TYPE_CHECKING:
    from ipywidgets import HTML, Widget

    from pipelines.app import App

    Panel: TypeAlias = Callable[[View, App], Widget]


def _later(module: str) -> Panel:
    """The `panel` of a module that is loaded when it is shown: ipywidgets takes a third of a second."""

    def panel(view: View, app: App) -> Widget:
        made: Widget = import_module(module).panel(view, app)
        return made

    return panel


PANELS: dict[type[View], Panel] = {
    VersionsView: _later("ipext.version_panel"),
    StatusView: _later("ipext.status_panel"),
    MonitorView: _later("ipext.monitor_panel"),
}
"""The views with a panel of their own, and those of their subclasses."""


def widget(view: View, app: App) -> Widget:
    """A view as a widget of core ipywidgets.

    Raises:
        ImportError: ipywidgets is not installed.
    """
    for kind in type(view).__mro__:
        if kind in PANELS:
            return PANELS[kind](view, app)
    return fragment(view)


def fragment(view: View | None = None) -> HTML:
    """A view's HTML as a widget; an empty one to be filled later without a view."""
    from ipywidgets import HTML

    return HTML(view.html() if view else "")


def said_of(error: Exception) -> str:
    """An error in one line of HTML, whoever raised it."""
    if isinstance(error, TurnoutError):
        return ErrorView(error).html()
    lines = str(error).splitlines() or [""]
    return ErrorView(TurnoutError(f"{type(error).__name__}: {lines[0]}")).html()


def told_in(problem: HTML) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """For what a click calls: what goes wrong is said in `problem` in one line, and nowhere else.

    Whatever a callback raised or printed would land in another cell, or in a log that nobody reads.
    """

    def guarded(work: Callable[..., None]) -> Callable[..., None]:
        @wraps(work)
        def call(*event: Any) -> None:
            problem.value = ""
            try:
                work(*event)
            except Exception as error:  # noqa: BLE001 - see above
                problem.value = said_of(error)

        return call

    return guarded
