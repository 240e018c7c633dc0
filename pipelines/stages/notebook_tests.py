"""test: run a model's notebooks as tests, cell by cell, and the tests that lie beside them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.crews import NotebookTester
from pipelines.errors import NotebookContract
from pipelines.ports import NotebookJob, Ports, Registry, Reporter
from pipelines.stages.execute import declared
from pipelines.stages.train import the_model
from pipelines.values import ModelConfig, Parameter, Project
from pipelines.values.testing import Ended, ModelTested, OneTest


@dataclass(frozen=True, slots=True)
class Bench:
    """What tests of a model work with.

    Args:
        tester: Who runs them.
        registry: Takes what the notebooks log; nothing of it stays with the model's versions.
        folder: Takes the executed notebooks.
    """

    tester: NotebookTester
    registry: Registry
    folder: Path


def try_model(
    project: Project, name: str, bench: Bench, ports: Ports, reporter: Reporter, *, is_strict: bool = False
) -> ModelTested:
    """Test a model: its training notebook, its validation notebook on what that trained, and its test files.

    No version is made. The training runs with `test_parameters` over those of every day.

    Args:
        project: The project.
        name: The model.
        bench: What the tests work with.
        ports: The world.
        reporter: Who watches.
        is_strict: Whether all cells have to give the outputs that are stored.

    Raises:
        NoSuchModel, BadParameter, BadProject: the notebooks cannot be run so.
        Interrupted: a person pressed Ctrl-C.
    """
    model = project.model(name)
    declared(ports, model.validate, "model_uri")
    tag = f"{name}-test-{secrets.token_hex(8)}"
    run = _Run(project, model, bench, reporter, bench.registry.environment(tag), is_strict=is_strict)
    tests = run.notebook(model.train, {**model.parameters, **model.automation.test_parameters})
    told = str(model.validate.relative_to(project.root))
    if all(test.outcome is not Ended.FAILED for test in tests):
        try:
            _, logged = the_model(model, bench.registry.runs(tag), bench.folder / model.train.name)
            tests += run.notebook(model.validate, {**model.validate_parameters, "model_uri": logged.uri})
        except NotebookContract as error:
            tests.append(OneTest(str(model.train.relative_to(project.root)), "its model", Ended.FAILED, str(error)))
    else:
        why = f"{model.train.name} did not come to its end"
        tests.append(OneTest(told, "all cells", Ended.SKIPPED, why))
    files = files_of_tests(project, model)
    if files:
        reporter.step(f"testing {name}: {', '.join(str(path.relative_to(project.root)) for path in files)}")
        # What they log is none of the project's either.
        tests += bench.tester.files(files, project.root, bench.registry.environment(tag), reporter.step)
    return ModelTested(name, tuple(tests))


def files_of_tests(project: Project, model: ModelConfig) -> Sequence[Path]:
    """The model's files for pytest.

    Those that the project file names, or else `test_*.py` beside its training notebook, `tests/test_NAME.py` and
    `tests/test_NAME_*.py`.
    """
    if model.automation.tests:
        return [project.root / path for path in model.automation.tests]
    beside = sorted(model.train.parent.glob("test_*.py"))
    plain = "".join(letter if letter.isalnum() else "_" for letter in model.name)
    named = [path for path in sorted((project.root / "tests").glob("test_*.py")) if _is_of(path.stem, plain)]
    return list(dict.fromkeys([*beside, *named]))


def _is_of(stem: str, name: str) -> bool:
    return stem == f"test_{name}" or stem.startswith(f"test_{name}_")


class _Run:
    """One notebook after the other, all with the same surroundings."""

    def __init__(
        self,
        project: Project,
        model: ModelConfig,
        bench: Bench,
        reporter: Reporter,
        environment: Mapping[str, str],
        *,
        is_strict: bool,
    ) -> None:
        self._project, self._model, self._bench, self._reporter = project, model, bench, reporter
        self._environment, self._is_strict = environment, is_strict

    def notebook(self, notebook: Path, parameters: Mapping[str, Parameter]) -> list[OneTest]:
        self._reporter.step(f"testing {self._model.name}: {notebook.name}")
        job = NotebookJob(
            notebook=notebook,
            output=self._bench.folder / notebook.name,
            root=self._project.root,
            parameters=parameters,
            environment=self._environment,
            cell_timeout_seconds=self._model.cell_timeout_minutes * 60,
        )
        return self._bench.tester.notebook(job, self._reporter.cell, is_strict=self._is_strict)
