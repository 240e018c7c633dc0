"""A model as it runs, live: its figures, its split with a slider, and the ways forward and back.

A thread looks at the daemon while the panel is shown anywhere, and only then; what a button asks for is done by another
one. So the kernel stays free, and nothing is printed: whatever is to be said is said in the panel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from ipywidgets import HTML, Button, HBox, IntSlider, Layout, Text, VBox, Widget

from ipext.watcher import Watcher
from ipext.widgets import said_of
from pipelines.values import Phase, VersionSpec
from pipelines.views.blocks import Line, Tone
from pipelines.views.html import render

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.app import App
    from pipelines.ports import CellProgress, Picture
    from pipelines.views import View
    from pipelines.views.monitor import MonitorView

PAUSE_SECONDS = 1.0


def panel(view: View, app: App) -> MonitorPanel:
    """The panel of a `MonitorView`."""
    return MonitorPanel(cast("MonitorView", view), app)


class MonitorPanel(VBox):  # type: ignore[misc]
    """Looks as long as a front end shows it: from the first view on, until the last one is gone.

    Args:
        view: What was seen first.
        app: Looks, and does what the buttons ask for.
        pause: Seconds between two looks.
    """

    def __init__(self, view: MonitorView, app: App, pause: float = PAUSE_SECONDS) -> None:
        self.subject = view.seen.model
        self._app = app
        self._lock = threading.RLock()
        self._share: int | None = None
        self._is_busy = False
        self._candidate: str | None = None
        self._asked: Callable[[], None] | None = None
        self._note, self._said, self._shown = HTML(), HTML(), HTML()
        self._make_controls()
        self._watcher = Watcher(self._look, pause)
        self._draw(view)
        controls = HBox([self._slider, self._promote, self._rollback], layout=Layout(flex_flow="row wrap"))
        # What is pressed stays in its place: what grows and shrinks is drawn below it.
        super().__init__([self._note, controls, self._confirmation, self._said, self._shown])
        self.add_class("turnout-monitor")
        # The front end counts the places where it shows the panel: a cell that is cleared takes its place away.
        self._view_count = 0
        self.observe(self._seen_anywhere, names="_view_count")

    @property
    def is_watching(self) -> bool:
        """Whether it looks."""
        return self._watcher.is_running

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        """As every widget's. A page that asks for all of it shows it nowhere yet: it was loaded anew.

        The page before it is gone without a word, and what that one counted would be counted for ever.
        """
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if key is None and state.get("_view_count"):
            state["_view_count"] = 0
        return state

    def end(self) -> None:
        """Look no more, and give back what it takes in kernel and front end."""
        self._watcher.stop()
        with suppress(Exception):  # the front end may be gone
            for widget in _within(self):
                widget.close()

    def _make_controls(self) -> None:
        self._slider = IntSlider(min=1, max=99, description="Canary %", continuous_update=False, disabled=True)
        self._promote = Button(description="Promote", icon="arrow-up", disabled=True)
        self._rollback = Button(description="Roll back", icon="undo", button_style="warning", disabled=True)
        self._question = HTML()
        self._reason = Text(placeholder="Why (kept in the history)", layout=Layout(width="24em"))
        self._confirm = Button(description="Yes, do it", button_style="danger")
        cancel = Button(description="Cancel")
        row = HBox([self._reason, self._confirm, cancel], layout=Layout(flex_flow="row wrap"))
        self._confirmation = VBox([self._question, row], layout=Layout(display="none"))
        self._slider.observe(self._share_chosen, names="value")
        self._promote.on_click(self._ask_to_promote)
        self._rollback.on_click(self._ask_to_roll_back)
        self._confirm.on_click(self._confirmed)
        cancel.on_click(self._withdrawn)
        named = {"share": self._slider, "promote": self._promote, "rollback": self._rollback, "reason": self._reason}
        for name, control in {**named, "confirm": self._confirm, "cancel": cancel}.items():
            control.add_class(f"turnout-monitor-{name}")

    def _seen_anywhere(self, change: Any) -> None:
        if change["new"]:
            self._watcher.start()
        else:
            self._watcher.stop()

    def _look(self) -> None:
        try:
            seen = self._app.monitor_again(self.subject)
            if seen is None:
                self._tell_missing()
            else:
                self._draw(seen)
        except Exception as error:  # noqa: BLE001 - nobody hears what a thread raises
            self._note.value = said_of(error)

    def _draw(self, view: MonitorView) -> None:
        with self._lock:
            self._last = view.seen.at
            self._note.value = render([Line(f"{self.subject} as of {_clock(view.seen.at)}")])
            self._shown.value = view.html()
            if not self._is_busy:
                self._enable(view.seen.entry or {})

    def _tell_missing(self) -> None:
        said = (
            f"The daemon does not answer; these are the figures of {_clock(self._last)}. What serves goes on without"
            " it, and this panel does when it is back; `turnout up` starts one that was stopped."
        )
        self._note.value = render([Line(f"{self.subject}: {said}", Tone.BAD)])
        with self._lock:
            self._enable({})

    def _enable(self, entry: Mapping[str, Any]) -> None:
        phase = entry.get("phase", Phase.EMPTY.value)
        self._candidate = entry.get("candidate")
        is_canary = phase == Phase.CANARY.value and self._candidate is not None
        if is_canary:
            self._share = int(entry["versions"][self._candidate]["weight"])
            self._slider.value = self._share
        self._slider.disabled = not is_canary
        self._promote.disabled = self._candidate is None or phase == Phase.BAKING.value
        self._rollback.disabled = phase == Phase.EMPTY.value

    def _share_chosen(self, change: Any) -> None:
        with self._lock:
            share, candidate = int(change["new"]), self._candidate
            if share == self._share or self._is_busy or candidate is None:
                return  # it was moved to where the split is

        def work(app: App) -> View:
            from pipelines.stages.deploy import DeployOptions

            return app.deploy(VersionSpec.parse(candidate), DeployOptions(share=share))

        self._begin(f"{candidate} to {share} %", work)

    def _ask_to_promote(self, button: object) -> None:
        del button
        target = self._candidate
        if target is not None:
            self._ask(
                f"Give {target} all the traffic of {self.subject}?",
                lambda: self._begin(f"promote {target}", lambda app: app.promote(target)),
            )

    def _ask_to_roll_back(self, button: object) -> None:
        del button

        def work(app: App) -> View:
            reason = self._reason.value.strip() or None
            return app.rollback(self.subject, to=None, reason=reason, quarantine=True, dry_run=False)

        what = f"Take {self.subject} back to its last proven version, and quarantine the one it leaves?"
        self._ask(what, lambda: self._begin(f"roll {self.subject} back", work), has_reason=True)

    def _ask(self, question: str, work: Callable[[], None], *, has_reason: bool = False) -> None:
        self._asked = work
        self._said.value = ""
        self._reason.value = ""
        self._reason.layout.display = "" if has_reason else "none"
        self._question.value = render([Line(question)])
        self._confirmation.layout.display = ""

    def _confirmed(self, button: object) -> None:
        del button
        work, self._asked = self._asked, None
        self._confirmation.layout.display = "none"
        if work is not None:  # a second click on the same question does nothing
            work()

    def _withdrawn(self, button: object) -> None:
        del button
        self._asked = None
        self._confirmation.layout.display = "none"

    def _begin(self, title: str, work: Callable[[App], View]) -> None:
        with self._lock:
            if self._is_busy:
                return
            self._is_busy = True
            for control in (self._slider, self._promote, self._rollback):
                control.disabled = True
        threading.Thread(target=self._carry_out, args=(title, work), name=f"turnout {title}", daemon=True).start()

    def _carry_out(self, title: str, work: Callable[[App], View]) -> None:
        try:
            work(self._app.watched_by(_Teller(title, self._said)))
            self._said.value = render([Line(f"{title}: done", Tone.GOOD)])
        except Exception as error:  # noqa: BLE001 - nobody hears what a thread raises
            self._said.value = said_of(error)
        finally:
            with self._lock:
                self._is_busy = False
            # It may be shown nowhere by now; what it did is drawn all the same.
            self._look()


class _Teller:
    """Implements `ports.Reporter`: the last step, in the panel."""

    def __init__(self, title: str, said: HTML) -> None:
        self._title, self._said = title, said

    def step(self, text: str) -> None:
        """Show it."""
        self._said.value = render([Line(f"{self._title}: {text} …")])

    def cell(self, progress: CellProgress) -> None:
        """No notebook is run here."""

    def board(self, picture: Picture) -> None:
        """Nothing is searched here."""


def _clock(at: datetime) -> str:
    return f"{at.astimezone():%H:%M:%S}"


def _within(widget: Widget) -> list[Widget]:
    """The widget, all in it, and what describes how it looks."""
    parts = [getattr(widget, name, None) for name in ("layout", "style")]
    found = [widget, *(part for part in parts if isinstance(part, Widget))]
    for child in getattr(widget, "children", ()):
        found += _within(child)
    return found
