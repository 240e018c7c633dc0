"""notebooks/quickstart.ipynb under nbval, papermill and nbconvert, one after the other in one project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.line import ROOT
from tests.e2e.quickstart import NOTEBOOK, SANITIZERS, copy_project

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
