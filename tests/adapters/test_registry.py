"""Registries of versions: the contract that MLflow's and the fake keep."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest

from pipelines.adapters.mlflow_registry import MlflowRegistry
from pipelines.errors import NoSuchVersion, Refused, StorageFailed
from pipelines.ports import LoggedModel, Registry, RunFacts
from pipelines.values import (
    Alias,
    Check,
    Dependencies,
    Evidence,
    GateReport,
    ModelVersion,
    PackageRecord,
    Parameter,
    Parity,
    Provenance,
    Revision,
    Verdict,
    VersionRef,
    VersionSpec,
)
from tests.adapters.mlflow_runs import log_run
from tests.fakes import FakeRegistry, FakeRun

PARTS = Dependencies("train.ipynb", ("1", "2"), {"data.csv": "3"}, {"features.py": "4"}, parameters={"rate": 0.5})
MADE_FROM = Provenance("a" * 64, "b" * 64, "c" * 64, Revision("git", "d" * 40, dirty=True), "e" * 64, "f" * 64, PARTS)
PACKAGE = PackageRecord(
    "digits:1", "bentos/digits/1", "onnx", "e" * 64, parity=Parity(360, 1e-7, 1.0, 1e-4), forced="a trial"
)


@dataclass
class World:
    """A registry, and how a notebook writes to it.

    Args:
        registry: The registry.
        start: Writes a run under a tag; returns its id.
    """

    registry: Registry
    start: Callable[[str, FakeRun], str]
    tags: int = 0

    def run(self, run: FakeRun) -> RunFacts:
        """A run under a tag of its own, as the registry has it."""
        self.tags += 1
        self.start(f"tag-{self.tags}", run)
        (facts,) = self.registry.runs(f"tag-{self.tags}")
        return facts

    def register(self, model: str = "digits", accuracy: float = 0.9) -> ModelVersion:
        """A new version, trained in a run of its own."""
        run = self.run(FakeRun({"train_accuracy": accuracy}))
        return self.registry.register(model, run, run.models[0], {"epochs": 8}, MADE_FROM)

    def validate(self, ref: VersionRef, accuracy: float = 0.9, verdict: Verdict = Verdict.PASS) -> ModelVersion:
        """Record a report on a version, from a validation run of its own."""
        run = self.run(FakeRun({"accuracy": accuracy}, models=()))
        report = GateReport(ref, (Check("accuracy", verdict, accuracy, ">= 0.5", {"rows": 10}, "a note"),))
        evidence = Evidence(run.run_id, run.metrics, key="key", parts=PARTS, judged_key="judged")
        return self.registry.record_report(report, evidence)


def mlflow(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """MLflow's."""
    assert tmp_path
    registry = MlflowRegistry(request.getfixturevalue("state"))
    return World(registry, lambda tag, run: log_run(registry.environment(tag), run))


