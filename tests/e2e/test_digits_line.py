"""The README, carried out: Keras on real images, from the notebooks to an answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.e2e.line import ROOT, ProjectFolder, make_project, post, readme_blocks, readme_commands
from tests.serving.bentos import running_bentoml

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectFolder]:
    """Turnout's own project file and notebooks, in a fresh folder, after all commands of the README but the last."""
    tables = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    made = make_project(tmp_path_factory.mktemp("digits project"), tables, digits=ROOT / "notebooks" / "digits")
    with made.warm() as folder:
        for command in readme_commands(__file__)[:-1]:
            folder.turnout(*command)
        yield folder


@pytest.fixture(scope="module")
def url(project: ProjectFolder) -> Iterator[str]:
    """The champion, served as the README says."""
    with project.serving("digits@champion") as address:
        yield address


@pytest.fixture(scope="module")
def validation(project: ProjectFolder) -> tuple[np.ndarray, pd.DataFrame]:
    """The held-out images, shape (rows, 8, 8, 1), and what the Keras model said of them."""
    inputs = next(project.state.glob("artifacts/**/validation/inputs.npy"))
    return np.load(inputs), pd.read_parquet(inputs.with_name("predictions.parquet"))


def test_the_readme_has_the_commands_this_file_runs() -> None:
    """The README still shows the whole line, so that running its commands proves something."""
    assert [command[0] for command in readme_commands(__file__)] == [
        "train",
        "validate",
        "package",
        "promote",
        "versions",
        "ship",
    ]


def test_versions_says_what_was_made(project: ProjectFolder) -> None:
    """`versions --json` has the version with its run, verdict, metrics and parameters, defaults included."""
    (version,) = project.json("versions", "digits")["versions"]
    assert version["ref"] == "digits@1"
    assert version["version"] == 1
    assert version["run_id"]
    assert version["verdict"] == "PASS"
    assert version["aliases"] == ["champion", "latest"]
    assert version["parameters"]["epochs"] == 6
    assert "seed" in version["parameters"]
    assert version["metrics"]["accuracy"] >= 0.95
    assert len(version["notebook_digest"]) == 64
    assert len(version["lock_digest"]) in {0, 64}


def test_the_bento_is_onnx_proved_equal(project: ProjectFolder) -> None:
    """The Keras model became ONNX, with a proof on all validation rows, and its bento needs no TensorFlow."""
    package = project.json("versions", "digits")["versions"][0]["package"]
    assert package["flavour"] == "onnx"
    assert package["parity"]["rows"] >= 300
    assert package["parity"]["max_abs_diff"] < 1e-4
    assert package["parity"]["agreement"] == 1.0
    requirements = (project.state / package["path"] / "src" / "requirements.txt").read_text(encoding="utf-8")
    assert "onnxruntime" in requirements
    assert "tensorflow" not in requirements
    assert "keras" not in requirements


def test_packaging_again_gives_the_same_digest(project: ProjectFolder) -> None:
    """The export and the bento depend on nothing but the version; the JSON of `package` says what it must."""
    before = project.json("versions", "digits")["versions"][0]["package"]
    again = project.json("package", "digits@1")
    assert again["digest"] == before["digest"]
    assert again["version"] == 1
    assert again["bento"] == "digits:1"
    assert again["flavour"] == "onnx"
    assert again["verdict"] == "PASS"
    assert set(again["parity"]) >= {"max_abs_diff", "rows"}
    assert again["run_id"]
    assert again["metrics"]
    assert again["parameters"]


def test_the_answer_is_the_original_models(url: str, validation: tuple[np.ndarray, pd.DataFrame]) -> None:
    """Every held-out image gets over HTTP the probabilities that Keras gave it."""
    images, table = validation
    status, answer, headers = post(f"{url}/predict", {"inputs": images.tolist()})
    assert status == 200
    assert (answer["model"], answer["version"]) == ("digits", 1)
    assert headers["x-model-version"] == "digits@1"
    original = table[[f"probability_{digit}" for digit in range(10)]].to_numpy()
    np.testing.assert_allclose(np.asarray(answer["outputs"]), original, atol=1e-4)


