"""What runs, with a button to look again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ipywidgets import HTML, Button, HBox, VBox

from ipext.widgets import fragment, told_in

if TYPE_CHECKING:
    from pipelines.app import App
    from pipelines.views import StatusView


def panel(view: StatusView, app: App) -> VBox:
    """The status as it was, and as it is when the button is pressed."""
    shown, problem, at = fragment(view), fragment(), HTML(f"as of {_now()}")
    refresh = Button(description="Refresh", icon="refresh")
    refresh.add_class("turnout-status-refresh")

    @told_in(problem)
    def look(button: object) -> None:
        del button
        shown.value = app.status(view.model).html()
        at.value = f"as of {_now()}"

    refresh.on_click(look)
    return VBox([shown, HBox([refresh, at]), problem])


def _now() -> str:
    return f"{datetime.now().astimezone():%H:%M:%S}"
