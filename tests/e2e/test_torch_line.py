"""The line for a PyTorch regression; run by `make test-torch`, in an environment of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.e2e.line import ROOT, ProjectFolder, make_project, post

pytestmark = pytest.mark.torch

TABLES = """
[tool.turnout.models.rent]
train = "notebooks/rent/train.ipynb"
validate = "notebooks/rent/validate.ipynb"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectFolder:
    """A shipped PyTorch regression."""
    pytest.importorskip("torch", reason="PyTorch is not installed: `make test-torch` has it")
    folder = make_project(
        tmp_path_factory.mktemp("torch"), TABLES, rent=ROOT / "tests" / "notebooks" / "torch_regression"
    )
    folder.turnout("ship", "rent")
    return folder


def test_a_pytorch_regression_becomes_onnx_and_answers_alike(project: ProjectFolder) -> None:
    """The bento needs no PyTorch, the export is proved equal, and each validation row gets the original's number."""
    package = project.json("versions", "rent")["versions"][0]["package"]
    assert package["flavour"] == "onnx", package["reason"]
    assert package["parity"]["max_abs_diff"] < 1e-4
    requirements = (project.state / package["path"] / "src" / "requirements.txt").read_text(encoding="utf-8")
    assert "torch" not in requirements
    (folder,) = project.state.glob("artifacts/**/validation")
    predicted = pd.read_parquet(folder / "predictions.parquet")["prediction"].to_numpy()
    rows = np.load(folder / "inputs.npy").tolist()
    with project.serving("rent@1") as url:
        status, answer, headers = post(f"{url}/predict", {"inputs": rows})
    assert status == 200, answer
    assert headers["x-model-version"] == "rent@1"
    np.testing.assert_allclose(np.ravel(answer["outputs"]), predicted, rtol=1e-4, atol=1e-4)
