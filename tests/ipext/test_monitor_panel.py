"""The live panel of `%monitor` over fakes: what it draws, what its controls do, when it looks and when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets import HTML, Widget

from ipext.cells import Cells
from ipext.display import Displayed
from ipext.monitor_panel import MonitorPanel
from pipelines.app import App
from pipelines.errors import Refused
from pipelines.stages.resolve import Control
from pipelines.values import VersionSpec
from tests.fakes import FakeOperator, FakeReporter
from tests.ipext.shells import make_shell
from tests.stages.world import World
from tests.view_examples import entry, figures, rollout

PROJECT = """
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
"""


@pytest.fixture
def operator() -> FakeOperator:
    """Reports a canary under way, judged."""
    models = {"digits": {**entry("word"), "rollout": rollout("word")}}
    return FakeOperator(models, answers={"figures": figures("word")})


@pytest.fixture
def app(tmp_path: Path, operator: FakeOperator) -> App:
    """The verbs over a project of fakes with three packaged versions."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in ("train.ipynb", "validate.ipynb"):
        (tmp_path / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    world = World(tmp_path)
    for epochs in ("7", "8", "9"):
        world.train(epochs=epochs)
    made = App(
        tmp_path,
        FakeReporter(),
        connect=lambda _: world.ports,
        command=lambda registry: Control(operator, world.ports.catalogue, registry),
    )
    for number in (1, 2, 3):
        made.validate(VersionSpec("digits", number))
        made.package(VersionSpec("digits", number), native=False, reason=None)
    return made


@pytest.fixture
def panel(app: App) -> Iterator[MonitorPanel]:
    """The panel, shown nowhere yet."""
    made = MonitorPanel(app.monitor("digits"), app, pause=0.01)
    yield made
    made.end()


@pytest.fixture(autouse=True)
def nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """A panel never prints: the text would land in whatever cell runs then."""
    yield
    assert capfd.readouterr() == ("", "")


def within(root: Widget) -> list[Any]:
    """The widget and all in it."""
    return [root, *(found for child in getattr(root, "children", ()) for found in within(child))]


def control(panel: MonitorPanel, name: str) -> Any:
    """The control of that name."""
    (found,) = [one for one in within(panel) if f"turnout-monitor-{name}" in getattr(one, "_dom_classes", ())]
    return found


def shown(panel: MonitorPanel) -> str:
    """All HTML in it."""
    return "".join(one.value for one in within(panel) if isinstance(one, HTML))


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for what a thread does."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def asked(operator: FakeOperator, verb: str) -> list[dict[str, Any]]:
    """The arguments of each operation of that name."""
    return [arguments for name, _, arguments in list(operator.asked) if name == verb]


def test_it_shows_all_that_the_view_knows(panel: MonitorPanel) -> None:
    """Figures by version with sparklines, split, rollout, events; the slider stands at the canary's share."""
    html = shown(panel)
    for words in ("digits@2", "digits@3", "36.4", "<svg", "rollout: verdict", "INCONCLUSIVE", "Latest events"):
        assert words in html, words
    assert control(panel, "share").value == 10
    assert not any(control(panel, name).disabled for name in ("share", "promote", "rollback"))


def test_it_looks_only_while_it_is_shown(panel: MonitorPanel, operator: FakeOperator) -> None:
    """From the first place in a front end until the last one is gone; shown again, it looks again."""
    assert not panel.is_watching
    panel._view_count = 1
    operator.models["digits"]["versions"]["digits@3"]["weight"] = 37
    until(lambda: control(panel, "share").value == 37, "a look")
    panel._view_count = 2
    panel._view_count = 1
    assert panel.is_watching
    panel._view_count = 0
    assert not panel.is_watching
    panel._view_count = 1
    operator.models["digits"]["versions"]["digits@3"]["weight"] = 38
    until(lambda: control(panel, "share").value == 38, "a look of the second thread")
    assert asked(operator, "deploy") == [], "a slider that follows the split asks for nothing"


def test_a_page_loaded_anew_counts_from_nothing(panel: MonitorPanel) -> None:
    """It asks for the whole state; what a page that is gone had counted is not in it, and the watch goes on."""
    panel._view_count = 2
    assert panel.get_state()["_view_count"] == 0
    assert panel.get_state("_view_count") == {"_view_count": 2}
    assert panel.is_watching


def test_a_silent_daemon_is_told_of_and_comes_back(panel: MonitorPanel, operator: FakeOperator) -> None:
    """The last figures stay, with their time; nothing can be pressed meanwhile; then it goes on."""
    panel._view_count = 1
    operator.is_silent = True
    until(lambda: "The daemon does not answer" in shown(panel), "the word of it")
    assert "36.4" in shown(panel)
    assert all(control(panel, name).disabled for name in ("share", "promote", "rollback"))
    operator.is_silent = False
    until(lambda: "does not answer" not in shown(panel), "the way back")
    until(lambda: not control(panel, "rollback").disabled, "the buttons")


def test_a_look_that_fails_does_not_end_the_watch(panel: MonitorPanel, operator: FakeOperator) -> None:
    """Whatever it is: said in one line, and looked at again."""
    panel._view_count = 1
    whole, operator.models = operator.models, cast("Any", None)
    until(lambda: "AttributeError" in shown(panel), "the word of it")
    assert "Traceback" not in shown(panel)
    operator.models = whole
    until(lambda: "AttributeError" not in shown(panel), "the next look")


def test_the_slider_deploys_the_candidate_at_that_share(panel: MonitorPanel, operator: FakeOperator) -> None:
    """By the same verb as `%deploy`; its end is said in the panel."""
    control(panel, "share").value = 42
    until(lambda: "digits@3 to 42 %: done" in shown(panel), "the end")
    (arguments,) = asked(operator, "deploy")
    assert (arguments["ref"], arguments["share"]) == ("digits@3", 42)
    assert control(panel, "share").value == 10, "the fake's split did not move, and the slider tells the truth"


def test_promote_asks_once(panel: MonitorPanel, operator: FakeOperator) -> None:
    """Nothing happens before the answer; Cancel takes the question away; a second click does nothing more."""
    control(panel, "promote").click()
    assert "Give digits@3 all the traffic of digits?" in shown(panel)
    assert control(panel, "reason").layout.display == "none"
    control(panel, "cancel").click()
    control(panel, "confirm").click()
    assert asked(operator, "promote") == []
    control(panel, "promote").click()
    control(panel, "confirm").click()
    control(panel, "confirm").click()
    until(lambda: "promote digits@3: done" in shown(panel), "the end")
    assert len(asked(operator, "promote")) == 1


def test_the_way_back_keeps_its_reason(panel: MonitorPanel, operator: FakeOperator) -> None:
    """One confirmation, and the reason goes to the history; an empty one is none."""
    control(panel, "rollback").click()
    assert control(panel, "reason").layout.display == ""
    control(panel, "reason").value = "  worse on sevens {x} $y "
    control(panel, "confirm").click()
    until(lambda: "roll digits back: done" in shown(panel), "the end")
    (arguments,) = asked(operator, "rollback")
    assert arguments["reason"] == "worse on sevens {x} $y"


def test_a_refusal_is_one_line_in_the_panel(panel: MonitorPanel, operator: FakeOperator) -> None:
    """With what was asked for undone in the controls, and everything to be pressed again."""
    operator.failure = Refused("digits has <no> way back", then="Deploy one.")
    control(panel, "rollback").click()
    control(panel, "confirm").click()
    until(lambda: "Refused" in shown(panel), "the refusal")
    assert "<no>" not in shown(panel)
    until(lambda: not control(panel, "rollback").disabled, "the buttons")


def test_what_is_not_possible_cannot_be_pressed(panel: MonitorPanel, operator: FakeOperator) -> None:
    """No canary, no slider; nothing deployed, no way back."""
    panel._view_count = 1
    live = {**entry("word"), "phase": "live", "candidate": None}
    operator.models["digits"] = live
    until(lambda: control(panel, "share").disabled, "the slider")
    assert control(panel, "promote").disabled
    assert not control(panel, "rollback").disabled
    operator.models.clear()
    until(lambda: control(panel, "rollback").disabled, "the button")
    assert "Nothing of digits is deployed" in shown(panel)


def test_its_end_takes_everything_away(panel: MonitorPanel) -> None:
    """No thread, and no widget left in the kernel: a notebook that is run again and again does not grow."""
    parts = within(panel)
    panel._view_count = 1
    (thread,) = [one for one in threading.enumerate() if one is panel._watcher._thread]
    panel.end()
    thread.join(30)
    assert not thread.is_alive()
    assert not panel.is_watching
    assert all(part.comm is None for part in parts)


@pytest.fixture
def shell() -> InteractiveShell:
    """A shell whose front end can ask a person."""
    made = make_shell()
    made.kernel = SimpleNamespace(_allow_stdin=True)
    return made


class Panel:
    """What `Cells` keeps."""

    def __init__(self, subject: str = "digits") -> None:
        self.subject, self.ends = subject, 0

    def end(self) -> None:
        """Count it."""
        self.ends += 1


def test_a_cell_that_is_run_again_ends_its_panels_alone(shell: InteractiveShell) -> None:
    """Others go on; after the extension is unloaded none does, and no cell is heard of."""
    cells = Cells(shell)
    cells.enter()
    first, second = Panel(), Panel()
    for name, panel in (("a", first), ("b", second)):
        shell.run_cell("x = 1", cell_id=name)
        cells.keep(panel)
    shell.run_cell("x = 2", cell_id="c")
    assert (first.ends, second.ends) == (0, 0)
    shell.run_cell("x = 3", cell_id="a")
    assert (first.ends, second.ends) == (1, 0)
    cells.leave()
    assert (first.ends, second.ends) == (1, 1)
    assert cells._begins not in shell.events.callbacks["pre_run_cell"]


def test_cells_without_names_keep_one_panel_a_model(shell: InteractiveShell) -> None:
    """Nobody says there which cell is run again: the newest goes on."""
    cells = Cells(shell)
    old, other, new = Panel(), Panel("credit"), Panel()
    for panel in (old, other, new):
        cells.keep(panel)
    assert (old.ends, other.ends, new.ends) == (1, 0, 0)


@pytest.mark.parametrize("is_attended", [True, False])
def test_a_widget_only_where_somebody_is(shell: InteractiveShell, app: App, *, is_attended: bool) -> None:
    """HTML and text are in both; papermill, nbval and nbconvert say that nobody could answer, and get no widget."""
    shell.kernel._allow_stdin = is_attended
    cells = Cells(shell)
    bundle = Displayed(app.monitor("digits"), lambda: app, cells)._repr_mimebundle_()
    cells.leave()
    assert ("application/vnd.jupyter.widget-view+json" in bundle) is is_attended
    assert "Latest events" in bundle["text/html"]
    assert "Latest events" in bundle["text/plain"]