def test_the_readmes_request_is_answered(url: str) -> None:
    """The body that the README sends with curl is a valid request, and the drawn zero is seen as one."""
    (block,) = readme_blocks("sent", __file__)
    body = re.search(r"-d '(.*)'", block, re.DOTALL)
    assert body is not None
    status, answer, _ = post(f"{url}/predict", body.group(1).encode())
    assert status == 200
    assert int(np.argmax(answer["outputs"][0])) == 0


def test_the_readmes_client_runs(url: str) -> None:
    """The README's Python client works as it stands, but for the port; the first three images are 0, 1 and 2."""
    program = next(block for block in readme_blocks("run", __file__) if "SyncHTTPClient" in block)
    program = program.replace("http://127.0.0.1:3000", url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1 [0, 1, 2]"


def test_the_page_shows_real_shapes(url: str) -> None:
    """The OpenAPI document knows the shape of an image and the answer's fields."""
    import urllib.request

    with urllib.request.urlopen(f"{url}/docs.json", timeout=30) as answer:
        document: dict[str, Any] = json.load(answer)
    assert "/predict" in document["paths"]
    text = json.dumps(document)
    assert "outputs" in text
    assert "x-model-version" in text or "version" in text


def test_the_bento_runs_under_plain_bentoml(
    project: ProjectFolder, validation: tuple[np.ndarray, pd.DataFrame], tmp_path: Path
) -> None:
    """Plain `bentoml serve`, without Turnout's host, gives the same answers and refusals."""
    images, table = validation
    built = project.state / "bentoml" / "bentos" / "digits" / "1"
    with running_bentoml(built, tmp_path) as server:
        status, answer, headers = post(f"{server.url}/predict", {"inputs": images[:20].tolist()})
        assert status == 200
        assert headers["x-model-version"] == "digits@1"
        original = table[[f"probability_{digit}" for digit in range(10)]].to_numpy()[:20]
        np.testing.assert_allclose(np.asarray(answer["outputs"]), original, atol=1e-4)
        status, answer, _ = post(f"{server.url}/predict", {"inputs": [["text"]]})
        assert 400 <= status < 500
        assert "inputs" in json.dumps(answer)


def test_a_second_version_is_compared_with_the_champion(project: ProjectFolder) -> None:
    """The README's last command makes digits@2; its report holds the paired comparison with digits@1."""
    done = project.turnout(*readme_commands(__file__)[-1], code=None)
    assert done.code in {0, 1}, done.err
    first, second = reversed(project.json("versions", "digits")["versions"])
    assert (first["ref"], second["ref"]) == ("digits@1", "digits@2")
    assert second["parameters"]["epochs"] == 2
    report = project.json("validate", "digits@2", code=None)
    comparison = next(check for check in report["checks"] if check["name"] == "accuracy_vs_champion")
    assert comparison["observed"] is not None
    assert comparison["evidence"]
    assert report["champion"] == "digits@1"
    assert (report["verdict"] == "PASS") == (done.code == 0)


def test_shipping_what_has_not_changed_trains_nothing(project: ProjectFolder) -> None:
    """The same command again finds the version, and no further one is made."""
    before = project.json("versions", "digits")["versions"]
    shipped = project.json("ship", "digits", "-p", "epochs", "6")
    assert [step["outcome"] for step in shipped["steps"]] == ["reused", "reused", "reused"]
    assert len(project.json("versions", "digits")["versions"]) == len(before)


def test_executed_notebooks_are_kept_and_attached(project: ProjectFolder) -> None:
    """What ran lies below `.turnout/runs` with its outputs, and as an artifact of the run."""
    kept = sorted((project.state / "runs" / "digits").glob("*-train-*.ipynb"))
    assert kept
    cells = json.loads(kept[0].read_text(encoding="utf-8"))["cells"]
    assert any(output for cell in cells for output in cell.get("outputs", []))
    attached = list(project.state.glob("artifacts/**/notebooks/train/*.ipynb"))
    assert kept[0].name in {path.name for path in attached}


def test_nothing_is_left_beside_the_project(project: ProjectFolder) -> None:
    """No mlruns, no bento and no model in the notebooks' folder or the project's: all state is in `.turnout`."""
    assert {path.name for path in project.root.iterdir()} == {"pyproject.toml", "notebooks", ".turnout"}
    assert {path.name for path in (project.root / "notebooks" / "digits").iterdir()} == {
        "train.ipynb",
        "validate.ipynb",
    }
