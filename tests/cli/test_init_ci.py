"""The files of `turnout init --ci`: what the systems' own checkers say, and what they run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import run
from pipelines.errors import BadProject
from pipelines.policy.ci import SYSTEMS, pipeline_of
from pipelines.policy.starting import models_of
from pipelines.project import read_ci
from pipelines.values.ci import CiSettings
from tests.e2e.ci_steps import calls_of, commands_of, errors_of, parsed
from tests.e2e.line import ROOT

BIN = Path(sys.executable).parent
SCHEMAS = {"github": "github-workflows", "gitlab": "gitlab-ci", "travis": "travis", "circleci": "circle-ci"}
ALL = [word for system in SYSTEMS for word in ("--ci", system)]
ODD = CiSettings(
    install="true",
    check=("""sh -c 'echo "it\'s"' # : {{ $x }} \\n""".replace("\\'", "'\\''"), ".venv/bin/ruff check . && true"),
    test=('test "$(printf "a\\tb")" != "<< x >>"', "[ 1 = 1 ]", "- {a: b} || true"),
    bin="",
    branch="release/1.x",
    runner="team/turnout",
)
"""Commands with whatever the files' own languages give a meaning to."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two models with the files of all systems."""
    folder = tmp_path_factory.mktemp("project") / "p"
    assert run(["init", str(folder), "--name", "one"]) == 0
    assert run(["init", str(folder), "--name", "two", *ALL]) == 0
    return folder


def checked(command: list[str], folder: Path) -> None:
    """A checker that is content."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def actionlint(folder: Path) -> None:
    """GitHub's workflow, its own label being known as one."""
    (folder / "labels.yaml").write_text("self-hosted-runner: {labels: [turnout, team/turnout]}")
    checked(["actionlint", "-config-file", "labels.yaml", str(folder / SYSTEMS["github"][0])], folder)


@pytest.mark.parametrize("system", SCHEMAS)
def test_a_file_keeps_to_its_systems_schema(project: Path, system: str) -> None:
    """The schemas come with the checker: nothing is asked of the network."""
    path = SYSTEMS[system][0]
    checked(["check-jsonschema", "--builtin-schema", f"vendor.{SCHEMAS[system]}", path], project)


def test_the_workflow_is_sound(project: Path) -> None:
    """Expressions, contexts, versions of actions and their inputs, as actionlint knows them."""
    actionlint(project)


def test_the_checkers_find_what_is_wrong(tmp_path: Path, project: Path) -> None:
    """Each of them refuses a file with one mistake in it: none is content with everything."""
    workflow = (project / SYSTEMS["github"][0]).read_text()
    file = tmp_path / SYSTEMS["github"][0]
    file.parent.mkdir(parents=True)
    file.write_text(workflow.replace("github.event_name", "github.event_nam"))
    with pytest.raises(AssertionError, match="event_nam"):
        actionlint(tmp_path)
    mistakes = {
        "github": ("steps:", "stebs:"),
        "gitlab": ("stage: deploy", "stage: {a: 1}"),
        "travis": ("pip: true", "pip: [7]"),
        "circleci": ("steps:", "stebs:"),
    }
    for system, (right, wrong) in mistakes.items():
        (tmp_path / "wrong.yml").write_text((project / SYSTEMS[system][0]).read_text().replace(right, wrong))
        with pytest.raises(AssertionError, match=r"wrong\.yml"):
            checked(["check-jsonschema", "--builtin-schema", f"vendor.{SCHEMAS[system]}", "wrong.yml"], tmp_path)
    (tmp_path / "Jenkinsfile").write_text((project / "Jenkinsfile").read_text().replace("agent any", "agent any {"))
    assert errors_of(parsed(tmp_path / "Jenkinsfile"))


