"""Notebooks that do what a test says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.adapters.notebook_parameters import checked_parameters
from pipelines.errors import BadProject, TurnoutError
from pipelines.ports import CellProgress, NotebookJob
from pipelines.values import Parameter
from pipelines.values.testing import Ended, OneTest
from tests.fakes.registry import TAG_VARIABLE, FakeRegistry, FakeRun


@dataclass(frozen=True)
class FakeNotebook:
    """A notebook and what comes of it.

    Args:
        parameters: What its parameters cell declares.
        cells: The titles of its code cells.
        runs: What it logs, also when it fails; or a function of the job that says so.
        failure: How it ends, when it does not succeed.
        seconds: How long it takes.
    """

    parameters: Mapping[str, Parameter | None] = field(default_factory=dict)
    cells: Sequence[str] = ("Load", "Train", "Log")
    runs: Sequence[FakeRun] | Callable[[NotebookJob], Sequence[FakeRun]] = ()
    failure: TurnoutError | None = None
    seconds: float = 1.5


class FakeRunner:
    """Implements `ports.NotebookRunner` with scripted notebooks.

    Args:
        registry: Where their runs go.
        notebooks: The notebooks by file name.
    """

    def __init__(self, registry: FakeRegistry, notebooks: Mapping[str, FakeNotebook]) -> None:
        self.registry = registry
        self.notebooks = dict(notebooks)
        self.jobs: list[NotebookJob] = []
        """What was run, in order."""

    def defaults(self, notebook: Path) -> dict[str, Parameter]:
        """What the notebook declares."""
        declared = self._notebook(notebook).parameters
        return {name: value for name, value in declared.items() if value is not None}

    def run(self, job: NotebookJob, progress: Callable[[CellProgress], None]) -> float:
        """Log the notebook's runs under the job's tag, then succeed or fail as it says."""
        if not job.notebook.resolve().is_relative_to(job.root.resolve()):
            raise BadProject(f"the notebook {job.notebook} lies outside the project")
        notebook = self._notebook(job.notebook)
        checked_parameters(job.parameters, notebook.parameters, job.notebook.name)
        self.jobs.append(job)
        for number, title in enumerate(notebook.cells, start=1):
            progress(CellProgress(number, len(notebook.cells), title))
        runs = notebook.runs(job) if callable(notebook.runs) else notebook.runs
        for run in runs:
            self.registry.start(job.environment.get(TAG_VARIABLE, ""), run)
        job.output.parent.mkdir(parents=True, exist_ok=True)
        job.output.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
        if notebook.failure is not None:
            raise notebook.failure
        progress(CellProgress(len(notebook.cells) + 1, len(notebook.cells), ""))
        return notebook.seconds

    def _notebook(self, path: Path) -> FakeNotebook:
        try:
            return self.notebooks[path.name]
        except KeyError:
            raise BadProject(f"there is no notebook {path}") from None


@dataclass
class FakeNotebookTester:
    """Implements `crews.NotebookTester`: a cell fails where its code raises something by name.

    Args:
        registry: Takes the runs that notebooks log.
        logs: What each notebook logs, by its file name.
        failing: Names of notebooks of which the first cell fails, whatever stands there.
        found: What comes of files.
    """

    registry: FakeRegistry | None = None
    logs: Mapping[str, Sequence[FakeRun]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    found: Sequence[OneTest] = ()
    jobs: list[NotebookJob] = field(default_factory=list)
    strict: list[bool] = field(default_factory=list)
    asked: list[tuple[Path, ...]] = field(default_factory=list)

    def check(self) -> None:
        """All is there."""

    def notebook(
        self, job: NotebookJob, progress: Callable[[CellProgress], None], *, is_strict: bool = False
    ) -> list[OneTest]:
        """A test a code cell."""
        self.jobs.append(job)
        self.strict.append(is_strict)
        cells = json.loads(job.notebook.read_text())["cells"]
        job.output.write_text(job.notebook.read_text())
        tests: list[OneTest] = []
        count, heading = sum(each["cell_type"] == "code" for each in cells), ""
        for each in cells:
            if each["cell_type"] == "markdown":
                heading = each["source"].lstrip("# ")
                continue
            progress(CellProgress(len(tests) + 1, count, heading))
            error = re.match(r"raise (\w+)\('(.*)'\)", each["source"])
            is_behind = any(test.outcome is not Ended.PASSED for test in tests)
            is_bad = error is not None or job.notebook.name in self.failing
            outcome = Ended.SKIPPED if is_behind else Ended.FAILED if is_bad else Ended.PASSED
            says = f"{error[1]}: {error[2]}" if error else ""
            name = f"cell {len(tests) + 1} ({heading})"
            tests.append(OneTest(str(job.notebook.relative_to(job.root)), name, outcome, says))
        for run in self.logs.get(job.notebook.name, ()):
            assert self.registry is not None
            self.registry.start(job.environment[TAG_VARIABLE], run)
        return tests

    def files(
        self, paths: Sequence[Path], root: Path, environment: Mapping[str, str], step: Callable[[str], None]
    ) -> list[OneTest]:
        """As given."""
        del root, environment, step
        self.asked.append(tuple(paths))
        return list(self.found)
