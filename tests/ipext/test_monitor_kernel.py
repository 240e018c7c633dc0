"""The live panel in a real kernel over real hosts: it follows, steers, and outlives a daemon that was killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import RunningLine, running_line, wait_until
from tests.ipext.shells import Kernel, kernel

SHOW = """
panel = (%monitor digits).widget
panel._view_count = 1
""".replace("(%monitor digits)", "get_ipython().run_line_magic('monitor', 'digits')")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """Two versions side by side."""
    with running_line(tmp_path_factory.mktemp("panel") / "project", 2, "bake_minutes = 0") as made:
        made.deploy(1)
        made.deploy(2, share=20)
        yield made


@pytest.fixture(scope="module")
def notebook(line: RunningLine) -> Iterator[Kernel]:
    """A kernel in the project's folder, with an open panel; a front end's part is played by the count of its places."""
    with kernel(line.root) as one:
        assert one.run("%load_ext ipext").error == ""
        assert one.run(SHOW).error == ""
        yield one


def note(notebook: Kernel) -> str:
    """What the panel says at its top; asked in a cell, so the kernel is free and nothing else was printed into it."""
    said = notebook.run("print('[' + panel._note.value.rpartition('</style>')[2] + ']')")
    assert said.error == ""
    assert said.printed.startswith("["), said.printed
    assert said.printed.endswith("]\n"), said.printed
    return said.printed


def test_a_killed_daemon_is_told_of_and_comes_back(notebook: Kernel, line: RunningLine) -> None:
    """The panel starts none; when a command has, it goes on by itself."""
    wait_until(lambda: "digits as of" in note(notebook), "the first look")
    line.kill("guardian", "daemon")
    wait_until(lambda: "The daemon does not answer" in note(notebook), "the word of it")
    assert notebook.run("print(panel._rollback.disabled)").printed == "True\n"
    assert line.processes("daemon") == []
    line.turnout("status")
    wait_until(lambda: "digits as of" in note(notebook), "the way back")
    wait_until(lambda: notebook.run("print(panel._rollback.disabled)").printed == "False\n", "the buttons")


def test_the_controls_move_the_real_split(notebook: Kernel, line: RunningLine) -> None:
    """The slider, then the way back with its reason, which the history keeps."""
    wait_until(lambda: notebook.run("print(panel._slider.disabled)").printed == "False\n", "the slider")
    notebook.run("panel._slider.value = 55")
    wait_until(lambda: line.weights() == {"digits@1": 45, "digits@2": 55}, "the split")
    wait_until(lambda: "done" in notebook.run("print(panel._said.value)").printed, "the word of it")
    wait_until(lambda: notebook.run("print(panel._rollback.disabled)").printed == "False\n", "the button")
    notebook.run("panel._rollback.click(); panel._reason.value = 'worse on sevens'; panel._confirm.click()")
    wait_until(lambda: line.weights() == {"digits@1": 100}, "the way back")
    assert "worse on sevens" in line.turnout("history", "digits", "--json").out


def test_run_again_it_leaves_no_thread(notebook: Kernel) -> None:
    """A cell that shows it ten times has one watcher; without the extension there is none."""
    count = "import threading; print(sum(t.name == 'turnout monitor' for t in threading.enumerate()))"
    show = """
from IPython.display import display
shown = get_ipython().run_line_magic('monitor', 'digits')
shown._cells._shell.kernel._allow_stdin = True
display(shown)
for held in shown._cells._panels.values():
    held[-1]._view_count = 1
"""
    notebook.run("panel.end()")
    for _ in range(10):
        said = notebook.run(show)
        assert said.error == ""
        assert "application/vnd.jupyter.widget-view+json" in said.shown[-1]
    wait_until(lambda: notebook.run(count).printed == "1\n", "one watcher")
    notebook.run("%unload_ext ipext")
    wait_until(lambda: notebook.run(count).printed == "0\n", "no watcher")


def test_it_ends_with_its_kernel(tmp_path: Path, line: RunningLine) -> None:
    """A watcher never keeps a process alive that was asked to end."""
    del tmp_path
    with kernel(line.root) as one:
        one.run("%load_ext ipext")
        assert one.run(SHOW).error == ""
        assert json.loads(one.run("import os, json; print(json.dumps(panel.is_watching))").printed) is True
        one.client.shutdown()
        wait_until(lambda: not one.manager.is_alive(), "the kernel's end")
