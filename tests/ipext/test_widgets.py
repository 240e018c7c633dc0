"""Views as widgets: what can be done in them, and that nothing but the widget changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ipywidgets import HTML, Button, Dropdown, Text, VBox, Widget

from ipext.widgets import PANELS, told_in, widget
from pipelines.app import App
from pipelines.errors import NoSuchVersion
from pipelines.stages.resolve import Control
from pipelines.values import VersionSpec
from pipelines.views import StatusView, VersionsView, View
from tests.fakes import FakeOperator, FakeReporter, running
from tests.stages.world import World
from tests.view_examples import entry, examples, versions

PROJECT = """
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
"""
EXAMPLES = sorted(examples("word").items(), key=lambda pair: pair[0].__name__)


@pytest.fixture
def operator() -> FakeOperator:
    """Who reports what runs."""
    return FakeOperator({"digits": entry("word")})


@pytest.fixture
def app(tmp_path: Path, operator: FakeOperator) -> App:
    """The verbs over a project of fakes with two versions."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in ("train.ipynb", "validate.ipynb"):
        (tmp_path / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    world = World(tmp_path)
    for epochs in ("8", "9"):
        world.train(epochs=epochs)
    made = App(
        tmp_path,
        FakeReporter(),
        connect=lambda _: world.ports,
        command=lambda registry: Control(operator, world.ports.catalogue, registry),
    )
    assert set(made.project.models) == {"digits"}
    return made


@pytest.fixture(autouse=True)
def nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """A widget never prints: the text would land in whatever cell runs then."""
    yield
    assert capfd.readouterr() == ("", "")


def within(root: Widget) -> list[Any]:
    """The widget and all in it."""
    return [root, *(found for child in getattr(root, "children", ()) for found in within(child))]


def of_class(root: Widget, name: str) -> Any:
    """The control with that class."""
    (found,) = [one for one in within(root) if name in getattr(one, "_dom_classes", ())]
    return found


def shown(root: Widget) -> str:
    """All HTML in it."""
    return "".join(one.value for one in within(root) if isinstance(one, HTML))


@pytest.mark.parametrize(("kind", "view"), EXAMPLES, ids=lambda one: getattr(one, "__name__", ""))
def test_each_view_is_a_widget_with_its_own_html(kind: type[View], view: View, app: App) -> None:
    """A panel or not, the fragment is the one that a page without widgets shows."""
    made = widget(view, app)
    assert view.html() in shown(made)
    assert isinstance(made, VBox) is (kind in PANELS)


def test_the_versions_are_filtered_by_every_word(app: App) -> None:
    """Verdict, role, parameter: all of the words must be there; none that match is said below, and the table stays."""
    view = VersionsView("digits", versions("cnn"), {"digits@2": running(90)})
    panel = widget(view, app)
    words: Text = of_class(panel, "turnout-versions-filter")
    words.value = "pass CHAMPION epochs=8"
    assert "digits@2" in shown(panel)
    assert "digits@3</td>" not in shown(panel)
    words.value = "nothing of the kind"
    assert "no version of digits has" in shown(panel)
    assert "digits@2</td>" in shown(panel)
    words.value = ""
    assert "no version of digits has" not in shown(panel)
    assert "digits@3</td>" in shown(panel)


def test_the_versions_are_sorted(app: App) -> None:
    """By number, verdict or metric, whatever has no such number last."""
    made = [replace(one, metrics={} if one.ref.number == 2 else one.metrics, report=None) for one in versions("cnn")]
    panel = widget(VersionsView("digits", made), app)
    order: Dropdown = of_class(panel, "turnout-versions-order")

    def seen() -> list[int]:
        html = shown(panel)
        return sorted((1, 2, 3), key=lambda number: html.index(f"digits@{number}</td>"))

    assert seen() == [3, 2, 1]
    for name, numbers in (
        ("the oldest first", [1, 2, 3]),
        ("by verdict", [2, 3, 1]),
        ("accuracy, the highest first", [3, 1, 2]),
        ("accuracy, the lowest first", [1, 3, 2]),
        ("the newest first", [3, 2, 1]),
    ):
        order.value = name
        assert seen() == numbers, name


def test_two_versions_are_compared_in_the_table(app: App) -> None:
    """The last two are chosen first; the difference stands below, and an error in one line instead of it."""
    panel = widget(app.versions("digits"), app)
    left, right = (of_class(panel, f"turnout-versions-{side}") for side in ("left", "right"))
    compare: Button = of_class(panel, "turnout-versions-compare")
    assert (left.value, right.value) == ("digits@1", "digits@2")
    compare.click()
    assert app.diff(VersionSpec("digits", 1), VersionSpec("digits", 2)).html() in shown(panel)
    left.value = "digits@2"
    compare.click()
    assert "BadInput: digits@2 was given twice" in shown(panel)
    assert "epochs</td>" not in shown(panel)
    assert compare.disabled is False


def test_a_single_version_has_nothing_to_compare(app: App) -> None:
    """No control without a use; an empty list says how to make the first version."""
    for made in ([], versions("cnn")[:1]):
        panel = widget(VersionsView("digits", made), app)
        assert [one for one in within(panel) if isinstance(one, Button | Dropdown | Text)] == []


def test_the_status_is_looked_at_again(app: App, operator: FakeOperator) -> None:
    """The button shows what runs now, of the model that was asked for; an error stands in the widget alone."""
    operator.models["credit"] = entry("other")
    panel = widget(app.status("digits"), app)
    refresh: Button = of_class(panel, "turnout-status-refresh")
    operator.models["digits"] = {**entry("word"), "phase": "baking"}
    refresh.click()
    assert "baking</span>" in shown(panel)
    assert "credit" not in shown(panel)
    operator.models.clear()
    refresh.click()
    assert "Nothing is deployed" in shown(panel)


@pytest.mark.parametrize("error", [NoSuchVersion("digits has <no> version"), KeyError("odd"), ValueError("a\nb")])
def test_a_callback_that_fails_says_so_in_one_line(error: Exception) -> None:
    """Our errors and all others, escaped; the next call that goes well takes the line away."""
    problem, failing = HTML(), [True]

    @told_in(problem)
    def work(button: object) -> None:
        assert button == "pressed"
        if failing[0]:
            raise error

    work("pressed")
    assert problem.value.count("<p") == 1
    assert type(error).__name__ in problem.value
    assert "<no>" not in problem.value
    failing[0] = False
    work("pressed")
    assert problem.value == ""


def test_a_thousand_versions_stay_light(app: App) -> None:
    """The widget holds a bounded table, whatever the order and the filter."""
    (one, *_) = versions("cnn")
    made = [replace(one, ref=replace(one.ref, number=number), aliases=frozenset()) for number in range(1000, 0, -1)]
    panel = widget(VersionsView("digits", made), app)
    of_class(panel, "turnout-versions-order").value = "the oldest first"
    assert "digits@1</td>" in shown(panel)
    assert "and 975 more" in shown(panel)
    assert len(shown(panel)) < 50_000


def test_a_subclass_has_the_panel_of_its_parent(app: App) -> None:
    """A view that says more is no reason to do less with it."""

    class Wider(StatusView):
        """A status and more."""

    assert isinstance(widget(Wider({"models": {}}), app), VBox)


def test_the_module_loads_no_widgets_before_one_is_shown() -> None:
    """`%load_ext` must not wait for ipywidgets."""
    program = "import sys, ipext.widgets; print('ipywidgets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