def test_the_jenkinsfile_is_groovy_of_a_declarative_pipeline(project: Path) -> None:
    """No syntax error; one pipeline with an agent, whose stages have steps or stages, and names of their own."""
    root = parsed(project / "Jenkinsfile")
    assert errors_of(root) == []
    text = re.sub(r"//[^\n]*", "", (project / "Jenkinsfile").read_text())
    assert re.match(r"\s*pipeline \{\s*agent none\s*options \{", text)
    stages = [title for name, title in calls_of(root) if name == "stage"]
    parts = re.split(r"stage\('", text)[1:]
    assert len(parts) == len(stages)
    assert all(re.search(r"\b(steps|stages) \{", part) for part in parts)
    # A name is given once among the stages beside one another.
    at = stages.index("Deploy")
    assert len(set(stages[:at])) == at
    assert len(set(stages[at:])) == len(stages) - at


STUB = """#!/bin/sh
# In a pipe, each writes down its call after the one before it.
case "$1" in -c) cat > /dev/null;; esac
printf '%s\\n' "$(basename "$0")" "$@" >> "$LOG"
case "$*" in *--json) echo '{"ref": "x@1"}';; -c*) echo x@1;; esac
"""
MAIN = {
    "GITHUB_STEP_SUMMARY": "summary.md",
    "CI_COMMIT_BRANCH": "main",
    "TRAVIS_BRANCH": "main",
    "TRAVIS_PULL_REQUEST": "false",
    "TRAVIS_COMMIT": "c0ffee",
    "TURNOUT_HOST": "host",
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_command_of_a_system_calls_what_the_one_list_says(tmp_path: Path, system: str) -> None:
    """Executed line by line, each with programs that note their arguments: the shell sees the same in all five.

    The programs are stand-ins here; tests/e2e/test_ci_line.py runs the same commands with the real ones.
    """
    assert run(["init", str(tmp_path), "--name", "one", "--ci", system]) == 0
    log, bin_ = tmp_path / "log", tmp_path / ".venv/bin"
    bin_.mkdir(parents=True)
    for name in ("turnout", "python", "ruff", "python3", "git"):
        (bin_ / name).write_text(STUB)
        (bin_ / name).chmod(0o755)
    # Whom `ssh` reaches is this folder.
    (bin_ / "ssh").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (bin_ / "ssh").chmod(0o755)
    environment = {**MAIN, "PATH": f"{bin_}:/usr/bin:/bin", "LOG": str(log), "TURNOUT_FOLDER": str(tmp_path)}
    (tmp_path / "reports").mkdir()
    for name in ("one.md", "one.xml"):
        (tmp_path / "reports" / name).touch()

    def noted(commands: list[str]) -> str:
        log.write_text("")
        for command in commands:
            done = subprocess.run(["bash", "-e", "-c", command], cwd=tmp_path, env=environment, capture_output=True)
            assert done.returncode == 0, (command, done.stderr)
        return log.read_text().replace("git\nfetch\n--quiet\norigin\ngit\ncheckout\n--quiet\n--detach\nc0ffee\n", "")

    jobs, wanted = commands_of(system, tmp_path), pipeline_of(CiSettings(), ["one"], "requirements.txt")
    assert noted(jobs.build) == noted([step.run for step in wanted.build]) != ""
    assert noted(jobs.deploy) == noted([step.run for step in wanted.deploy]) != ""
    if system in ("gitlab", "travis"):
        # These systems have no condition for a step: the shell has it.
        environment |= {"CI_COMMIT_BRANCH": "mine", "TRAVIS_PULL_REQUEST": "12"}
        assert noted(jobs.build) == noted([step.run for step in wanted.build if not step.is_for_main])


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_command_of_ones_own_comes_through_to_the_letter(tmp_path: Path, system: str) -> None:
    """Quotes, backslashes, colons, hashes and braces: what is read back from the file is what was written."""
    path, render = SYSTEMS[system]
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pipeline = pipeline_of(ODD, ["one"], "requirements.lock")
    file.write_text(render(pipeline))
    jobs = commands_of(system, tmp_path)
    for step in (*pipeline.build, *pipeline.deploy):
        assert any(step.run in command for command in (*jobs.build, *jobs.deploy)), step.run
    if system == "jenkins":
        assert errors_of(parsed(file)) == []
    elif system == "gitlab":
        # What GitLab itself makes of that branch's name.
        assert "fallback_keys: [turnout-release-1-x]" in file.read_text()
    elif system == "github":
        actionlint(tmp_path)
    if system in SCHEMAS:
        checked(["check-jsonschema", "--builtin-schema", f"vendor.{SCHEMAS[system]}", str(file)], tmp_path)


def test_in_a_project_only_the_pipeline_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once; the same again changes nothing, and after a change of the settings the old file is in the way."""
    assert run(["init", str(tmp_path / "p")]) == 0
    file = tmp_path / "p/pyproject.toml"
    capsys.readouterr()
    for outcome in ("written", "kept as it was"):
        assert run(["init", str(tmp_path / "p"), "--ci", "jenkins", "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)["files"]
        assert told == {"path": "Jenkinsfile", "outcome": outcome}
    file.write_text(file.read_text() + '\n[tool.turnout.ci]\nbranch = "trunk"\n')
    assert run(["init", str(tmp_path / "p"), "--ci", "jenkins"]) == 1
    assert "Jenkinsfile" in capsys.readouterr().err
    (tmp_path / "p/Jenkinsfile").unlink()
    assert run(["init", str(tmp_path / "p"), "--ci", "jenkins"]) == 0
    assert "branch 'trunk'" in (tmp_path / "p/Jenkinsfile").read_text()


def test_what_a_pipeline_makes_is_left_out_of_git(tmp_path: Path) -> None:
    """In a project whose .gitignore does not name it: only the lines that it lacks come behind its own."""
    assert run(["init", str(tmp_path)]) == 0
    (tmp_path / ".gitignore").write_text("*.csv\n/.turnout\n")
    assert run(["init", str(tmp_path), "--ci", "gitlab"]) == 0
    assert (tmp_path / ".gitignore").read_text() == "*.csv\n/.turnout\n.venv/\nreports/\n"


def test_a_wrong_system_or_setting_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is allowed is in the message; several mistakes in the settings are told at once."""
    assert run(["init", str(tmp_path), "--ci", "hudson"]) == 2
    assert "github, gitlab, jenkins, travis, circleci" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    wrong = '[tool.turnout.ci]\ncanary = 0\nrunnner = "x"\ninstall = "a\\nb"\n'
    with pytest.raises(BadProject, match=r"(?s)canary.*percent") as told:
        read_ci(wrong, tmp_path)
    assert "did you mean runner" in str(told.value)
    assert "tool.turnout.ci.install" in str(told.value)


def test_models_are_shipped_behind_those_they_come_after() -> None:
    """Whatever the order of the file; a circle is an error."""
    tables = '[tool.turnout.models.a]\nafter = ["b"]\n[tool.turnout.models.b]\n[tool.turnout.models.c]\nafter = ["a"]\n'
    assert models_of(tables) == ["b", "a", "c"]
    with pytest.raises(BadProject, match="circle"):
        models_of(tables.replace("[tool.turnout.models.b]", '[tool.turnout.models.b]\nafter = ["c"]'))


def test_this_projects_own_pipelines_are_what_the_command_writes_now(tmp_path: Path) -> None:
    """From its project file and lock alone; `turnout init . --ci` writes them anew when they are removed."""
    for name in ("pyproject.toml", "requirements.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    assert run(["init", str(tmp_path), "--ci", "github", "--ci", "jenkins"]) == 0
    for system in ("github", "jenkins"):
        path = SYSTEMS[system][0]
        assert (ROOT / path).read_text() == (tmp_path / path).read_text(), f"{path} is not what the settings say"
    assert {path.name for path in (ROOT / ".github/workflows").iterdir()} == {"turnout.yml"}
