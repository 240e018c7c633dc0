"""Tests of a model: what runs with which parameters, what is tested on what, and that no version comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pipelines.errors import BadProject, NoSuchModel
from pipelines.ports import Ports
from pipelines.stages.notebook_tests import Bench, files_of_tests, try_model
from pipelines.values import ModelConfig, Parameter, Project
from pipelines.values.automation import Automation
from pipelines.values.testing import Ended, ModelTested, OneTest
from pipelines.views import NotebookTestsView
from tests.fakes import FakeNotebook, FakeNotebookTester, FakeRegistry, FakeReporter, FakeRun, fake_ports

CELLS = [
    {"cell_type": "markdown", "source": "# Train", "metadata": {}},
    {"cell_type": "code", "source": "1", "metadata": {}, "outputs": []},
    {"cell_type": "code", "source": "2", "metadata": {}, "outputs": []},
]


@dataclass
class Yard:
    """A model with two notebooks, in a world of fakes.

    Args:
        folder: A temporary folder.
        logs: What the training notebook logs.
        automation: What the project file says.
        declares: What the validation notebook declares.
    """

    folder: Path
    logs: tuple[FakeRun, ...] = (FakeRun({"loss": 0.1}),)
    automation: Automation = Automation()
    declares: Mapping[str, Parameter] = field(default_factory=lambda: {"model_uri": "", "rows": 10})

    def __post_init__(self) -> None:
        self.home = self.folder / "notebooks"
        self.home.mkdir(parents=True)
        for name in ("train.ipynb", "validate.ipynb"):
            (self.home / name).write_text(json.dumps({"cells": CELLS, "metadata": {}, "nbformat": 4}))
        notebooks = {
            "train.ipynb": FakeNotebook({"epochs": 8, "rate": 0.1}),
            "validate.ipynb": FakeNotebook(self.declares),
        }
        self.ports: Ports = fake_ports(self.folder, notebooks)
        self.scratch = FakeRegistry(self.folder / "scratch")
        self.tester = FakeNotebookTester(self.scratch, {"train.ipynb": self.logs})
        self.reporter = FakeReporter()

    @property
    def model(self) -> ModelConfig:
        """The model."""
        return ModelConfig(
            "k-y",
            self.home / "train.ipynb",
            self.home / "validate.ipynb",
            parameters={"epochs": 4, "rate": 0.2},
            validate_parameters={"rows": 5},
            automation=self.automation,
        )

    def test(self, *, is_strict: bool = False) -> ModelTested:
        """Test it."""
        project = Project(self.folder, models={"k-y": self.model})
        bench = Bench(self.tester, self.scratch, self.folder)
        return try_model(project, "k-y", bench, self.ports, self.reporter, is_strict=is_strict)


def test_both_notebooks_are_tested_and_no_version_is_made(tmp_path: Path) -> None:
    """The training with its test parameters over those of every day, the validation on what that has trained."""
    yard = Yard(tmp_path, automation=Automation(test_parameters={"epochs": 1}))
    done = yard.test()
    assert done.is_good
    assert [test.outcome for test in done.tests] == [Ended.PASSED] * 4
    train, validate = yard.tester.jobs
    assert train.parameters == {"epochs": 1, "rate": 0.2}
    assert validate.parameters == {"rows": 5, "model_uri": "models:/m-run-1-model"}
    assert yard.ports.registry.versions("k-y") == []
    assert yard.ports.runner.jobs == []  # type: ignore[attr-defined]


def test_a_failed_training_is_not_validated(tmp_path: Path) -> None:
    """There is nothing to validate, and that is said."""
    yard = Yard(tmp_path)
    yard.tester.failing.add("train.ipynb")
    done = yard.test()
    assert not done.is_good
    assert [test.outcome for test in done.tests] == [Ended.FAILED, Ended.SKIPPED, Ended.SKIPPED]
    assert done.tests[-1] == OneTest(
        "notebooks/validate.ipynb", "all cells", Ended.SKIPPED, "train.ipynb did not come to its end"
    )
    assert len(yard.tester.jobs) == 1


@pytest.mark.parametrize(
    ("logs", "says"), [((), "logged no model"), ((FakeRun(models=("a", "b")),), "logged 2 models")]
)
def test_a_training_that_logs_no_model_of_its_own_fails(tmp_path: Path, logs: tuple[FakeRun, ...], says: str) -> None:
    """As `turnout train` would say it."""
    done = Yard(tmp_path, logs).test()
    (failed,) = done.failed
    assert says in failed.says
    assert failed.name == "its model"


def test_strictness_is_passed_on(tmp_path: Path) -> None:
    """To both notebooks."""
    yard = Yard(tmp_path)
    yard.test(is_strict=True)
    assert yard.tester.strict == [True, True]


def test_a_validation_notebook_without_the_uri_is_told_before_anything_runs(tmp_path: Path) -> None:
    """As everywhere."""
    yard = Yard(tmp_path, declares={})
    with pytest.raises(BadProject, match="model_uri"):
        yard.test()
    assert yard.tester.jobs == []


def test_an_unknown_model_is_told(tmp_path: Path) -> None:
    """With the models that there are."""
    yard = Yard(tmp_path)
    with pytest.raises(NoSuchModel):
        try_model(
            Project(tmp_path, models={}),
            "k-y",
            Bench(yard.tester, yard.scratch, tmp_path),
            yard.ports,
            yard.reporter,
            is_strict=False,
        )


def test_files_beside_the_notebooks_and_in_tests_are_run(tmp_path: Path) -> None:
    """By their names; another model's are not, nor those with a longer name."""
    yard = Yard(tmp_path)
    (tmp_path / "tests").mkdir()
    names = [
        "notebooks/test_rows.py",
        "tests/test_k_y.py",
        "tests/test_k_y_more.py",
        "tests/test_k_yard.py",
        "tests/a.py",
    ]
    for name in names:
        (tmp_path / name).write_text("")
    yard.tester.found = [OneTest("tests/test_k_y.py", "test_a", Ended.FAILED, "assert 0")]
    done = yard.test()
    assert yard.tester.asked == [tuple(tmp_path / name for name in names[:3])]
    assert [test.name for test in done.failed] == ["test_a"]
    assert not NotebookTestsView([done]).ok


def test_the_project_file_names_the_tests(tmp_path: Path) -> None:
    """Then only those."""
    yard = Yard(tmp_path, automation=Automation(tests=("checks", "notebooks/test_rows.py")))
    (yard.home / "test_beside.py").write_text("")
    project = Project(tmp_path, models={"k-y": yard.model})
    assert files_of_tests(project, yard.model) == [tmp_path / "checks", tmp_path / "notebooks" / "test_rows.py"]


def test_where_nothing_was_tested_nothing_is_good(tmp_path: Path) -> None:
    """A notebook without code proves nothing."""
    done = ModelTested("digits", ())
    assert not done.is_good
    assert "nothing to test" in NotebookTestsView([done]).text()
    good = replace(done, tests=(OneTest("a", "b", Ended.PASSED),), page=tmp_path / "report.html")
    assert NotebookTestsView([good]).ok
    assert NotebookTestsView([good]).json()["models"]["digits"]["page"] == str(tmp_path / "report.html")
