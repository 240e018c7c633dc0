"""Runners of notebooks: the contract that papermill's and the fake keep, then what only real kernels can show."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from pipelines.errors import (
    BadParameter,
    BadProject,
    KernelDied,
    NotebookFailed,
    NotebookRaised,
    NotebookTimeout,
    StorageFailed,
)
from pipelines.ports import CellProgress, NotebookJob
from pipelines.values import Parameter
from tests.adapters.nurseries import end_nurseries, kernels, ordinary_kernels
from tests.adapters.runner_world import (
    DEFAULTS,
    FAILURES,
    World,
    fake,
    has_ended,
    is_kernel,
    papermill,
    warm,
    write_notebook,
)


@pytest.fixture(params=[papermill, warm, fake], ids=lambda make: make.__name__)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each runner in turn."""
    make: Callable[[Path], World] = request.param
    return make(tmp_path)


@pytest.fixture(params=[papermill, warm], ids=lambda make: make.__name__)
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The real runner, with ordinary and with warm kernels; none of this process is left when the test is over."""
    make: Callable[[Path], World] = request.param
    before = ordinary_kernels()
    world = make(tmp_path)
    yield world
    assert world.is_ordinary or ordinary_kernels() == before
    assert [child for child in psutil.Process().children(recursive=True) if is_kernel(child)] == []
    assert kernels() == []


@pytest.fixture(scope="module", autouse=True)
def nurseries() -> Iterator[None]:
    """The processes that warm kernels are forked from end with the tests."""
    yield
    end_nurseries()


def test_defaults_are_what_the_tagged_cell_declares(world: World) -> None:
    """Booleans, numbers and texts by name, in the cell's order; other defaults are not values of parameters."""
    defaults = world.runner.defaults(world.root / "nb" / "parameters.ipynb")
    assert list(defaults.items()) == list(DEFAULTS.items())


def test_a_run_reports_each_cell_and_leaves_the_executed_notebook(world: World) -> None:
    """Progress counts the code cells from 1 and ends one behind the last; only the output is left."""
    seconds = world.run("parameters.ipynb")
    assert seconds > 0
    cells = world.seen[-1].cells
    assert [progress.cell for progress in world.seen] == list(range(1, cells + 2))
    assert all(progress.title for progress in world.seen[:-1])
    assert world.executed()["nbformat"] == 4
    assert world.left() == ["out.ipynb"]


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_notebook_is_told_by_its_kind_and_kept(world: World, name: str) -> None:
    """Raised, too slow, killed or left early: an error of its own each, no final progress, and the output is there."""
    with pytest.raises(NotebookFailed) as failed:
        world.run(name)
    assert type(failed.value) is FAILURES[name]
    assert all(progress.cell <= progress.cells for progress in world.seen)
    assert world.executed()["nbformat"] == 4
    assert world.left() == ["out.ipynb"]


@pytest.mark.parametrize(
    "parameters",
    [{"cuont": 1}, {"count": "three"}, {"count": True}, {"count = 1; import os #": 1}, {"rate": float("nan")}],
)
def test_a_wrong_parameter_runs_nothing(world: World, parameters: Mapping[str, Parameter]) -> None:
    """An unknown name, a wrong type or a name that is code is refused before anything is started or written."""
    with pytest.raises(BadParameter) as refused:
        world.run("parameters.ipynb", parameters)
    assert next(iter(parameters)) in str(refused.value) or repr(next(iter(parameters))) in str(refused.value)
    assert (world.seen, world.left()) == ([], [])


