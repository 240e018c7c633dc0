"""JupyterLab and a browser, for the tests of the live panel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

from tests.e2e.line import ROOT, free_port

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 90.0
# A page on this machine needs none of what a browser asks the world for.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
THEME = os.environ.get("TURNOUT_THEME", "light")
"""`light` or `dark`."""


def write_notebook(folder: Path) -> Path:
    """A notebook that looks at `digits`."""
    cells = ["%load_ext ipext", "%monitor digits"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "watch.ipynb")
    return folder / "watch.ipynb"


@contextmanager
def jupyterlab(folder: Path, home: Path) -> Iterator[str]:
    """JupyterLab on a folder, its own files in `home`; its address."""
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--port-retries=0",
        "--IdentityProvider.token=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
    ]
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": f"JupyterLab {THEME.capitalize()}"}))
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: bool(urllib.request.urlopen(f"{address}/api", timeout=5).read()), "JupyterLab to answer")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + SECONDS
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if is_so():
                return
        except OSError as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within {SECONDS:.0f} s: {what}; {last}")


@contextmanager
def page_of(address: str, notebook: str = "watch.ipynb") -> Iterator[Any]:
    """A page in a browser of its own, which shows a notebook."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.set_default_timeout(SECONDS * 1000)
            page.goto(f"{address}/lab/tree/{notebook}")
            yield page
        finally:
            browser.close()


def run_all(page: Any, before: str = "") -> Any:
    """Run the notebook that the page shows; the live panel, once it is there.

    Args:
        page: The page.
        before: What stands in the first cell that is not run; all are, unless given.
    """
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    # The notebook's own indicator says so earlier, and what is run then is lost.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    if before:
        page.locator(".jp-CodeCell .cm-content").get_by_text(before).first.click()
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Above Selected Cell" if before else "Run All Cells", exact=True).first.click()
    panel = page.locator(".jp-OutputArea .turnout-monitor")
    panel.wait_for()
    panel.get_by_text("digits@2").first.wait_for()
    return panel
