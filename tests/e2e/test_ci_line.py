"""The generated pipelines, run as the systems run them: with the real programs, to a served and validated model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.ci_steps import commands_of
from tests.e2e.line import TURNOUT, post
from tests.e2e.running import RunningLine
from tests.e2e.test_init_line import on_free_port


def begin(root: Path, system: str) -> None:
    """A fresh folder with `turnout init`, the pipeline of a system, and `git init`.

    The pipeline's first step would fetch packages. Its command is a setting of the project, and here it puts the
    running environment in the place of a new one; everything else is as `turnout init` writes it.
    """
    subprocess.run([TURNOUT, "init", str(root), "--name", "tumours"], check=True, capture_output=True)
    file = root / "pyproject.toml"
    file.write_text(f'{file.read_text()}\n[tool.turnout.ci]\ninstall = "ln -sfn {sys.prefix} .venv"\n')
    on_free_port(root)
    subprocess.run([TURNOUT, "init", str(root), "--ci", system], check=True, capture_output=True)
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "The first model"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=root, check=True)


def run_steps(commands: list[str], folder: Path, code: int = 0) -> None:
    """Each command in a shell of its own, which ends at the first failure; the last one ends with `code`."""
    # What a job has of its machine, and not what this test has of its.
    environment = {
        "PATH": os.environ["PATH"].replace(f"{Path(sys.executable).parent}:", ""),
        "HOME": str(folder.parent),
        "TURNOUT_WARM_KERNELS": "0",
        "GITHUB_STEP_SUMMARY": str(folder.parent / "summary.md"),
    }
    for number, command in enumerate(commands, start=1):
        done = subprocess.run(
            ["bash", "-e", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        wanted = code if number == len(commands) else 0
        assert done.returncode == wanted, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"


def is_served(line: RunningLine, ref: str) -> dict[str, Any]:
    """The version answers the example of a request; its entry in the status."""
    request = json.loads((line.root / "notebooks/tumours/request.json").read_text())
    status, answer, headers = post(line.url("tumours"), request)
    assert status == 200, answer
    assert [row["label"] for row in answer["outputs"]] == [1, 0]
    assert headers["x-model-version"] == ref
    return line.entry("tumours")


@pytest.mark.long
def test_the_github_workflow_builds_and_deploys_and_rolls_back(tmp_path: Path) -> None:
    """In a clone, to a served version; reports and executed notebooks are kept.

    Then the deployment alone, of a change that nobody has built there, as on another machine than the build's. Its
    smoke test fails and it is rolled back: the job fails, and the first version answers everything.
    """
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    begin(origin, "github")
    subprocess.run(["git", "clone", "-q", str(origin), str(clone)], check=True)
    jobs = commands_of("github", clone)
    run_steps(jobs.build, clone)
    assert "tumours@1" in (tmp_path / "summary.md").read_text()
    assert {path.name for path in (clone / "reports/tumours_files").iterdir()} >= {"train.ipynb", "validate.ipynb"}
    suites = ET.parse(clone / "reports/tumours.xml").getroot()  # noqa: S314 - our own
    assert int(suites.get("failures", "0")) == 0
    versions = json.loads(subprocess.check_output([TURNOUT, "versions", "tumours", "--json"], cwd=clone))["versions"]
    # Later changes are compared with it.
    assert "champion" in versions[0]["aliases"]
    line = RunningLine(clone, _port(clone))
    try:
        run_steps(jobs.deploy, clone)
        entry = is_served(line, "tumours@1")
        assert entry["champion"] == "tumours@1"
        file = clone / "pyproject.toml"
        gates = "[tool.turnout.models.tumours.gates]"
        file.write_text(file.read_text().replace(gates, f"parameters = {{ regularisation = 2.0 }}\n\n{gates}"))
        request = clone / "notebooks/tumours/request.json"
        right = request.read_text()
        request.write_text(right.replace("texture", "colour"))
        run_steps(jobs.deploy, clone, code=1)
        request.write_text(right)
        entry = is_served(line, "tumours@1")
        assert set(entry["quarantined"]) == {"tumours@2"}
        assert entry["versions"]["tumours@1"]["weight"] == 100
    finally:
        left = line.end()
    assert not left


def test_the_jenkinsfile_builds_and_deploys(tmp_path: Path) -> None:
    """Both in one workspace, as on an agent that also serves: the deployment takes what the build has made."""
    root = tmp_path / "workspace"
    begin(root, "jenkins")
    jobs, line = commands_of("jenkins", root), RunningLine(root, _port(root))
    try:
        run_steps(jobs.build, root)
        run_steps(jobs.deploy, root)
        assert is_served(line, "tumours@1")["champion"] == "tumours@1"
    finally:
        left = line.end()
    assert not left
    versions = json.loads(subprocess.check_output([TURNOUT, "versions", "tumours", "--json"], cwd=root))["versions"]
    assert [one["verdict"] for one in versions] == ["PASS"]


def _port(root: Path) -> int:
    return int((root / "pyproject.toml").read_text().partition("port = ")[2].split()[0])
