"""A notebook where nobody is: under papermill and nbconvert a mistake ends it, with one line that says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.e2e.line import ROOT
from tests.e2e.running import RunningLine, running_line

SECONDS = 180
WRONG = {
    "%versions nobody": "NoSuchModel: the project has no model 'nobody'; it has credit, digits.",
    "%down": "--yes",
    "%deploy digits@1 --canary much": "'much' is not a valid integer",
}
"""A line that cannot be done, and what is said of it."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A project with a champion and a canary."""
    with running_line(tmp_path_factory.mktemp("headless") / "project", 2) as one:
        one.deploy(1)
        one.deploy(2, 20)
        yield one


def write(path: Path, *cells: str) -> None:
    """A notebook that loads the extension, then does this."""
    made = new_notebook(cells=[new_code_cell(cell) for cell in ("%load_ext ipext", *cells)])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, path)


def run(folder: Path, runner: str) -> subprocess.CompletedProcess[str]:
    """Run `in.ipynb` there, into `out.ipynb`."""
    arguments = {
        "papermill": ["papermill", "in.ipynb", "out.ipynb", "--no-progress-bar"],
        "nbconvert": ["nbconvert", "--to", "notebook", "--execute", "in.ipynb", "--output", "out.ipynb"],
    }[runner]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize("runner", ["papermill", "nbconvert"])
def test_a_mistake_ends_the_notebook_with_one_line(line: RunningLine, runner: str) -> None:
    """The runner fails, its exception has the message, and no cell after it is run."""
    (wrong, says), *_ = WRONG.items()
    write(line.root / "in.ipynb", wrong, "open('went-on', 'w').close()")
    done = run(line.root, runner)
    assert done.returncode != 0
    assert says in done.stderr
    assert "ipext/" not in done.stderr, "of our own code nothing is shown"
    assert not (line.root / "went-on").exists()


@pytest.mark.parametrize("runner", ["papermill", "nbconvert"])
def test_what_is_said_stands_in_the_notebook(line: RunningLine, runner: str) -> None:
    """Each mistake, caught by a cell that goes on, has its message; what is right is shown as page and text, without a
    widget that nobody could press.
    """
    tries = [
        f"try:\n    get_ipython().run_line_magic(*{wrong[1:].partition(' ')[::2]!r})\nexcept Exception as error:\n"
        "    print(type(error).__name__ + ':', error)"
        for wrong in WRONG
    ]
    write(line.root / "in.ipynb", *tries, "%monitor digits")
    done = run(line.root, runner)
    assert done.returncode == 0, done.stderr
    *said, monitor = json.loads((line.root / "out.ipynb").read_text("utf-8"))["cells"][1:]
    for cell, says in zip(said, WRONG.values(), strict=True):
        (output,) = cell["outputs"]
        text = "".join(output["text"])
        assert says in text
        assert len(text.splitlines()) == 1
    (output,) = monitor["outputs"]
    assert set(output["data"]) == {"text/html", "text/plain"}
    assert "digits@2 20 %" in "".join(output["data"]["text/plain"])
    assert line.weights() == {"digits@1": 80, "digits@2": 20}
