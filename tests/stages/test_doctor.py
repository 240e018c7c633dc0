"""doctor: what is looked at, in which order, and that one failure hides no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import BadProject, NoProject
from pipelines.ports import NotebookRunner
from pipelines.stages.doctor import Checkup, examine
from pipelines.values import Project
from pipelines.values.health import Finding, Health, MachineFacts, NotebookFacts, RuntimeFacts
from tests.stages.world import World

MACHINE = MachineFacts((3, 11, 7), "/usr/bin/python3", "0.1.0", 50_000, 8_000, 2026)
GOOD = NotebookFacts(tagged=True, imports=frozenset({"mlflow"}), flavours=("sklearn",), saves_table=True)


def look(world: World, checkup: Checkup | None = None, find: BadProject | None = None) -> dict[str, Finding]:
    """What is found in the world's project, by name."""

    def found(start: Path) -> Path:
        if find is not None:
            raise find
        return start

    def runner(project: Project) -> NotebookRunner:
        assert project.root == world.folder
        return world.ports.runner

    sound = Checkup(lambda _: MACHINE, lambda *_: RuntimeFacts(), lambda _: GOOD, lambda *_: frozenset())
    told = examine(world.folder, found, lambda _: world.project, runner, checkup or sound)
    assert told[0].name == "python"
    return {one.name: one for one in told}


def test_a_sound_project_is_ok_throughout(tmp_path: Path) -> None:
    """Both notebooks and the packages of each model have a line."""
    found = look(World(tmp_path))
    assert {one.health for one in found.values()} == {Health.OK}
    assert {"project", "digits: train.ipynb", "digits: validate.ipynb", "digits: packages"} <= set(found)


@pytest.mark.parametrize(
    ("error", "health"), [(NoProject("none here"), Health.WARNING), (BadProject("no TOML"), Health.PROBLEM)]
)
def test_without_a_project_the_machine_is_looked_at(tmp_path: Path, error: BadProject, health: Health) -> None:
    """A folder that is no project is told apart from one whose file is broken."""
    assert look(World(tmp_path), find=error)["project"].health is health


def test_a_validation_without_model_uri_is_a_problem(tmp_path: Path) -> None:
    """It could judge one and the same model only; the cure is the line to add."""
    finding = look(World(tmp_path, declares={"rows": 3}))["digits: validate.ipynb"]
    assert finding.health is Health.PROBLEM
    assert "model_uri" in finding.cure


def test_a_parameter_that_the_notebook_does_not_declare_is_named(tmp_path: Path) -> None:
    """The project file and the notebook disagree: a training would be refused."""
    finding = look(World(tmp_path, parameters={"epoch": 3}))["digits: train.ipynb"]
    assert finding.health is Health.PROBLEM
    assert "epoch" in finding.says


def test_a_notebook_that_cannot_be_read_hides_nothing_else(tmp_path: Path) -> None:
    """Its line says why, and the other notebook and the packages are looked at all the same."""

    def notebook(path: Path) -> NotebookFacts:
        if path.name == "train.ipynb":
            raise BadProject("it is not valid JSON")
        return GOOD

    looked: list[set[str]] = []

    def missing(modules: object, _: object) -> frozenset[str]:
        looked.append(set(modules))  # type: ignore[call-overload]
        return frozenset({"skops"})

    found = look(World(tmp_path), Checkup(lambda _: MACHINE, lambda *_: RuntimeFacts(), notebook, missing))
    assert "valid JSON" in found["digits: train.ipynb"].says
    assert found["digits: validate.ipynb"].health is Health.OK
    assert "turnout[sklearn]" in found["digits: packages"].cure
    assert {"mlflow", "skl2onnx"} <= looked[0]
