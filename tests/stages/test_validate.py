"""validate: what runs, what is reused, and what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import BadProject, NotebookContract
from pipelines.values import Comparison, Gates, Threshold, Verdict, VersionRef
from tests.fakes import FakeNotebook, FakeRun
from tests.stages.world import World, predictions


def test_the_verdict_is_recorded_with_the_version(tmp_path: Path) -> None:
    """After validation the registry knows the verdict, the checks and the run they rest on."""
    world = World(tmp_path)
    world.train()
    done = world.validate(1)
    assert done.version.verdict is Verdict.PASS
    assert done.version.report == done.report
    assert done.version.validation_run_id


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.9, Verdict.PASS), (0.895, Verdict.FAIL)])
def test_a_threshold_decides_at_its_boundary(tmp_path: Path, accuracy: float, verdict: Verdict) -> None:
    """0.9 passes `min = 0.9`; one row less does not."""
    world = World(tmp_path, accuracy={1: accuracy})
    world.train()
    assert world.validate(1).version.verdict is verdict


def test_the_champions_result_is_reused_while_nothing_has_changed(tmp_path: Path) -> None:
    """The second version's validation runs one notebook, not two, and is compared all the same."""
    world = World(tmp_path)
    world.champion()
    world.train()
    world.runner.jobs.clear()
    report = world.validate(2).report
    assert world.ran() == ["validate.ipynb"]
    assert report.champion == VersionRef("digits", 1)
    assert report.verdict is Verdict.PASS


def test_the_champion_is_judged_again_when_the_notebook_has_changed(tmp_path: Path) -> None:
    """Another validation notebook may read other rows: both versions get it."""
    world = World(tmp_path)
    world.champion()
    world.train()
    world.digests.contents["validate.ipynb"] = "another cell"
    world.runner.jobs.clear()
    world.validate(2)
    assert world.ran() == ["validate.ipynb", "validate.ipynb"]


def test_a_worse_version_fails_against_the_champion(tmp_path: Path) -> None:
    """Well above the threshold and still clearly worse than the champion is a failure."""
    world = World(tmp_path, accuracy={1: 1.0, 2: 0.92})
    world.champion()
    world.train()
    report = world.validate(2).report
    failed = {check.name for check in report.failed()}
    assert report.verdict is Verdict.FAIL
    assert failed == {"accuracy_vs_champion"}


def test_without_comparisons_the_champion_is_left_alone(tmp_path: Path) -> None:
    """No gate asks for the champion, so its notebook does not run even when it would have to."""
    world = World(tmp_path)
    world.champion()
    world.train()
    world.gates = Gates((Threshold("accuracy", min=0.9),))
    world.digests.contents["validate.ipynb"] = "another cell"
    world.runner.jobs.clear()
    assert world.validate(2).report.champion is None
    assert world.ran() == ["validate.ipynb"]


def test_validating_the_champion_compares_it_with_nobody(tmp_path: Path) -> None:
    """A version is not its own rival, and the report does not claim that there is no champion."""
    world = World(tmp_path)
    world.champion()
    report = world.validate(1).report
    assert report.champion is None
    assert [check.note for check in report.checks if check.name.endswith("_vs_champion")] == [
        "digits@1 is the champion itself"
    ]


def test_reuse_judges_changed_gates_without_a_notebook(tmp_path: Path) -> None:
    """A stricter threshold needs no new run, and does decide."""
    world = World(tmp_path)
    world.train()
    world.validate(1)
    world.gates = Gates((Threshold("accuracy", min=0.99),), (Comparison("accuracy", margin=0.02),))
    world.runner.jobs.clear()
    done = world.validate(1, reuse=True)
    assert world.ran() == []
    assert done.notebook is None
    assert done.version.verdict is Verdict.FAIL


def test_a_notebook_without_model_uri_is_refused_before_it_runs(tmp_path: Path) -> None:
    """Turnout could not tell it which model to judge."""
    world = World(tmp_path, declares={"seed": 1})
    world.train()
    with pytest.raises(BadProject, match="model_uri"):
        world.validate(1)
    assert world.ran() == ["train.ipynb"]


def test_a_notebook_that_starts_no_run_is_refused(tmp_path: Path) -> None:
    """There is nothing to judge, and the version keeps no verdict."""
    world = World(tmp_path)
    world.train()
    world.runner.notebooks["validate.ipynb"] = FakeNotebook({"model_uri": ""}, runs=())
    with pytest.raises(NotebookContract, match="no MLflow run"):
        world.validate(1)
    assert world.ports.registry.versions("digits")[0].verdict is None


def test_two_tables_in_two_runs_are_refused(tmp_path: Path) -> None:
    """Which one would count nobody could say."""
    world = World(tmp_path)
    world.train()
    both = [FakeRun({"accuracy": 0.95}, (), predictions(0.95)) for _ in range(2)]
    world.runner.notebooks["validate.ipynb"] = FakeNotebook({"model_uri": ""}, runs=both)
    with pytest.raises(NotebookContract, match="2 tables"):
        world.validate(1)


def test_the_run_with_the_table_counts_among_helpers(tmp_path: Path) -> None:
    """A helper run without a table, before or after, is passed over."""
    world = World(tmp_path)
    world.train()
    runs = [FakeRun({"x": 1.0}, ()), FakeRun({"accuracy": 0.95}, (), predictions(0.95)), FakeRun({"y": 1.0}, ())]
    world.runner.notebooks["validate.ipynb"] = FakeNotebook({"model_uri": ""}, runs=runs)
    assert world.validate(1).version.metrics["accuracy"] == pytest.approx(0.95)
