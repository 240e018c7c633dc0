"""`%%preprocess` and `%%postprocess` in a shell: what a cell does, what it shows, and that a mistake is one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from ipext.service_code import register, unregister
from pipelines.app import App
from pipelines.errors import BadInput, BadServiceCode, NoSuchModel, TurnoutError
from pipelines.stages.ship import ship
from pipelines.views import PackageView
from tests.stages.world import World

HALF = "def preprocess(inputs):\n    return inputs / 2\n"
TOP = "def postprocess(outputs):\n    return outputs.argmax(axis=1)\n"
PROJECT = """
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project of fakes, with its file on disk."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in ("train.ipynb", "validate.ipynb"):
        (tmp_path / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    return World(tmp_path)


@pytest.fixture
def shell(world: World) -> Iterator[InteractiveShell]:
    """A shell with both magics."""
    made = InteractiveShell(config=Config(HistoryManager={"enabled": False, "hist_file": ":memory:"}))
    register(made, lambda: App(world.folder, world.reporter, connect=lambda _: world.ports))
    yield made
    unregister(made)
    assert not {"preprocess", "postprocess"} & {
        *made.magics_manager.magics["line"],
        *made.magics_manager.magics["cell"],
    }


def cell(shell: InteractiveShell, line: str, body: str, name: str = "preprocess") -> Any:
    """Run a cell magic."""
    return shell.run_cell_magic(name, line, body)


def test_a_cell_is_stored_and_shown(shell: InteractiveShell, world: World) -> None:
    """The result says where, with which digest, and what comes next; another text shows a diff."""
    first = cell(shell, "digits", HALF)
    assert (world.folder / "preprocess.py").read_text().endswith(HALF)
    text = first.view.text()
    assert "preprocess of digits" in text
    assert "stored" in text
    assert "preprocess.py" in text
    assert "turnout ship digits" not in text, "nothing to try it on: that is what is said"
    assert "No version is packaged yet" in text
    second = cell(shell, "digits", HALF.replace("2", "4"))
    assert "-    return inputs / 2" in second.view.text()
    assert "+    return inputs / 4" in second.view.text()
    bundle = second._repr_mimebundle_()
    assert "+    return inputs / 4" in bundle["text/html"]
    assert second.document()["diff"] == second.view.diff()
    assert "as it is stored" in cell(shell, "digits", HALF.replace("2", "4")).view.text()


def test_it_says_what_it_was_tried_on(shell: InteractiveShell, world: World) -> None:
    """The version and how many rows."""
    ship(world.project, "digits", {}, world.ports, world.reporter)
    done = cell(shell, "digits", TOP, "postprocess")
    assert "10 rows, around the model of digits@1" in done.view.text()
    assert "turnout ship digits" in done.view.text()


def test_views_of_versions_name_their_functions(shell: InteractiveShell, world: World) -> None:
    """The table by name, the view of a package with the digest."""
    stored = cell(shell, "digits", HALF)
    shipped = ship(world.project, "digits", {}, world.ports, world.reporter)
    app = App(world.folder, world.reporter, connect=lambda _: world.ports)
    assert "onnx, preprocess" in app.versions("digits").text()
    package = shipped.version.package
    assert package is not None
    text = PackageView(shipped.version, package).text()
    assert stored.document()["digest"][:12] in text
    assert "preprocess" in text


def test_the_line_shows_and_removes(shell: InteractiveShell, world: World) -> None:
    """`%preprocess` shows the text; `--show` in a cell stores nothing; `--remove` takes it away, cell or not."""
    assert "nothing is stored" in shell.run_line_magic("preprocess", "digits").view.text()
    assert "checked, not stored" in cell(shell, "digits --show", HALF).view.text()
    assert not (world.folder / "preprocess.py").exists()
    cell(shell, "", HALF)
    shown = shell.run_line_magic("preprocess", "")
    assert "return inputs / 2" in shown.view.text()
    assert str(shown) == HALF
    (world.folder / "preprocess.py").write_text((world.folder / "preprocess.py").read_text() + "# more\n")
    assert "edited since a notebook stored it" in shell.run_line_magic("preprocess", "digits --show").view.text()
    assert "removed" in cell(shell, "digits --remove", HALF).view.text()
    assert not (world.folder / "preprocess.py").exists()
    assert "nothing is stored" in shell.run_line_magic("preprocess", "digits --remove").view.text()


@pytest.mark.parametrize(
    ("line", "body", "kind", "said"),
    [
        (
            "digits",
            "def preprocess(inputs):\n    return scaler(inputs)\n",
            BadServiceCode,
            "line 3 of preprocess uses scaler",
        ),
        ("letters", HALF, NoSuchModel, "letters"),
        ("digits --quick", HALF, BadInput, "--quick"),
        ("digits 'x", HALF, BadInput, "cannot read"),
        ("digits --rows lost.json", HALF, BadServiceCode, "there is no file"),
        ('digits --rows "\0.json"', HALF, BadInput, "no command can be given"),
        ("digits --remove --show", HALF, BadInput, "--remove goes alone"),
    ],
)
def test_a_mistake_is_one_line(
    shell: InteractiveShell, world: World, line: str, body: str, kind: type[TurnoutError], said: str
) -> None:
    """An error of ours, which a notebook shows as one line; nothing is stored."""
    with pytest.raises(kind, match=said) as caught:
        cell(shell, line, body)
    assert len(caught.value._render_traceback_()) == 1
    assert "\n" not in caught.value._render_traceback_()[0]
    assert not (world.folder / "preprocess.py").exists()


def test_help_says_how(shell: InteractiveShell) -> None:
    """`-h` prints and stores nothing."""
    with capture_output() as said:
        assert shell.run_line_magic("preprocess", "-h") is None
    assert "--rows" in said.stdout
    with capture_output() as said:
        shell.run_line_magic("postprocess", "-h")
    assert "--rows" not in said.stdout
    assert "after MODEL" in said.stdout


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(line=st.text("digts -rowshvemp'\"\\$", max_size=20), body=st.text())
def test_any_cell_is_taken_or_refused(shell: InteractiveShell, line: str, body: str) -> None:
    """Never a traceback, whatever the line and the cell."""
    with capture_output():
        try:
            shell.magics_manager.magics["cell"]["preprocess"](line, body)
        except TurnoutError as error:
            assert "\n" not in str(error).rstrip()  # noqa: PT017
