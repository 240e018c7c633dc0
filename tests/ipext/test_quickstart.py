"""notebooks/quickstart.ipynb under nbval, papermill and nbconvert, in a terminal and in a browser, in one project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.e2e.line import ROOT
from tests.e2e.quickstart import NOTEBOOK, SANITIZERS, copy_project
from tests.ipext.browser import CHROMIUM, jupyterlab, page_of, run_all, until
from tests.ipext.terminal import pasted, terminal

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project; nothing of it runs afterwards."""
    folder = copy_project(tmp_path_factory.mktemp("quickstart") / "turnout")
    yield folder
    run(folder, "pipelines.cli", "down", "--yes")


def run(folder: Path, *arguments: str) -> str:
    """Run a module in the copy, with this Turnout; what it said, when it succeeded."""
    # Warm kernels are on unless somebody switches them off; `down` ends what they come from.
    own = {"PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true", "TURNOUT_WARM_KERNELS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def texts(path: Path) -> list[str]:
    """What the cells of an executed notebook show, as text."""
    outputs = [out for cell in json.loads(path.read_text("utf-8"))["cells"] for out in cell.get("outputs", [])]
    return ["".join(out.get("data", {}).get("text/plain", out.get("text", ""))) for out in outputs]


def test_nbval_finds_what_is_stored(project: Path) -> None:
    """Run from its first cell to its last, it shows what the stored outputs show, numbers that vary left out."""
    options = ["--nbval-current-env", f"--nbval-sanitize-with={SANITIZERS}", "-p", "no:cacheprovider", "-c", os.devnull]
    said = run(project, "pytest", "--nbval", *options, f"--rootdir={project}", f"notebooks/{NOTEBOOK.name}")
    assert "passed" in said


def test_papermill_runs_it_again_without_doing_again_what_is_done(project: Path) -> None:
    """Nothing has changed, so no notebook of the model is run; the canary and the way back are real."""
    executed = project / "again.ipynb"
    run(project, "papermill", f"notebooks/{NOTEBOOK.name}", str(executed), "--cwd", "notebooks", "--no-progress-bar")
    said = texts(executed)
    assert sum("reused" in text for text in said) == 2
    assert any("['digits@1', 'digits@2']" in text for text in said), "both versions have answered"
    assert any(text == "True" for text in said), "after the way back only the first answers"


def test_nbconvert_makes_a_page_that_needs_no_script_of_ours(project: Path) -> None:
    """What a live panel shows in JupyterLab is a table there, not an empty place."""
    run(project, "jupyter", "nbconvert", "--execute", "--to", "html", f"notebooks/{NOTEBOOK.name}", "--output", "page")
    page = (project / "notebooks" / "page.html").read_text(encoding="utf-8")
    assert "application/vnd.jupyter.widget-view+json" not in page
    assert "req/s" in page
    assert "digits@2" in page


def test_a_terminal_shows_it_as_text(project: Path) -> None:
    """Cell by cell in plain IPython: tables, shares and verdicts, no markup, no traceback."""
    with terminal(project / "notebooks") as shell:
        cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
        said = {source.partition("\n")[0]: pasted(shell, source) for source in cells}
    assert "PASS" in said["first = %ship digits -p epochs 6"]
    assert "digits@2    20 %  canary" in said["%deploy {second} --canary 20"]
    assert "req/s" in said["%monitor digits"]
    assert "only a try" in said["%history digits"]
    assert "Stopped: digits" in said["%down --yes"]
    text = "\n".join(said.values())
    assert "Traceback" not in text
    assert "<div" not in text
    assert "object at 0x" not in text


def status(project: Path) -> dict[str, Any]:
    """What the project's status has of the model."""
    return dict(json.loads(run(project, "pipelines.cli", "status", "--json"))["models"]["digits"])


def weights(project: Path) -> dict[str, int]:
    """Who has which share."""
    return {ref: one["weight"] for ref, one in status(project)["versions"].items() if one["weight"]}


def answered(project: Path, count: int) -> set[int]:
    """Which versions answer so many requests."""
    body = json.dumps({"inputs": [[[[0]] * 8] * 8]}).encode()
    request = urllib.request.Request(f"{status(project)['url']}/predict", body, {"content-type": "application/json"})
    found = set()
    for _ in range(count):
        with urllib.request.urlopen(request, timeout=30) as reply:
            found.add(json.load(reply)["version"])
    return found


@pytest.mark.apt
@pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="there is no Chromium")
def test_in_jupyterlab_the_panel_moves_the_share_and_goes_back(project: Path, tmp_path: Path) -> None:
    """A person runs it up to the live panel, moves the slider and rolls back there: so it is at the endpoint, too."""
    with jupyterlab(project, tmp_path) as lab, page_of(lab, "notebooks/quickstart.ipynb") as page:
        panel = run_all(page, before="%rollback digits")
        panel.locator(".turnout-monitor-share .noUi-handle").focus()
        panel.locator(".turnout-monitor-share .noUi-handle").press("ArrowRight")
        until(lambda: weights(project) == {"digits@1": 79, "digits@2": 21}, "the share of the slider")
        panel.locator("td").get_by_text("21 %", exact=True).wait_for()
        assert answered(project, 100) == {1, 2}

        panel.locator(".turnout-monitor-rollback").click()
        panel.locator(".turnout-monitor-reason input").fill("seen in the browser")
        panel.locator(".turnout-monitor-confirm").click()
        until(lambda: weights(project) == {"digits@1": 100}, "the way back")
        panel.locator("td").get_by_text("100 %", exact=True).wait_for()
    assert answered(project, 50) == {1}
