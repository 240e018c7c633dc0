"""`turnout init` as it is typed: what it asks, writes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pexpect
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.app import App
from pipelines.cli import run
from pipelines.errors import TurnoutError
from pipelines.policy.cells import CellText, notebook, notebook_text
from pipelines.policy.starting import KINDS
from pipelines.project import read_project
from pipelines.values.starting import Wish
from tests.fakes import FakeReporter

COMMAND = ["-m", "pipelines.cli", "init"]


def begun(folder: Path, *options: str) -> None:
    """Begin a project in a folder."""
    assert run(["init", str(folder), *options]) == 0


def files(folder: Path) -> set[str]:
    """All files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_new_folder_is_a_project_of_that_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nothing is asked: scikit-learn, and the folder's name; the next commands are printed."""
    begun(tmp_path / "Churn Rate", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == "churn-rate"
    assert {one["path"] for one in told["files"]} == files(tmp_path / "Churn Rate")
    assert told["next"][1] == "turnout ship churn-rate --canary 100"
    model = read_project(tmp_path / "Churn Rate").model("churn-rate")
    assert model.gates.comparisons


def run_module(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the environment in a folder."""
    return subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False)


def test_what_is_written_is_clean(tmp_path: Path) -> None:
    """Ruff finds nothing in the files of any framework, nor anything to format."""
    for framework in KINDS:
        begun(tmp_path / framework, "--framework", framework)
    for command in (["check"], ["format", "--check"]):
        done = run_module(tmp_path, "ruff", *command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_own_tests_and_the_doctor_find_it_sound(tmp_path: Path) -> None:
    """With requests of records and of arrays; the doctor finds notebooks and packages in order."""
    begun(tmp_path / "p", "--name", "one")
    begun(tmp_path / "p", "--name", "two", "--framework", "keras")
    done = run_module(tmp_path / "p", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout
    told = json.loads(run_module(tmp_path / "p", "pipelines.cli", "doctor", "--json").stdout)["findings"]
    found = {one["name"]: one["health"] for one in told}
    assert {found[f"{model}: {name}.ipynb"] for model in ("one", "two") for name in ("train", "validate")} == {"ok"}
    assert found["one: packages"] == "ok"


def test_a_person_is_asked_for_two_things(tmp_path: Path) -> None:
    """At a terminal, with a default each; a framework that there is not is asked for again."""
    child = pexpect.spawn(sys.executable, [*COMMAND, "churn"], cwd=str(tmp_path), env=None, timeout=30)
    child.expect_exact("Framework (sklearn, keras, torch, xgboost, lightgbm) [sklearn]: ")
    child.sendline("cobol")
    child.expect_exact("Framework (sklearn, keras, torch, xgboost, lightgbm) [sklearn]: ")
    child.sendline("xgboost")
    child.expect_exact("Name of the model [churn]: ")
    child.sendline("leavers")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert "XGBClassifier" in (tmp_path / "churn/notebooks/leavers/train.ipynb").read_text()


def test_what_was_said_is_not_asked(tmp_path: Path) -> None:
    """With both options, or with --yes, no question comes at a terminal either."""
    for options in (["--name", "a", "--framework", "sklearn"], ["--yes"]):
        child = pexpect.spawn(sys.executable, [*COMMAND, f"p{len(options)}", *options], cwd=str(tmp_path), timeout=30)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
        assert b"[sklearn]" not in child.before


def test_a_repository_keeps_its_files(tmp_path: Path) -> None:
    """In a Git repository with a README, a .gitignore and a project file of its own, what is there stays."""
    (tmp_path / "README.md").write_text("# Ours\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'ours'\nversion = '1'\n")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    begun(tmp_path, "--name", "churn")
    changed = subprocess.run(
        ["git", "diff", "--numstat"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()
    # Added lines, removed lines, file.
    assert changed[1::3] == ["0", "0"]
    assert changed[2::3] == [".gitignore", "pyproject.toml"]
    assert list(read_project(tmp_path).models) == ["churn"]


def test_a_second_model_joins_the_first(tmp_path: Path) -> None:
    """With a name of its own it is added to the project; under the first one's it is refused, and nothing changes."""
    begun(tmp_path / "p", "--name", "one")
    begun(tmp_path / "p", "--name", "two", "--framework", "lightgbm")
    assert list(read_project(tmp_path / "p").models) == ["one", "two"]
    before = (tmp_path / "p/pyproject.toml").read_bytes()
    assert run(["init", str(tmp_path / "p"), "--name", "two"]) == 2
    assert (tmp_path / "p/pyproject.toml").read_bytes() == before


def test_deep_in_a_project_it_is_the_project_that_is_added_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As every command finds it: from its notebooks' folder no project inside the project is made."""
    begun(tmp_path / "p", "--name", "one")
    monkeypatch.chdir(tmp_path / "p/notebooks/one")
    assert run(["init", ".", "--ci", "gitlab"]) == 0
    assert (tmp_path / "p/.gitlab-ci.yml").is_file()
    assert str(tmp_path / "p") in capsys.readouterr().out
    assert not (tmp_path / "p/notebooks/one/pyproject.toml").exists()
    # A folder that is named is one of its own.
    assert run(["init", "inner"]) == 0
    assert (tmp_path / "p/notebooks/one/inner/pyproject.toml").is_file()


def test_no_file_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those in the way are named in one line, and nothing is written."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_churn.py").write_text("mine")
    assert run(["init", str(tmp_path), "--name", "churn"]) == 1
    said = capsys.readouterr().err
    assert "tests/test_churn.py" in said
    assert said.count("\n") == 1
    assert files(tmp_path) == {"tests/test_churn.py"}


def test_a_call_killed_before_its_last_file_is_made_good_by_the_next(tmp_path: Path) -> None:
    """Without the project file, which comes last, it is no project yet; the same call finishes it."""
    begun(tmp_path / "p", "--name", "churn")
    whole = {path: (tmp_path / "p" / path).read_bytes() for path in files(tmp_path / "p")}
    (tmp_path / "p/pyproject.toml").unlink()
    (tmp_path / "p/tests/smoke.py").unlink()
    begun(tmp_path / "p", "--name", "churn")
    assert {path: (tmp_path / "p" / path).read_bytes() for path in files(tmp_path / "p")} == whole


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--framework", "cobol"], "sklearn, keras"), (["--name", "Not A Name"], "cannot name a model")],
)
def test_a_wrong_word_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    """What is allowed is in the message, and the folder was not made."""
    assert run(["init", str(tmp_path / "p"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(text=st.text(max_size=30), name=st.text(max_size=20))
def test_any_folder_and_name_end_well_or_with_one_error(tmp_path: Path, text: str, name: str) -> None:
    """Whatever is typed for them: a project is begun there, or one of our errors is raised and nothing is."""
    # Below a folder of its own, whatever the text: a slash would lead elsewhere.
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    typed = f"x{text.replace('/', '')}"
    app = App(folder, FakeReporter())
    try:
        app.init(typed, Wish(name=name))
    except TurnoutError:
        assert list(folder.iterdir()) == []
    else:
        assert len(read_project(folder / typed).models) == 1


def test_a_file_instead_of_a_folder_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, without a traceback."""
    (tmp_path / "p").write_text("a file")
    assert run(["init", str(tmp_path / "p")]) != 0
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.ipynb", None, "there is no notebook"),
        ("script.py", "x = 1", "ending in .ipynb"),
        ("broken.ipynb", "{", "not valid JSON"),
        ("r.ipynb", '{"nbformat": 4, "cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "written in R"),
    ],
)
def test_what_is_no_notebook_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, said: str
) -> None:
    """In one line, and nothing is written beside it."""
    if content is not None:
        (tmp_path / name).write_text(content)
    before = files(tmp_path)
    assert run(["init", str(tmp_path), "--from", str(tmp_path / name)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert files(tmp_path) == before


def test_a_notebook_in_the_way_of_the_copy_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The name of a copy may be taken by another notebook: it is named, and nothing is written."""
    (tmp_path / "a.ipynb").write_text(notebook_text(notebook([CellText("code", "n = 3")])))
    (tmp_path / "a-train.ipynb").write_text("mine")
    assert run(["init", str(tmp_path), "--from", str(tmp_path / "a.ipynb")]) == 1
    assert "a-train.ipynb" in capsys.readouterr().err
    assert files(tmp_path) == {"a.ipynb", "a-train.ipynb"}
