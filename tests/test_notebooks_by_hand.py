"""The digits notebooks without Turnout around them, as in JupyterLab."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipelines.adapters.papermill_runner import PapermillRunner
from pipelines.ports import NotebookJob

DIGITS = Path(__file__).resolve().parents[1] / "notebooks" / "digits"

pytestmark = pytest.mark.tensorflow


def test_the_digits_notebooks_run_by_hand(tmp_path: Path) -> None:
    """Trained and validated with no tracking URI: the newest model is judged, nothing lies beside the notebooks."""
    home, temporary = tmp_path / "project" / "digits", tmp_path / "temporary"
    home.mkdir(parents=True)
    temporary.mkdir()
    environment = {
        **dict.fromkeys(("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"), ""),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TMPDIR": str(temporary),
    }
    for name, parameters in (("train.ipynb", {"epochs": 1}), ("validate.ipynb", {})):
        shutil.copy(DIGITS / name, home)
        output = tmp_path / "executed" / name
        job = NotebookJob(home / name, output, tmp_path, parameters, environment, cell_timeout_seconds=300)
        PapermillRunner().run(job, print)
        outputs = [
            output
            for cell in json.loads(output.read_text(encoding="utf-8"))["cells"]
            for output in cell.get("outputs", [])
        ]
        assert any("image/png" in each.get("data", {}) for each in outputs), f"{name} draws nothing"
    assert {path.name for path in home.iterdir()} == {"train.ipynb", "validate.ipynb"}
    assert {path.name for path in home.parent.iterdir()} == {"digits"}
    assert list(temporary.rglob("predictions.parquet"))