def test_a_notebook_outside_the_project_is_refused(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A path that leads out, also through a symbolic link, is not run."""
    outside = tmp_path_factory.mktemp("outside") / "parameters.ipynb"
    shutil.copy(world.root / "nb" / "parameters.ipynb", outside)
    link = world.root / "nb" / "linked" / "parameters.ipynb"
    link.parent.mkdir()
    link.symlink_to(outside)
    for notebook in (outside, link, world.root / "nb" / ".." / ".." / outside.parent.name / outside.name):
        with pytest.raises(BadProject, match="outside the project"):
            world.runner.run(NotebookJob(notebook, world.output, world.root), world.seen.append)
    assert (world.seen, world.left()) == ([], [])


def test_a_notebook_that_is_not_there_is_named(world: World) -> None:
    """Both doors say which path leads nowhere."""
    with pytest.raises(BadProject, match=r"nobody\.ipynb"):
        world.runner.defaults(world.root / "nb" / "nobody.ipynb")
    with pytest.raises(BadProject, match=r"nobody\.ipynb"):
        world.run("nobody.ipynb")


# What follows needs real kernels.


def test_parameters_arrive_with_their_types(real: World) -> None:
    """Given values replace defaults, the others stay; a whole number arrives as the fraction that was declared."""
    text = "quotes \" ' and \\ and \n and ü {braces}"
    real.run("parameters.ipynb", {"count": 5, "rate": 2, "name": text, "is_fast": False, "nothing": "given"})
    shown = json.loads((real.root / "nb" / "shown.json").read_text(encoding="utf-8"))
    assert shown["values"] == [5, 2.0, text, False, -1, 10, "given", [1, 2]]
    assert shown["types"] == ["int", "float", "str", "bool", "int", "int", "str", "list"]
    assert [progress.title for progress in real.seen] == [
        "Show the parameters",
        "Parameters",
        "Show the parameters",
        "",
    ]


def test_a_notebook_runs_in_its_own_folder(real: World) -> None:
    """Relative paths mean the same as by hand in JupyterLab, and this process stays where it is."""
    before = Path.cwd()
    real.run("parameters.ipynb")
    assert (real.root / "nb" / "shown.json").exists()
    assert Path.cwd() == before


def test_what_a_cell_raised_is_told_in_one_line(real: World) -> None:
    """The message has the notebook, the cell's number and heading, the exception and the executed notebook's path."""
    with pytest.raises(NotebookRaised) as raised:
        real.run("raises.ipynb")
    assert raised.value.what == ("raises.ipynb, cell 2 (Divide by zero), raised ZeroDivisionError: division by zero")
    assert str(real.output) in raised.value.then


def test_a_failed_notebook_shows_how_far_it_came(real: World) -> None:
    """What a cell wrote before the time was over is kept; the record never calls a cell complete that was not."""
    with pytest.raises(NotebookTimeout, match="longer than 2 seconds"):
        real.run("never_ends.ipynb")
    assert {"begun\n"} == {"".join(output["text"]) for output in real.outputs()}
    with pytest.raises(KernelDied, match=r"cell 2 \(End the process\)"):
        real.run("kills_kernel.ipynb")
    cells = [cell for cell in real.executed()["cells"] if cell["cell_type"] == "code"]
    assert [cell["metadata"]["papermill"]["status"] for cell in cells] == ["completed", "failed", "pending"]


def test_the_last_words_of_a_killed_kernel_are_told(real: World) -> None:
    """A fatal error that Python itself reported ends in the message, not on this process's stderr."""
    source = ["import faulthandler, os, sys\n", "os.write(sys.__stderr__.fileno(), b'no memory left\\n'); os.abort()"]
    write_notebook(real.root / "nb" / "aborts.ipynb", ["".join(source)])
    with pytest.raises(KernelDied) as died:
        real.run("aborts.ipynb")
    assert "ended in cell 1" in str(died.value)
    assert "its last words: " in str(died.value)


def test_nothing_a_notebook_says_reaches_our_streams(real: World, capfd: pytest.CaptureFixture[str]) -> None:
    """Its stdout and stderr, its descriptors and its children's are outputs of its cells, and of nobody else."""
    # ipykernel leaves descriptors alone where it thinks it is itself being tested.
    real.run("speaks.ipynb", environment={"PYTEST_CURRENT_TEST": ""})
    assert capfd.readouterr() == ("", "")
    said = "".join("".join(output["text"]) for output in real.outputs())
    assert all(words in said for words in ("to stdout", "to stderr", "to descriptor 1", "from a child"))


def test_children_are_gone_and_exit_handlers_have_run(real: World) -> None:
    """What the notebook started ends with it; what it registered for its end has happened, and its files are whole."""
    real.run("leaves_children.ipynb")
    home = real.root / "nb"
    assert has_ended(int((home / "child.pid").read_text()))
    assert (home / "exit-handler-ran").exists()
    assert (home / "unclosed.txt").read_text() == "all of it"


def test_children_of_a_failed_notebook_are_gone_too(real: World) -> None:
    """When the kernel kills itself, what it had started is ended all the same."""
    source = (
        "import subprocess, sys, os\nfrom pathlib import Path\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(10**6)'])\n"
        "Path('child.pid').write_text(str(child.pid))\nos._exit(1)"
    )
    write_notebook(real.root / "nb" / "dies.ipynb", [source])
    with pytest.raises(KernelDied):
        real.run("dies.ipynb")
    assert has_ended(int((real.root / "nb" / "child.pid").read_text()))


def test_the_environment_is_this_processes_with_the_jobs_over_it(real: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the job replaces ours, an empty one removes it, and all others are handed on."""
    for name in ("TEST_KEPT", "TEST_REPLACED", "TEST_REMOVED"):
        monkeypatch.setenv(name, "ours")
    code = "import json, os\nprint(json.dumps({k: v for k, v in os.environ.items() if k.startswith('TEST_')}))"
    write_notebook(real.root / "nb" / "environment.ipynb", [code])
    real.run("environment.ipynb", environment={"TEST_REPLACED": "job's", "TEST_REMOVED": "", "TEST_ADDED": "new"})
    (said,) = real.outputs()
    assert json.loads("".join(said["text"])) == {"TEST_KEPT": "ours", "TEST_REPLACED": "job's", "TEST_ADDED": "new"}


def test_the_kernel_is_of_this_python(real: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kernel spec called python3 that belongs to something else, first on Jupyter's path, is not used."""
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["/nowhere/python"], "display_name": "x", "language": "R"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    write_notebook(real.root / "nb" / "which.ipynb", ["import sys\nprint(sys.executable)"])
    real.run("which.ipynb")
    (said,) = real.outputs()
    assert "".join(said["text"]).strip() == sys.executable


def test_it_runs_where_an_event_loop_is_running(real: World) -> None:
    """As inside a Jupyter kernel, whose loop waits for the magic to come back."""

    async def inside() -> float:
        return real.run("parameters.ipynb")

    assert asyncio.run(inside()) > 0


def test_progress_is_told_where_the_caller_is(real: World) -> None:
    """A display belongs to the thread that asked: what it raises ends the run, kernel and all, and comes back."""
    import threading

    def broken(progress: CellProgress) -> None:
        assert threading.current_thread() is threading.main_thread()
        raise ZeroDivisionError(progress.title)

    with pytest.raises(ZeroDivisionError, match="Wait for ever"):
        real.runner.run(real.job("never_ends.ipynb", cell_timeout_seconds=600), broken)


def test_an_output_that_cannot_be_written_is_known_before_the_work(real: World) -> None:
    """A file where the folder should be: nothing is run that could not be kept."""
    (real.root / ".turnout").write_text("in the way")
    with pytest.raises(StorageFailed, match="making room for the executed notebook"):
        real.run("parameters.ipynb")
    assert real.seen == []


def test_a_reader_never_sees_half_an_output(real: World) -> None:
    """The output takes the place of an earlier one in one step: whoever has that open reads it to its end."""
    real.output.parent.mkdir(parents=True)
    real.output.write_text("the earlier one")
    reader = real.output.with_name("reader")
    reader.hardlink_to(real.output)
    real.run("parameters.ipynb")
    assert reader.read_text() == "the earlier one"
    assert real.executed()["nbformat"] == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no JSON", "is no notebook"),
        ("{}", "is no notebook"),
        ('{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "is no notebook"),
        (
            '{"cells": [], "metadata": {"kernelspec": {"language": "R", "name": "ir", "display_name": "R"}},'
            ' "nbformat": 4, "nbformat_minor": 5}',
            "written in R",
        ),
    ],
)
def test_a_file_that_is_no_python_notebook_is_refused(real: World, text: str, said: str) -> None:
    """Broken JSON, another structure or another language: told with the path."""
    path = real.root / "nb" / "broken.ipynb"
    path.write_text(text)
    with pytest.raises(BadProject, match=said) as refused:
        real.run("broken.ipynb")
    assert str(path) in str(refused.value)


def test_the_source_notebook_stays_as_it_is(real: World) -> None:
    """Running changes no byte of it, and a path with braces, spaces and percent signs is no template to papermill."""
    home = real.root / "a {b} 100% c"
    home.mkdir()
    source = home / "in {0}.ipynb"
    shutil.copy(real.root / "nb" / "parameters.ipynb", source)
    before = source.read_bytes()
    real.runner.run(NotebookJob(source, real.output, real.root, {"count": 1}), real.seen.append)
    assert source.read_bytes() == before
    assert real.executed()["metadata"]["papermill"]["input_path"] == "a {b} 100% c/in {0}.ipynb"


def test_a_kernel_that_cannot_start_says_why(real: World) -> None:
    """Where the kernel's own program is broken, its last words are told, and the wait is not for a time-out."""
    real.is_ordinary = True
    broken = real.root / "broken"
    broken.mkdir()
    (broken / "ipykernel_launcher.py").write_text("raise SystemExit('no kernel today')")
    with pytest.raises(KernelDied, match="ended in its start; its last words: no kernel today"):
        real.run("parameters.ipynb", environment={"PYTHONPATH": str(broken)})