def fake(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """The fake."""
    assert request
    registry = FakeRegistry(tmp_path / "registry")
    return World(registry, registry.start)


@pytest.fixture(params=[mlflow, fake], ids=lambda make: make.__name__)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each registry in turn."""
    make: Callable[[Path, pytest.FixtureRequest], World] = request.param
    return make(tmp_path, request)


def test_runs_are_found_by_their_tag_the_oldest_first(world: World) -> None:
    """All runs of one execution and no others, each with its metrics, parameters and models."""
    world.start("one", FakeRun({"first": 1.0}, models=(), parameters={"p": "1"}))
    world.start("other", FakeRun())
    world.start("one", FakeRun({"second": 2.0, "nothing": math.nan}, models=("small", "large")))
    first, second = world.registry.runs("one")
    assert (first.metrics, first.parameters, list(first.models)) == ({"first": 1.0}, {"p": "1"}, [])
    assert second.metrics["second"] == 2.0
    assert math.isnan(second.metrics["nothing"])
    assert [model.name for model in second.models] == ["small", "large"]
    assert all(model.uri.startswith("models:/m-") for model in second.models)
    assert world.registry.runs("nobody's") == []


def test_a_registered_version_has_its_facts(world: World) -> None:
    """Number, run, model, parameters with their types, what it was made from, and the training run's metrics."""
    run = world.run(FakeRun({"train_accuracy": 0.9}))
    parameters: dict[str, Parameter] = {"epochs": 8, "rate": 0.5, "name": "ü", "is_fast": True}
    version = world.registry.register("digits", run, run.models[0], parameters, MADE_FROM)
    assert version.ref == VersionRef("digits", 1)
    assert (version.run_id, version.model_uri) == (run.run_id, run.models[0].uri)
    assert version.parameters == parameters
    assert [type(value) for value in version.parameters.values()] == [int, float, str, bool]
    assert version.provenance == MADE_FROM
    assert version.metrics == {"train_accuracy": 0.9}
    assert version.aliases == {Alias.LATEST}
    assert version.created.tzinfo == UTC
    nothing = (version.verdict, version.report, version.package, version.validation_run_id, version.validation_key)
    assert nothing == (None, None, None, "", "")


def test_versions_come_the_newest_first(world: World) -> None:
    """Numbers count from 1 for each model by itself; only the newest is the latest."""
    refs = [world.register().ref for _ in range(3)]
    other = world.register("credit")
    assert [ref.number for ref in refs] == [1, 2, 3]
    assert other.ref == VersionRef("credit", 1)
    listed = world.registry.versions("digits")
    assert [version.ref for version in listed] == refs[::-1]
    assert [version.aliases for version in listed] == [{Alias.LATEST}, set(), set()]
    assert world.registry.versions("nobody") == []


def test_a_version_is_found_by_number_and_alias(world: World) -> None:
    """By reference, by what a person types, and by each alias that points somewhere."""
    for _ in range(3):
        world.register()
    world.registry.set_champion(VersionRef("digits", 1))
    world.registry.set_champion(VersionRef("digits", 2))
    found = {text: world.registry.get(VersionSpec.parse(f"digits@{text}")).ref.number for text in ("1", *Alias)}
    assert found == {"1": 1, Alias.CHAMPION: 2, Alias.PREVIOUS: 1, Alias.LATEST: 3}
    assert world.registry.get(VersionRef("digits", 3)).ref.number == 3


def test_a_version_that_is_not_there_is_answered_with_those_there_are(world: World) -> None:
    """A wrong number, an alias that points nowhere, and a model without versions."""
    with pytest.raises(NoSuchVersion, match=r"digits has no versions yet.*turnout train digits"):
        world.registry.get(VersionSpec.parse("digits@1"))
    world.register()
    world.register()
    with pytest.raises(NoSuchVersion, match=r"digits has no version 9; there are 1, 2.*turnout versions digits"):
        world.registry.get(VersionSpec.parse("digits@9"))
    with pytest.raises(NoSuchVersion, match="no version of digits is champion; there are 1, 2"):
        world.registry.get(VersionSpec.parse("digits@champion"))


def test_a_report_is_stored_with_the_version(world: World) -> None:
    """Verdict, checks, validation run and key come back as they were; its metrics lie over those of the training."""
    ref = world.register().ref
    run = world.run(FakeRun({"accuracy": 0.75, "train_accuracy": 0.5}, models=()))
    checks = (
        Check("accuracy", Verdict.FAIL, 0.75, ">= 0.9", {"rows": 10, "interval": [0.7, 0.8]}),
        Check("log_loss", Verdict.INCONCLUSIVE, None, "<= 1", note="nothing to see"),
    )
    report = GateReport(ref, checks, champion=VersionRef("digits", 7))
    version = world.registry.record_report(report, Evidence(run.run_id, run.metrics, key="key"))
    assert version == world.registry.get(ref)
    assert version.report == report
    assert version.verdict is Verdict.FAIL
    assert (version.validation_run_id, version.validation_key) == (run.run_id, "key")
    assert (world.validate(version.ref).validation_parts, version.judged_key) == (PARTS, "")
    assert world.registry.get(version.ref).judged_key == "judged"
    assert version.metrics == {"train_accuracy": 0.5, "accuracy": 0.75}


def test_the_last_report_counts(world: World) -> None:
    """A version that is judged again has the new verdict and the new metrics, and nothing of the old ones."""
    ref = world.register().ref
    world.validate(ref, 0.4, Verdict.FAIL)
    version = world.validate(ref, 0.8)
    assert version.verdict is Verdict.PASS
    assert version.metrics["accuracy"] == 0.8


def test_a_package_is_stored_and_taken_back(world: World) -> None:
    """The record comes back as it was; None takes it away, also where there is none."""
    ref = world.register().ref
    assert world.registry.record_package(ref, PACKAGE).package == PACKAGE
    assert world.registry.get(ref).package == PACKAGE
    assert world.registry.record_package(ref, None).package is None
    assert world.registry.record_package(ref, None).package is None


def test_the_champion_moves_and_is_remembered(world: World) -> None:
    """`previous` goes where the champion was; making the champion champion again changes nothing."""
    one, two, three = (world.register().ref for _ in range(3))

    def aliases() -> list[set[Alias]]:
        return [set(world.registry.get(ref).aliases) for ref in (one, two, three)]

    assert world.registry.set_champion(one).aliases == {Alias.CHAMPION}
    assert world.registry.set_champion(one).aliases == {Alias.CHAMPION}
    assert aliases() == [{Alias.CHAMPION}, set(), {Alias.LATEST}]
    assert world.registry.set_champion(three).aliases == {Alias.CHAMPION, Alias.LATEST}
    assert aliases() == [{Alias.PREVIOUS}, set(), {Alias.CHAMPION, Alias.LATEST}]
    world.registry.set_champion(three)
    assert aliases() == [{Alias.PREVIOUS}, set(), {Alias.CHAMPION, Alias.LATEST}]
    world.registry.set_champion(one)
    assert aliases() == [{Alias.CHAMPION}, set(), {Alias.PREVIOUS, Alias.LATEST}]


def test_what_concerns_a_missing_version_changes_nothing(world: World) -> None:
    """Reports, packages, aliases and removals of a version that is not there are refused."""
    kept = world.register()
    gone = VersionRef("digits", 2)
    run = world.run(FakeRun(models=()))
    for attempt in (
        lambda: world.registry.record_report(GateReport(gone, ()), Evidence(run.run_id, {})),
        lambda: world.registry.record_package(gone, PACKAGE),
        lambda: world.registry.set_champion(gone),
        lambda: world.registry.delete(gone),
    ):
        with pytest.raises(NoSuchVersion):
            attempt()
    assert world.registry.versions("digits") == [kept]


def test_the_model_lies_in_a_folder(world: World) -> None:
    """The folder that holds the file MLmodel, another one for each version."""
    one, two = world.register(), world.register()
    folders = [world.registry.local_model(version) for version in (one, two)]
    assert all((folder / "MLmodel").is_file() for folder in folders)
    assert folders[0] != folders[1]


def test_the_evidence_is_what_the_validation_logged(world: World, tmp_path: Path) -> None:
    """Metrics, the table by column in its order, and the file with the rows."""
    rows = tmp_path / "inputs.npy"
    np.save(rows, np.zeros((3, 2), np.float32))
    table = {
        "label": np.array([0, 1, 1]),
        "prediction": np.array([0, 1, 0]),
        "probability_1": np.array([0.1, 0.9, 0.4]),
    }
    run = world.run(FakeRun({"accuracy": 0.5}, models=(), predictions=table, inputs=rows))
    evidence = world.registry.evidence(run.run_id)
    assert evidence.run_id == run.run_id
    assert evidence.metrics == {"accuracy": 0.5}
    assert list(evidence.predictions) == list(table)
    for name, values in table.items():
        np.testing.assert_array_equal(evidence.predictions[name], values)
    assert evidence.inputs is not None
    assert evidence.inputs.read_bytes() == rows.read_bytes()


def test_a_validation_may_log_metrics_alone(world: World) -> None:
    """Without a table and rows the evidence has none, and that is no error here."""
    evidence = world.registry.evidence(world.run(FakeRun({"accuracy": 0.5}, models=())).run_id)
    assert (dict(evidence.predictions), evidence.inputs) == ({}, None)


def test_removing_a_version_frees_its_bytes_and_keeps_its_number(world: World) -> None:
    """It is gone with its runs, the others stay as they are, and its number is never given again."""
    one, two, _ = (world.register() for _ in range(3))
    world.validate(one.ref)
    world.validate(two.ref)
    two = world.registry.get(two.ref)
    one = world.registry.get(one.ref)
    assert world.registry.delete(one.ref) > 0
    assert [version.ref.number for version in world.registry.versions("digits")] == [3, 2]
    assert world.registry.get(two.ref) == two
    assert world.registry.local_model(two).is_dir()
    assert (world.registry.runs("tag-1"), len(world.registry.runs("tag-2"))) == ([], 1)
    with pytest.raises(StorageFailed, match="no run"):
        world.registry.evidence(one.validation_run_id)
    assert world.register().ref.number == 4


@pytest.mark.parametrize("alias", Alias)
def test_a_version_that_an_alias_points_to_stays(world: World, alias: Alias) -> None:
    """Champion, previous and the newest are refused with the reason; nothing is removed."""
    refs = [world.register().ref for _ in range(4)]
    world.registry.set_champion(refs[0])
    world.registry.set_champion(refs[1])
    held = world.registry.get(VersionSpec("digits", alias))
    with pytest.raises(Refused, match=f"{held.ref} is {alias}"):
        world.registry.delete(held.ref)
    assert world.registry.get(held.ref) == held
    assert world.registry.local_model(held).is_dir()
    assert len(world.registry.versions("digits")) == 4


def test_a_file_is_attached_to_its_run(world: World, tmp_path: Path) -> None:
    """A copy is kept, so that the original may go; a run that is not there is named."""
    file = tmp_path / "train.ipynb"
    file.write_text("{}")
    run = world.run(FakeRun())
    world.registry.attach(run.run_id, file, "notebooks/train")
    file.unlink()
    (copy,) = tmp_path.rglob("notebooks/train/train.ipynb")
    assert copy.read_text() == "{}"


def notebook(*sources: str, injected: str = "") -> str:
    """A notebook of code cells, with injected parameters when there are any."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# A title"}]
    if injected:
        cells.append({"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "source": injected})
    cells += [{"cell_type": "code", "metadata": {}, "source": source} for source in sources]
    return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}})


def test_the_code_cells_are_those_that_ran(world: World, tmp_path: Path) -> None:
    """Without prose, blank cells and the injected parameters; of several executions the last."""
    version = world.register()
    assert world.registry.code_cells(version) is None
    for name, text in (
        ("20260101-000000-train-a.ipynb", notebook("old")),
        ("20260102-000000-train-b.ipynb", notebook("a = 1\nb = 2", "", "print(a)", injected="a = 5")),
    ):
        (tmp_path / name).write_text(text)
        world.registry.attach(version.run_id, tmp_path / name, "notebooks/train")
    assert world.registry.code_cells(version) == ["a = 1\nb = 2", "print(a)"]


def test_the_executed_notebooks_are_found_by_verb(world: World, tmp_path: Path) -> None:
    """Each verb's last one, as a file that can be copied; None before there was any."""
    version = world.register()
    assert world.registry.executed(version, "train") is None
    assert world.registry.executed(version, "validate") is None
    (tmp_path / "20260101-000000-train-a.ipynb").write_text(notebook("a = 1"))
    world.registry.attach(version.run_id, tmp_path / "20260101-000000-train-a.ipynb", "notebooks/train")
    found = world.registry.executed(version, "train")
    assert found is not None
    assert found.read_text() == notebook("a = 1")
    assert world.registry.executed(version, "validate") is None


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 3}', '{"cells": [{"cell_type": "code"}]}'])
def test_a_damaged_notebook_is_not_known(world: World, tmp_path: Path, text: str) -> None:
    """What cannot be read any more is no error: there is nothing to compare."""
    version = world.register()
    (tmp_path / "damaged.ipynb").write_text(text)
    world.registry.attach(version.run_id, tmp_path / "damaged.ipynb", "notebooks/train")
    assert world.registry.code_cells(version) is None


def test_the_requirements_are_those_the_model_was_saved_with(world: World) -> None:
    """Names as package indexes compare them, with what is asked of the version; markers and comments do not count."""
    version = world.register()
    file = world.registry.local_model(version) / "requirements.txt"
    file.write_text("NumPy==2.4.0\nscikit_learn[extra]>=1.9 ; python_version > '3'\n# a comment\nmlflow\n")
    assert world.registry.requirements(version) == {"numpy": "==2.4.0", "scikit-learn": ">=1.9", "mlflow": ""}
    file.unlink()
    assert world.registry.requirements(version) is None


def test_a_model_that_is_gone_is_not_registered(world: World) -> None:
    """A run that the registry does not know gives no version."""
    unknown = RunFacts("0" * 32, {}, {}, (LoggedModel("models:/m-" + "0" * 32, "model"),))
    with pytest.raises(StorageFailed):
        world.registry.register("digits", unknown, unknown.models[0], {}, MADE_FROM)
    assert world.registry.versions("digits") == []
