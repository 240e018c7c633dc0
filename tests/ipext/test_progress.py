"""The card that shows work while it goes on, and what it expects from earlier runs."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ipext import progress as module
from ipext.progress import LiveReporter, Progress
from pipelines.adapters.executions import ExecutionFolder
from pipelines.adapters.version_numbers import champion_number, version_numbers
from pipelines.app import App
from pipelines.errors import StorageFailed
from pipelines.local.journal import durations
from pipelines.ports import CellProgress
from pipelines.views.blocks import Tone
from tests.fakes import FakeClock, FakeReporter
from tests.local.world import A, B, World


class Handle:
    """What `display` returns for a display that can be updated."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, bundle: Any) -> None:
        """Keep it."""
        self.shown.append(repr(bundle))


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Handle:
    """The display; it is drawn at once and at the end only."""
    made = Handle()

    def display(bundle: Any, **_: Any) -> Handle:
        made.update(bundle)
        return made

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(module, "TICK_SECONDS", 60.0)
    return made


def test_work_that_says_nothing_shows_nothing(handle: Handle) -> None:
    """A quick command leaves no card, and nobody looks for earlier runs."""

    def never() -> float | None:
        raise AssertionError("nobody asked")

    with LiveReporter("status", never):
        pass
    assert handle.shown == []


def test_steps_and_cells_end_as_one_line(handle: Handle) -> None:
    """Meanwhile the step, the cell and how long it took before."""
    progress = Progress("train digits", expected=20.0)
    progress.step("run train.ipynb")
    progress.cell = CellProgress(3, 8, "Fit the <network>")
    now = progress.view()
    assert "of about 20 s" in now.text()
    assert "cell 3 of 8: Fit the <network>" in now.text()
    assert "Fit the &lt;network&gt;" in now.html()
    with LiveReporter("train digits", lambda: None) as reporter:
        reporter.step("run train.ipynb")
        reporter.cell(CellProgress(1, 2, "Load"))
        reporter.step("register it")
    assert "no earlier run to compare with" in handle.shown[0]
    assert "done" in handle.shown[-1]
    assert "2 steps" in handle.shown[-1]
    assert len(handle.shown[-1].strip().splitlines()) == 1


def test_a_failure_is_on_the_card(handle: Handle) -> None:
    """The error itself is raised."""
    with suppress(ValueError), LiveReporter("train digits", lambda: 1.0) as reporter:
        reporter.step("run train.ipynb")
        raise ValueError
    assert "failed" in handle.shown[-1]


def test_the_same_words_again_are_one_step() -> None:
    """Who waits is told some times a second."""
    progress = Progress("deploy digits@2")
    for _ in range(5):
        progress.step("start digits@2: loading")
    progress.end("done", Tone.GOOD)
    assert progress.view().json()["steps"] == ["start digits@2: loading"]


def executed(folder: Path, name: str, **noted: Any) -> None:
    """An executed notebook with what papermill notes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"cells": [], "metadata": {"papermill": noted}}))


def test_expectations_come_from_whole_executions(tmp_path: Path) -> None:
    """Of that notebook, the latest; failed and broken ones do not count."""
    home = tmp_path / "digits"
    for number, seconds in enumerate((9.0, 20.0, 30.0, 22.0)):
        executed(home, f"2026010{number}-000000-train-abc{number}.ipynb", duration=seconds)
    executed(home, "20260109-000000-train-bad.ipynb", duration=1.0, exception=True)
    executed(home, "20260108-000000-validate-abc.ipynb", duration=2.0)
    (home / "20260107-000000-train-cut.ipynb").write_text('{"cells": [')
    clock = FakeClock()
    assert ExecutionFolder(tmp_path, clock).durations("digits", "train") == [22.0, 30.0, 20.0]
    assert ExecutionFolder(tmp_path, clock).durations("credit", "train") == []


def test_operations_are_expected_from_the_journal(tmp_path: Path) -> None:
    """Those that succeeded; a journal that is missing or broken knows none."""
    path = tmp_path / "state.db"
    assert durations(path, "deploy", "digits") == []
    world = World(path)
    world.do("deploy", A)
    world.do("deploy", B)
    assert durations(path, "deploy", "digits") == [0.0, 0.0]
    assert durations(path, "rollback", "digits") == []
    (tmp_path / "broken.db").write_bytes(b"no database" * 100)
    assert durations(tmp_path / "broken.db", "deploy", "digits") == []
    assert version_numbers(tmp_path / "broken.db", "digits") == []
    assert version_numbers(tmp_path / "missing.db", "digits") == []
    assert champion_number(tmp_path / "missing.db", "digits") is None
    with pytest.raises(StorageFailed, match="champion of digits"):
        champion_number(tmp_path / "broken.db", "digits")


def test_the_median_is_expected(tmp_path: Path) -> None:
    """Without a project nothing is."""
    assert App(tmp_path, FakeReporter()).expected_seconds("deploy", "digits") is None
    (tmp_path / "pyproject.toml").write_text("[tool.turnout]\n")
    (tmp_path / ".turnout").mkdir()
    world = World(tmp_path / ".turnout" / "state.db")
    app = App(tmp_path, FakeReporter())
    assert app.expected_seconds("deploy", "digits") is None
    world.do("deploy", A)
    assert app.expected_seconds("deploy", "digits") == 0.0
