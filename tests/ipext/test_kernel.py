"""The extension in a real kernel: training in its own kernel, in the background, stopped; the Tab key; a mistake."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.ipext.shells import ROOT, SECONDS, Kernel, kernel

NOTEBOOKS = ROOT / "tests" / "notebooks"
PROJECT = """
[tool.turnout.models.credit]
train = "notebooks/credit/train.ipynb"
validate = "notebooks/credit/validate.ipynb"

[tool.turnout.models.endless]
train = "notebooks/bad/never_ends.ipynb"
validate = "notebooks/credit/validate.ipynb"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, with a model that trains in seconds and one that never ends."""
    root = tmp_path_factory.mktemp("a project für Hefte")
    (root / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    for name in ("credit", "bad"):
        shutil.copytree(NOTEBOOKS / name, root / "notebooks" / name)
    return root


@pytest.fixture(scope="module")
def notebook(folder: Path) -> Iterator[Kernel]:
    """A kernel that runs where a notebook lies, with the extension loaded."""
    with kernel(folder / "notebooks" / "credit") as one:
        assert one.run("%load_ext ipext").error == ""
        yield one


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"not within {SECONDS:.0f} s: {what}"
        time.sleep(0.05)


def kernels(folder: Path) -> list[psutil.Process]:
    """The kernels that run a notebook of the project, the test's own left out."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            is_kernel = "ipykernel_launcher" in " ".join(process.cmdline()) and process.ppid() != psutil.Process().pid
            if is_kernel and process.status() != psutil.STATUS_ZOMBIE and str(folder) in process.cwd():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_mistake_is_one_line(notebook: Kernel) -> None:
    """In the notebook, and as the exception's message, which is what papermill keeps."""
    said = notebook.run("%versions nobody")
    assert len(said.traceback) == 1
    assert said.traceback[0].startswith("NoSuchModel: the project has no model 'nobody'; it has credit, endless. ")
    assert said.traceback[0].endswith(said.error)


def test_the_tab_key(notebook: Kernel) -> None:
    """As JupyterLab asks for it; nothing heavy is loaded for it."""
    assert notebook.complete("%dep") == ["%deploy"]
    assert notebook.complete("%train cr") == ["credit"]
    assert "--canary" in notebook.complete("%deploy credit@1 --can")
    assert "credit@champion" in notebook.complete("v = %deploy credit@")
    assert notebook.run("import sys; print('mlflow' in sys.modules)").printed == "False\n"


def test_the_stop_button_stops_the_kernel(notebook: Kernel, folder: Path) -> None:
    """The training kernel is gone, and the cell ends with a line."""
    cell = notebook.begin("%train endless")
    until(lambda: len(kernels(folder)) == 1, "the training kernel")
    (training,) = kernels(folder)
    notebook.manager.interrupt_kernel()
    said = notebook.follow(cell)
    assert len(said.traceback) == 1
    assert said.traceback[0].startswith("Interrupted: ")
    until(lambda: not training.is_running() or training.status() == psutil.STATUS_ZOMBIE, "the end of it")
    assert "failed" in said.text, "the card says how it ended"


def test_training_in_the_background_leaves_the_kernel_free(notebook: Kernel) -> None:
    """A handle at once; other cells run meanwhile; the result is a version."""
    begun = notebook.run("work = %train credit --background\nwork")
    assert begun.error == ""
    assert "train credit" in begun.text
    meanwhile = notebook.run("print(6 * 7, work.done)")
    assert meanwhile.printed == "42 False\n", "nothing of it is printed into another cell"
    ended = notebook.run("trained = work.result()\nprint(str(trained), work.done)")
    assert ended.printed == "credit@1 True\n"
    assert "credit@1" in notebook.run("trained").text
    assert "credit@1" in notebook.complete("%validate credit@")


def test_the_progress_is_one_display(notebook: Kernel) -> None:
    """Drawn anew cell by cell; in the end a card of one line."""
    said = notebook.run("v = %validate credit@1")
    assert said.error == ""
    assert len(said.shown) == 1, "an assignment displays no result, and the progress is a single place"
    assert said.updates > 1
    assert re.fullmatch(r"validate credit@1\s+\S*done\S*\s+.*s(, \d+ steps)?", said.text.strip())
    assert said.printed == ""


def test_a_stopped_background_says_so(notebook: Kernel, folder: Path) -> None:
    """`stop()` is the stop button; `result()` raises what the command said."""
    notebook.run("work = %train endless --background")
    until(lambda: len(kernels(folder)) == 1, "its kernel")
    notebook.run("work.stop()")
    said = notebook.run("work.result()")
    assert len(said.traceback) == 1
    assert said.traceback[0].startswith("Interrupted: ")
    until(lambda: not kernels(folder), "the end of its kernel")
