"""A live panel in a real browser through what happens to it: a dead daemon, a saved notebook, a cleared cell."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager
from nbconvert import HTMLExporter

from tests.e2e.running import RunningLine, running_line
from tests.ipext.browser import CHROMIUM, jupyterlab, page_of, run_all, until, write_notebook
from tests.ipext.shells import Kernel

pytestmark = [
    pytest.mark.apt,
    pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="there is no Chromium"),
]
WATCHERS = "import threading; print(sum(one.name == 'turnout monitor' for one in threading.enumerate()))"
WIDGETS = "from ipywidgets.widgets import widget; print(len(widget._instances))"


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A project with a champion and a canary, and a notebook that looks at them."""
    with running_line(tmp_path_factory.mktemp("life") / "project", 2) as one:
        one.deploy(1)
        one.deploy(2, 10)
        write_notebook(one.root)
        yield one


@pytest.fixture(scope="module")
def page(line: RunningLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The notebook, run, with the panel open."""
    with jupyterlab(line.root, tmp_path_factory.mktemp("jupyter")) as address, page_of(address) as one:
        run_all(one)
        yield one


@pytest.fixture(scope="module")
def beside(page: Any, line: RunningLine) -> Iterator[Kernel]:
    """A second front end of the same kernel, which looks into it."""
    del page
    (file,) = [
        process.cmdline()[-1]
        for process in psutil.process_iter()
        if _is_python(process) and "ipykernel_launcher" in process.cmdline() and process.cwd() == str(line.root)
    ]
    client = BlockingKernelClient(connection_file=file)
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(KernelManager(), client)
    finally:
        client.stop_channels()


def _is_python(process: psutil.Process) -> bool:
    try:
        return "python" in process.name() and bool(process.cmdline())
    except psutil.Error:
        return False


def panel(page: Any) -> Any:
    """The panel in the page."""
    return page.locator(".jp-OutputArea .turnout-monitor")


def another_look(page: Any) -> None:
    """Wait until the panel was drawn anew."""
    old = re.search(r"as of \S+", panel(page).inner_text())
    assert old is not None
    panel(page).get_by_text(old.group()).wait_for(state="detached")
    panel(page).get_by_text("as of").wait_for()


def saved(page: Any, line: RunningLine) -> tuple[int, list[dict[str, Any]]]:
    """The size of the notebook's file when it was saved, and the outputs of the panel's cell in it."""
    notebook = line.root / "watch.ipynb"
    before = notebook.stat().st_mtime_ns
    page.keyboard.press("Control+s")
    until(lambda: notebook.stat().st_mtime_ns != before, "the notebook to be saved")
    return notebook.stat().st_size, json.loads(notebook.read_text("utf-8"))["cells"][1]["outputs"]


def test_a_killed_daemon_is_told_of_and_comes_back(page: Any, line: RunningLine) -> None:
    """The panel says so, cannot be pressed meanwhile, starts no daemon, and goes on when a command has."""
    line.kill("guardian", "daemon")
    panel(page).get_by_text("The daemon does not answer").wait_for()
    page.locator(".turnout-monitor-rollback[disabled]").wait_for()
    assert line.processes("daemon") == []
    line.turnout("status")
    panel(page).get_by_text("digits as of").wait_for()
    page.locator(".turnout-monitor-rollback:not([disabled])").wait_for()


def test_a_saved_notebook_does_not_grow(page: Any, line: RunningLine) -> None:
    """Looks later it has the same size: one output, which a reader without a kernel sees as a page."""
    size, (output,) = saved(page, line)
    another_look(page)
    another_look(page)
    assert saved(page, line) == (size, [output])
    exported, _ = HTMLExporter().from_filename(str(line.root / "watch.ipynb"))  # type: ignore[no-untyped-call]
    assert "digits@2 10 %" in re.sub("<[^>]*>", "", exported)


def test_run_again_and_cleared(page: Any, beside: Kernel) -> None:
    """A cell that is run again has one panel, and one that is cleared none: nothing goes on that nobody sees."""
    assert beside.run(WATCHERS).printed == "1\n"
    old = beside.run(WIDGETS).printed
    run_all(page)
    another_look(page)
    assert panel(page).count() == 1
    until(lambda: beside.run(WATCHERS).printed == "1\n", "one watcher")
    assert beside.run(WIDGETS).printed == old, "the old panel's widgets are gone"
    page.get_by_text("Edit", exact=True).first.click()
    page.get_by_text("Clear Outputs of All Cells", exact=True).first.click()
    panel(page).wait_for(state="detached")
    until(lambda: beside.run(WATCHERS).printed == "0\n", "no watcher")


def test_a_page_that_is_loaded_again(page: Any, beside: Kernel) -> None:
    """The panel is there again, and cleared it ends: the page that is gone is not waited for."""
    run_all(page)
    another_look(page)
    page.keyboard.press("Control+s")
    page.reload()
    another_look(page)
    assert beside.run(WATCHERS).printed == "1\n"
    page.get_by_text("Edit", exact=True).first.click()
    page.get_by_text("Clear Outputs of All Cells", exact=True).first.click()
    panel(page).wait_for(state="detached")
    until(lambda: beside.run(WATCHERS).printed == "0\n", "no watcher")
