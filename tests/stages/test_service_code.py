"""Service code: what is stored and where, what the next version takes along, and what a packaged one keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import BadInput, BadProject, BadServiceCode, NoSuchModel, Refused
from pipelines.stages.package import package
from pipelines.stages.service_code import Kept, remove, show, store
from pipelines.stages.ship import Shipped, ship
from pipelines.values import FunctionName, Project, VersionSpec
from tests.stages.world import World

HALF = "def preprocess(inputs):\n    return inputs / 2\n"
THIRD = HALF.replace("2", "3")
TOP = "def postprocess(outputs):\n    return outputs.argmax(axis=1)\n"


class TwoModels(World):
    """Another model has its notebooks in the same folder."""

    @property
    def project(self) -> Project:
        """The project with both."""
        one = super().project
        return replace(one, models={**one.models, "letters": replace(one.models["digits"], name="letters")})


def kept(world: World, body: str, name: FunctionName = "preprocess", **options: object) -> Kept:
    """Store a cell."""
    return store(world.project, "digits", name, body, world.ports, world.reporter, **options)  # type: ignore[arg-type]


def shipped(world: World) -> Shipped:
    """Ship the model."""
    return ship(world.project, "digits", {}, world.ports, world.reporter)


def outcomes(done: Shipped) -> list[str]:
    """What each stage did."""
    return [step.outcome for step in done.steps]


def test_a_cell_becomes_a_file(tmp_path: Path) -> None:
    """Verbatim below one line with its digest, beside the notebooks; the same text again changes nothing."""
    world = World(tmp_path)
    done = kept(world, HALF)
    assert done.path == tmp_path / "preprocess.py"
    header, _, text = done.path.read_text().partition("\n")
    assert text == HALF
    assert done.now is not None
    assert header == f"# turnout: preprocess of digits, sha256 {done.now.digest}"
    assert (done.is_changed, done.before, done.trial) == (True, None, None)
    stamp = done.path.stat().st_mtime_ns
    again = kept(world, HALF)
    assert not again.is_changed
    assert again.before == again.now
    assert done.path.stat().st_mtime_ns == stamp
    other = kept(world, THIRD)
    assert other.is_changed
    assert other.before == done.now


def test_a_refused_cell_stores_nothing(tmp_path: Path) -> None:
    """What was there stays, whatever is wrong."""
    world = World(tmp_path)
    kept(world, HALF)
    for body in ("def preprocess(inputs):\n    return scaler(inputs)\n", "import pandas\n" + HALF, "", TOP):
        with pytest.raises(BadServiceCode):
            kept(world, body)
    shipped(world)
    world.packager.failure = BadServiceCode("line 3 of preprocess raised ZeroDivisionError")
    with pytest.raises(BadServiceCode, match="ZeroDivision"):
        kept(world, THIRD)
    assert (tmp_path / "preprocess.py").read_text().endswith(HALF)


def test_it_is_tried_on_the_newest_packaged_version(tmp_path: Path) -> None:
    """With the other function that is stored; a look stores nothing."""
    world = World(tmp_path)
    shipped(world)
    done = kept(world, HALF, is_dry=True)
    assert done.trial is not None
    assert str(done.tried_on) == "digits@1"
    assert not done.is_changed
    assert not done.path.exists()
    kept(world, TOP, "postprocess")
    kept(world, HALF)
    assert [len(files.functions) for files in world.packager.tried] == [1, 1, 2]


def test_before_a_package_the_rows_of_a_validation_serve(tmp_path: Path) -> None:
    """What stands before the model is tried on them; what stands after it waits for the model."""
    world = World(tmp_path)
    world.train()
    assert kept(world, HALF).trial is None
    world.validate(1)
    done = kept(world, THIRD)
    assert done.trial is not None
    assert (str(done.tried_on), done.has_model) == ("digits@1", False)
    remove(world.project, "digits", "preprocess", world.ports)
    assert kept(world, TOP, "postprocess").trial is None
    package(world.project, VersionSpec("digits", 1), world.ports, world.reporter)
    assert kept(world, TOP, "postprocess").has_model


def test_rows_lie_beside_it(tmp_path: Path) -> None:
    """They go with the function that they are for, and only that has any."""
    world = World(tmp_path)
    (tmp_path / "shown.csv").write_text("a,b\n1,x\n2,\n")
    assert kept(world, HALF, rows=tmp_path / "shown.csv").has_rows
    rows = tmp_path / "preprocess.rows.json"
    assert rows.read_text() == '{"inputs": [\n{"a": 1, "b": "x"},\n{"a": 2, "b": null}\n]}\n'
    kept(world, THIRD)
    assert rows.exists()
    with pytest.raises(BadInput, match="--rows belongs to %%preprocess"):
        kept(world, TOP, "postprocess", rows=tmp_path / "shown.csv")
    remove(world.project, "digits", "preprocess", world.ports)
    assert not rows.exists()


def test_a_function_is_shown_and_taken_away(tmp_path: Path) -> None:
    """One that is not there is taken away already."""
    world = World(tmp_path)
    kept(world, HALF)
    assert show(world.project, "digits", "preprocess", world.ports).now is not None
    assert remove(world.project, "digits", "preprocess", world.ports).is_changed
    assert not (tmp_path / "preprocess.py").exists()
    assert not remove(world.project, "digits", "preprocess", world.ports).is_changed
    assert show(world.project, "digits", "preprocess", world.ports).now is None
    with pytest.raises(NoSuchModel):
        show(world.project, "letters", "preprocess", world.ports)


def test_the_next_package_takes_what_is_there(tmp_path: Path) -> None:
    """A version trained before the function was written is packaged with it; the record has its digest."""
    world = World(tmp_path)
    world.train()
    world.validate(1)
    done = kept(world, HALF)
    assert done.now is not None
    packaged = package(world.project, VersionSpec("digits", 1), world.ports, world.reporter)
    assert packaged.package.service_code == {"preprocess": done.now.digest}
    assert world.ports.registry.get(VersionSpec("digits", 1)).package == packaged.package


def test_a_packaged_version_keeps_its_answers(tmp_path: Path) -> None:
    """Packaging it again with other code is refused and names the way on; on record it can be forced."""
    world = World(tmp_path)
    shipped(world)
    kept(world, HALF)
    with pytest.raises(Refused, match=r"digits@1 is packaged already.*`turnout ship digits` makes a new version"):
        package(world.project, VersionSpec("digits", 1), world.ports, world.reporter)
    forced = package(world.project, VersionSpec("digits", 1), world.ports, world.reporter, reason="nobody uses it")
    assert list(forced.package.service_code) == ["preprocess"]


def test_ship_makes_a_new_version_of_the_same_model(tmp_path: Path) -> None:
    """Nothing is trained again: the model gets a new number when its service code has changed, and only then."""
    world = World(tmp_path)
    first = shipped(world)
    assert outcomes(shipped(world)) == ["reused", "reused", "reused"]
    kept(world, HALF)
    second = shipped(world)
    assert str(second.version.ref) == "digits@2"
    assert second.version.model_uri == first.version.model_uri
    assert outcomes(second) == ["reused", "reused", "done"]
    assert "other service code" in second.steps[0].reason
    assert sorted(world.ran()) == ["train.ipynb", "validate.ipynb"]
    assert outcomes(shipped(world)) == ["reused", "reused", "reused"]
    kept(world, THIRD)
    assert str(shipped(world).version.ref) == "digits@3"
    kept(world, HALF)
    assert str(shipped(world).version.ref) == "digits@2", "its answers are what was asked for"
    remove(world.project, "digits", "preprocess", world.ports)
    assert str(shipped(world).version.ref) == "digits@1"
    packages = {v.ref.number: v.package for v in world.ports.registry.versions("digits")}
    assert [len(packages[number].service_code) for number in (1, 2, 3)] == [0, 1, 1]  # type: ignore[union-attr]


def test_a_file_edited_by_hand_counts(tmp_path: Path) -> None:
    """The file is the truth: it is read again when a version is packaged, and a broken one stops that."""
    world = World(tmp_path)
    kept(world, HALF)
    path = tmp_path / "preprocess.py"
    path.write_text(path.read_text().replace("/ 2", "/ 4"))
    function = show(world.project, "digits", "preprocess", world.ports).now
    assert function is not None
    assert function.is_edited
    assert shipped(world).version.package.service_code == {"preprocess": function.digest}  # type: ignore[union-attr]
    path.write_text(path.read_text() + "model = load()\n")
    with pytest.raises(BadServiceCode, match="line 4 of preprocess would run"):
        shipped(world)


def test_a_file_of_somebodys_own_is_left_alone(tmp_path: Path) -> None:
    """A helper that happens to have the name is not applied, not overwritten and not removed; packaging says so."""
    world = World(tmp_path)
    own = tmp_path / "preprocess.py"
    own.write_text("import pandas\n")
    assert shipped(world).version.package.service_code == {}  # type: ignore[union-attr]
    assert any("preprocess.py beside the notebooks is left alone" in step for step in world.reporter.steps)
    with pytest.raises(BadServiceCode, match="is there already"):
        kept(world, HALF)
    remove(world.project, "digits", "preprocess", world.ports)
    assert own.read_text() == "import pandas\n"


def test_models_of_one_folder_have_no_service_code(tmp_path: Path) -> None:
    """It could not be told whose the files are; without any, nothing is in the way."""
    world = TwoModels(tmp_path)
    shipped(world)
    with pytest.raises(BadProject, match="digits and letters have their training notebooks in the same folder"):
        kept(world, HALF)
    assert not (tmp_path / "preprocess.py").exists()
