"""`turnout watch` over real files, kernels and registry: a change of a cell is shipped once; and all models at once."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.line import CREDIT, ROOT, ProjectFolder, make_project

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectFolder:
    """A project that has shipped nothing yet."""
    return make_project(tmp_path_factory.mktemp("watch"), CREDIT, credit=ROOT / "tests" / "notebooks" / "credit")


class Watching:
    """A watch under way.

    Args:
        project: What it watches.
    """

    def __init__(self, project: ProjectFolder) -> None:
        self._process = project.start("watch", "--json", TURNOUT_WARM_KERNELS="0")

    def until(self, kind: str) -> dict[str, Any]:
        """Read on to the next event of this kind; no other one may be trouble."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = dict(json.loads(line))
            if event["kind"] == kind:
                return event
            assert event["kind"] not in ("failed", "trouble"), event
        raise AssertionError(f"it ended before {kind}: {self._process.communicate()[1]}")

    def interrupt(self) -> list[dict[str, Any]]:
        """Press Ctrl-C; what was told after that. It ends well, and without a traceback."""
        self._process.send_signal(signal.SIGINT)
        out, err = self._process.communicate(timeout=90)
        assert self._process.returncode == 0, err
        assert "Traceback" not in err
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def watching(project: ProjectFolder) -> Iterator[Watching]:
    """A watch."""
    made = Watching(project)
    yield made
    if made._process.poll() is None:
        made._process.kill()
        made._process.communicate()


def changed(project: ProjectFolder, old: str, new: str) -> None:
    """Change the training notebook, as JupyterLab saves: another file, renamed into place."""
    path = project.root / "notebooks" / "credit" / "train.ipynb"
    text = path.read_text(encoding="utf-8")
    assert old in text
    half = path.with_name(".~train.ipynb")
    half.write_text(text.replace(old, new, 1), encoding="utf-8")
    half.replace(path)


def refs(project: ProjectFolder) -> list[str]:
    """The versions, the newest first."""
    return [version["ref"] for version in project.json("versions", "credit")["versions"]]


def working(project: ProjectFolder) -> list[psutil.Process]:
    """The processes that are at work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(project.root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_a_change_of_a_cell_is_shipped_once(project: ProjectFolder, watching: Watching) -> None:
    """First what was never shipped, then the change, by its name; an output that is saved is no change."""
    first = watching.until("done")
    assert first["shipped"]["ref"] == "credit@1"
    changed(project, '"outputs": []', '"outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]')
    changed(project, "seed = 1", "seed = 2")
    assert watching.until("begun")["says"] == "credit is shipped: cell 1 changed"
    done = watching.until("done")
    assert done["shipped"]["ref"] == "credit@2"
    assert done["shipped"]["package"] is not None
    assert watching.interrupt() == []
    assert refs(project) == ["credit@2", "credit@1"]


def test_nothing_is_shipped_again_after_a_restart(project: ProjectFolder) -> None:
    """`--once` in CI, or a watch that was started anew: the change was shipped."""
    again = project.json("watch", "--once")
    assert again["ok"] is True
    assert [event["kind"] for event in again["events"]] == ["watching"]
    assert refs(project) == ["credit@2", "credit@1"]


def test_ctrl_c_ends_a_shipment_in_order(project: ProjectFolder, watching: Watching) -> None:
    """No process is left, no half version; the change is made up for the next time, once."""
    watching.until("watching")
    changed(project, "seed = 2", "seed = 3")
    watching.until("begun")
    # It has come to the notebook, whose kernel is the last process to begin.
    deadline = time.monotonic() + 60
    while not any("ipykernel" in " ".join(process.cmdline()) for process in working(project)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    watching.interrupt()
    assert working(project) == []
    assert refs(project) == ["credit@2", "credit@1"]
    made_up = project.turnout("watch", "--once", "--json", TURNOUT_WARM_KERNELS="0").document
    assert [event["kind"] for event in made_up["events"]] == ["watching", "begun", "done"]
    assert refs(project) == ["credit@3", "credit@2", "credit@1"]


def test_a_failed_shipment_ends_once_with_1(project: ProjectFolder) -> None:
    """Told with its cell's error, and told again without being repeated; mended, it is shipped."""
    changed(project, "seed = 3", "seed = 3 / 0")
    failed = project.turnout("watch", "--once", "--json", code=1, TURNOUT_WARM_KERNELS="0").document
    assert "ZeroDivisionError" in failed["events"][-1]["says"]
    again = project.json("watch", "--once", code=1)
    assert [event["kind"] for event in again["events"]] == ["watching", "failed"]
    assert len(list((project.state / "runs" / "credit").glob("*-train-*.ipynb"))) == 5
    changed(project, "seed = 3 / 0", "seed = 3")
    assert project.json("watch", "--once")["ok"] is True
    assert refs(project) == ["credit@3", "credit@2", "credit@1"]


def test_wrong_calls_and_a_second_watch_are_told(project: ProjectFolder, watching: Watching) -> None:
    """2 for a model that there is not or an impossible share, before anything is watched; 3 for the second watch."""
    watching.until("watching")
    assert "credit" in project.turnout("watch", "credits", code=2).err
    assert "500" in project.turnout("watch", "--canary", "500", code=2).err
    assert "a watch over credit is under way already" in project.turnout("watch", code=3).err
    watching.interrupt()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_watch_leaves_nothing_at_work(project: ProjectFolder, how: signal.Signals) -> None:
    """Its worker sees the end of its orders, and ends its kernel."""
    changed(project, "seed = ", "seed =  ")
    process = project.start("watch", "--json", TURNOUT_WARM_KERNELS="0")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["kind"] == "begun":
            break
    process.send_signal(how)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=90)
    deadline = time.monotonic() + 60
    while working(project):
        assert time.monotonic() < deadline, working(project)
        time.sleep(0.05)


def test_all_models_are_shipped_by_one_command(project: ProjectFolder) -> None:
    """Each in a process of its own, one behind the other where the project says so; then there is nothing to do."""
    loans = CREDIT.replace(".credit", ".loans") + "[tool.turnout.models.loans.parameters]\nregularisation = 2.0\n"
    after = loans.replace("validate =", 'after = ["credit"]\nvalidate =')
    (project.root / "pyproject.toml").write_text(CREDIT + after, encoding="utf-8")
    done = project.turnout("ship", "--all", "--json", TURNOUT_WARM_KERNELS="0").document
    assert {name: each["status"] for name, each in done["models"].items()} == {"credit": "done", "loans": "done"}
    made = {name: each["package"]["bento"].partition(":")[0] for name, each in done["models"].items()}
    assert made == {"credit": "credit", "loans": "loans"}
    again = project.json("ship", "loans", "credit")
    assert {name: each["status"] for name, each in again["models"].items()} == {"credit": "reused", "loans": "reused"}
