"""What `turnout init` writes, brought to an answer over HTTP."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.policy.cells import CellText, notebook, notebook_text
from tests.e2e.line import ProjectFolder, free_port, readme_commands
from tests.e2e.running import RunningLine


def on_free_port(root: Path) -> RunningLine:
    """The project on a port that nobody uses."""
    file, port = root / "pyproject.toml", free_port()
    file.write_text(file.read_text().replace("port = 3000", f"port = {port}"))
    return RunningLine(root, port)


def test_what_it_prints_is_typed_and_answers(tmp_path: Path) -> None:
    """The README's command, and then each line that it prints, to the letter but for the port: a model answers."""
    init, ship = readme_commands(__file__)
    begun = ProjectFolder(tmp_path).json(*init)
    cd, *commands = begun["next"]
    line = on_free_port(tmp_path / shlex.split(cd)[1])
    assert ship == shlex.split(commands[0])[1:]
    try:
        for command in commands:
            typed = command.replace(":3000/", f":{line.port}/")
            path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
            done = subprocess.run(
                ["sh", "-c", typed], cwd=line.root, env=path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert [row["label"] for row in answer["outputs"]] == [1, 0]
        smoke = subprocess.run(
            [sys.executable, "tests/smoke.py", "churn"], cwd=line.root, env=path, capture_output=True
        )
        assert b"churn@1 answers" in smoke.stdout, smoke.stderr
    finally:
        line.turnout("down", "--yes")  # ends what warm kernels come from, too
        left = line.end()
    assert not left


@pytest.mark.long
@pytest.mark.parametrize(
    "framework",
    [
        "xgboost",
        "lightgbm",
        pytest.param("keras", marks=pytest.mark.tensorflow),
        pytest.param("torch", marks=pytest.mark.torch),
    ],
)
def test_the_other_frameworks_pass_their_gates(tmp_path: Path, framework: str) -> None:
    """Each is trained, judged by its own gates and exported; its example of a request gets the two right answers."""
    ProjectFolder(tmp_path).turnout("init", "churn", "--framework", framework)
    project = ProjectFolder(tmp_path / "churn")
    shipped = project.json("ship", "churn")
    assert shipped["verdict"] == "PASS"
    assert shipped["package"]["flavour"] == "onnx"
    with project.serving("churn@1") as url:
        request = (project.root / "notebooks/churn/request.json").read_bytes()
        asked = subprocess.run(
            ["curl", "-s", "-H", "content-type:application/json", "-d", "@-", f"{url}/predict"],
            input=request,
            capture_output=True,
            check=True,
        )
    outputs = json.loads(asked.stdout)["outputs"]
    rows = [row["probabilities"] if isinstance(row, dict) else row for row in outputs]
    assert [row[1] > 0.5 for row in rows] == [True, False]


@pytest.mark.long
def test_a_notebook_of_ones_own_is_shipped_by_doing_what_is_said(tmp_path: Path) -> None:
    """With what is added that the command names, to the letter, and nothing else: trained, judged and exported."""
    cells = [
        "from sklearn.datasets import load_wine\nfrom sklearn.ensemble import RandomForestClassifier\n"
        "from sklearn.model_selection import train_test_split",
        "trees = 30\ndata = load_wine(as_frame=True)",
        "X_train, X_test, y_train, y_test = train_test_split(data.data, data.target, test_size=70, random_state=1)",
        "clf = RandomForestClassifier(n_estimators=trees, random_state=0)\nclf.fit(X_train, y_train)",
    ]
    own = notebook_text(notebook([CellText("code", cell) for cell in cells]))
    (tmp_path / "wine.ipynb").write_text(own)
    project = ProjectFolder(tmp_path)
    begun = project.json("init", ".", "--from", "wine.ipynb")
    assert (tmp_path / "wine.ipynb").read_text() == own
    (added,) = begun["additions"]
    assert added["path"] == "wine-train.ipynb"
    copy = json.loads((tmp_path / "wine-train.ipynb").read_text())
    copy["cells"][-1]["source"].append("\n\n" + added["code"])
    (tmp_path / "wine-train.ipynb").write_text(json.dumps(copy))
    shipped = project.json("ship", "wine", "-p", "trees", "40")
    assert shipped["verdict"] == "PASS"
    assert shipped["parameters"] == {"trees": 40}
    assert shipped["package"]["flavour"] == "onnx"
    # What the printed request consists of is there.
    assert (tmp_path / begun["next"][-1].split("@")[1].split()[0]).is_file()
    for command in (["ruff", "check"], ["pytest", "-q"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
