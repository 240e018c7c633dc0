"""`turnout doctor` on real projects: one that serves, one whose parts were broken, and no project at all."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.local.runtime import Runtime
from tests.e2e.line import ROOT, ProjectFolder
from tests.e2e.running import RunningLine, running_line


def findings(line: RunningLine, code: int | None = None) -> dict[str, Any]:
    """What the doctor finds, by name."""
    told = line.turnout("doctor", "--json", code=code).document["findings"]
    return {one["name"]: one for one in told}


def test_what_serves_is_found_and_what_was_killed_is_missed(tmp_path: Path) -> None:
    """Daemon, guardian, gateway and port are ok while they run; with both dead the cure names the command."""
    with running_line(tmp_path / "project", versions=1) as line:
        line.deploy(1)
        found = findings(line)
        assert [found[name]["health"] for name in ("daemon", "guardian", "gateway", "port", "journal")] == ["ok"] * 5
        assert "runs" in found["daemon"]["says"]
        assert "own" in found["port"]["says"]
        # The project's notebooks are empty files.
        assert found["digits: validate.ipynb"]["health"] == "problem"
        line.kill("guardian", "daemon")
        found = findings(line, code=1)
        assert found["daemon"]["health"] == "problem"
        assert "turnout up" in found["daemon"]["cure"]
        # It only looked: nothing has been started by it.
        assert line.processes("daemon") == []


def test_what_is_broken_is_a_line_with_its_cure(tmp_path: Path) -> None:
    """A damaged journal, a store of something else, a taken port and a left socket, all told in one call."""
    root = tmp_path / "project"
    with running_line(root, versions=0) as line, socket.socket() as other:
        line.state.mkdir(exist_ok=True)
        (line.state / "state.db").write_bytes(b"no database at all" * 100)
        sqlite3.connect(line.state / "mlflow.db").execute("CREATE TABLE other (x)").connection.close()
        other.bind(("127.0.0.1", line.port))
        other.listen()
        left = Runtime.of(root).make().daemon_socket
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(left))
        try:
            found = findings(line, code=1)
        finally:
            left.unlink()
            (line.state / "state.db").unlink()
        assert {name for name in ("journal", "registry", "port") if found[name]["health"] == "problem"} == {
            "journal",
            "registry",
            "port",
        }
        assert str(left) in found["sockets"]["says"]
        assert all(one["cure"] for one in found.values() if one["health"] != "ok")


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_folder_without_a_project_is_no_problem_and_a_broken_file_is(tmp_path: Path, is_broken: bool) -> None:
    """The machine is looked at all the same; the exit code tells the two apart."""
    if is_broken:
        (tmp_path / "pyproject.toml").write_text("[tool.turnout\n")
    command = [sys.executable, "-m", "pipelines.cli", "doctor", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=None, capture_output=True, text=True, check=False)
    found = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert found["project"]["health"] == ("problem" if is_broken else "warning")
    assert is_broken or "turnout init" in found["project"]["cure"]
    assert done.returncode == int(is_broken)
    assert found["python"]["health"] == "ok"


def test_this_project_is_sound() -> None:
    """Turnout's own notebooks and packages are found to be in order."""
    done = ProjectFolder(ROOT).turnout("doctor", "--json", code=None)
    found = {one["name"]: one["health"] for one in done.document["findings"]}
    assert {found[f"digits: {part}"] for part in ("train.ipynb", "validate.ipynb", "packages")} == {"ok"}
