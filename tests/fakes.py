"""Stand-ins for the ports, for tests of what stands on them; tests/adapters holds them to the same contracts.

A test scripts them by plain arguments:

    registry = FakeRegistry(tmp_path)
    runner = FakeRunner(registry, {"train.ipynb": FakeNotebook({"epochs": 8}, runs=[FakeRun({"accuracy": 0.9})])})
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import click

from pipelines.adapters.mlflow_registry import executed
from pipelines.adapters.mlflow_registry.lookup import find_version, refuse_if_needed
from pipelines.adapters.notebook_parameters import checked_parameters
from pipelines.adapters.service_code import FileFunctions
from pipelines.cli import as_turnout
from pipelines.crews import Room
from pipelines.errors import BadProject, Busy, Interrupted, PackageFailed, StorageFailed, TurnoutError
from pipelines.ports import Attempt, CellProgress, LoggedModel, NotebookJob, PackageJob, Picture, Ports, RunFacts
from pipelines.values import (
    Alias,
    Bento,
    Dependencies,
    Digested,
    Evidence,
    Field,
    GateReport,
    Layout,
    ModelVersion,
    Modules,
    PackageRecord,
    Parameter,
    Parity,
    Provenance,
    Revision,
    ServiceFiles,
    ServingMeasure,
    Signature,
    Sources,
    Trial,
    VersionRef,
    VersionSpec,
)
from pipelines.values.testing import Ended, OneTest
from pipelines.values.watching import Places
from pipelines.values.work import Carried, Task
from pipelines.views import View

TAG_VARIABLE = "FAKE_RUN_TAG"


@dataclass(frozen=True)
class FakeRun:
    """What one run of a notebook logs.

    Args:
        metrics: Its metrics.
        models: The names of the models it logs.
        predictions: Its table of predictions by column.
        inputs: The file with its rows.
        parameters: Its parameters, as MLflow has them.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    models: Sequence[str] = ("model",)
    predictions: Mapping[str, Any] = field(default_factory=dict)
    inputs: Path | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


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


class FakeRegistry:
    """Implements `ports.Registry` in memory.

    Args:
        folder: Where the models' folders and attached files are put.
        now: When the first version is registered; each further one comes a minute later.
    """

    def __init__(self, folder: Path, now: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) -> None:
        self.folder = folder
        self._now = now
        self._numbers = count(1)
        self._runs: dict[str, FakeRun] = {}
        self._models: dict[str, tuple[LoggedModel, ...]] = {}
        self._tags: dict[str, str] = {}
        self._versions: dict[VersionRef, ModelVersion] = {}
        self._given: dict[str, int] = {}
        self._champions: dict[str, dict[Alias, VersionRef]] = {}

    def start(self, tag: str, run: FakeRun) -> str:
        """Log a run under `tag`, as a notebook does; return its id."""
        run_id = f"run-{next(self._numbers)}"
        self._runs[run_id], self._tags[run_id] = run, tag
        self._models[run_id] = tuple(LoggedModel(f"models:/m-{run_id}-{name}", name) for name in run.models)
        return run_id

    def attached(self, run_id: str) -> list[str]:
        """The files attached to a run, as `folder/name`."""
        home = self.folder / run_id
        return sorted(str(file.relative_to(home)) for file in home.rglob("*") if file.is_file())

    def environment(self, tag: str) -> dict[str, str]:
        """What FakeRunner needs to find the tag."""
        return {TAG_VARIABLE: tag}

    def runs(self, tag: str) -> list[RunFacts]:
        """The runs under `tag`, the oldest first."""
        return [
            RunFacts(run_id, run.metrics, run.parameters, self._models[run_id])
            for run_id, run in self._runs.items()
            if self._tags[run_id] == tag
        ]

    def attach(self, run_id: str, file: Path, folder: str) -> None:
        """Store a copy of `file` with the run."""
        place = self.folder / run_id / folder / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())

    def evidence(self, run_id: str) -> Evidence:
        """What the run logged."""
        run = self._run(run_id)
        return Evidence(run_id, run.metrics, run.predictions, run.inputs)

    def register(
        self, model: str, run: RunFacts, logged: LoggedModel, parameters: Mapping[str, Parameter], made_from: Provenance
    ) -> ModelVersion:
        """Give the trained model its version number."""
        self._run(run.run_id)
        number = self._given[model] = self._given.get(model, 0) + 1
        ref = VersionRef(model, number)
        created = self._now + timedelta(minutes=len(self._versions))
        self._versions[ref] = ModelVersion(ref, run.run_id, logged.uri, created, dict(parameters), provenance=made_from)
        return self.get(ref)

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, the newest first."""
        known = sorted((version for ref, version in self._versions.items() if ref.model == model), key=_number)
        return [self._seen(version, known[-1].ref) for version in reversed(known)]

    def get(self, spec: VersionSpec | VersionRef) -> ModelVersion:
        """One version."""
        return find_version(spec, self.versions(spec.model))

    def record_report(self, report: GateReport, validation: Evidence) -> ModelVersion:
        """Store the verdict with the version."""
        self._run(validation.run_id)
        return self._change(
            report.ref,
            report=report,
            verdict=report.verdict,
            validation_run_id=validation.run_id,
            validation_key=validation.key,
            validation_parts=validation.parts,
            judged_key=validation.judged_key,
        )

    def record_package(self, ref: VersionRef, package: PackageRecord | None) -> ModelVersion:
        """Store the bento with the version."""
        return self._change(ref, package=package)

    def set_champion(self, ref: VersionRef) -> ModelVersion:
        """Move `champion` here and `previous` to where it was."""
        self.get(ref)
        aliases = self._champions.setdefault(ref.model, {})
        before = aliases.get(Alias.CHAMPION)
        if before != ref:
            aliases[Alias.CHAMPION] = ref
            if before is not None:
                aliases[Alias.PREVIOUS] = before
        return self.get(ref)

    def local_model(self, version: ModelVersion) -> Path:
        """A folder with a file MLmodel."""
        self.get(version.ref)
        home = self.folder / "models" / version.model_uri.rpartition("/")[2]
        home.mkdir(parents=True, exist_ok=True)
        (home / "MLmodel").write_text("flavors: {}\n")
        return home

    def code_cells(self, version: ModelVersion) -> list[str] | None:
        """Those of the last notebook attached to its run."""
        found = self.executed(version, "train")
        return executed.code_cells(found) if found else None

    def executed(self, version: ModelVersion, verb: str) -> Path | None:
        """The last notebook attached to the run."""
        run_id = version.run_id if verb == "train" else version.validation_run_id
        found = sorted((self.folder / run_id / "notebooks" / verb).glob("*.ipynb")) if run_id else []
        return found[-1] if found else None

    def requirements(self, version: ModelVersion) -> dict[str, str] | None:
        """Those in the model's folder."""
        return executed.requirements(self.local_model(version) / "requirements.txt")

    def delete(self, ref: VersionRef) -> int:
        """Remove a version and its runs; each counts 1000 bytes."""
        version = self.get(ref)
        refuse_if_needed(version)
        del self._versions[ref]
        needed = {run for other in self._versions.values() for run in (other.run_id, other.validation_run_id)}
        tags = {self._tags[run] for run in (version.run_id, version.validation_run_id) if run}
        gone = [run for run in self._runs if self._tags[run] in tags and run not in needed]
        for run in gone:
            del self._runs[run]
        return 1000 * len(gone)

    def _run(self, run_id: str) -> FakeRun:
        try:
            return self._runs[run_id]
        except KeyError:
            raise StorageFailed(f"the registry has no run {run_id}") from None

    def _change(self, ref: VersionRef, **facts: Any) -> ModelVersion:
        self.get(ref)
        self._versions[ref] = replace(self._versions[ref], **facts)
        return self.get(ref)

    def _seen(self, version: ModelVersion, latest: VersionRef) -> ModelVersion:
        aliases = {alias for alias, ref in self._champions.get(version.ref.model, {}).items() if ref == version.ref}
        if version.ref == latest:
            aliases.add(Alias.LATEST)
        logged = [self._runs[run].metrics for run in (version.run_id, version.validation_run_id) if run in self._runs]
        metrics = {name: value for each in logged for name, value in each.items()}
        return replace(version, aliases=frozenset(aliases), metrics=metrics)


def _number(version: ModelVersion) -> int:
    return version.ref.number


MEASURED = ServingMeasure(latency_p95_ms=1.0, start_seconds=1.0, memory_mb=100.0, requests=200)


class FakePackager:
    """Implements `ports.Packager`: the digest is of what the job says, the measure is given.

    Args:
        measured: What `measure` finds.
        reason: Why there is no ONNX file; empty when there is one.
        failure: What `package` raises, when it does not succeed.
    """

    def __init__(
        self,
        measured: ServingMeasure = MEASURED,
        reason: str = "",
        failure: TurnoutError | None = None,
    ) -> None:
        self.measured = measured
        self.reason = reason
        self.failure = failure
        self.jobs: list[PackageJob] = []
        """What was packaged, in order."""
        self.bentos: dict[str, PackageRecord] = {}
        """What there is, by tag."""
        self.tried: list[ServiceFiles] = []
        """The functions that were tried out, in order."""

    def package(self, job: PackageJob, progress: Callable[[str], None]) -> PackageRecord:
        """Make the record of a bento."""
        progress(f"packaging {job.version.ref}")
        if self.failure is not None:
            raise self.failure
        self.jobs.append(job)
        ref = job.version.ref
        reason = "asked for with --native" if job.native else self.reason
        what = f"{job.version.model_uri} {job.native} {job.rows.name}" + "".join(job.service_code.digests.values())
        record = PackageRecord(
            bento=f"{ref.model}:{ref.number}",
            path=f"bentos/{ref.model}/{ref.number}",
            flavour="sklearn" if reason else "onnx",
            digest=hashlib.sha256(what.encode()).hexdigest(),
            reason=reason,
            parity=None if reason else Parity(rows=10, max_abs_diff=1e-7, agreement=1.0, tolerance=1e-4),
            forced=job.forced,
            service_code=job.service_code.digests,
        )
        self.bentos[record.bento] = record
        return record

    def measure(self, package: PackageRecord) -> ServingMeasure:
        """The given measure, while there is such a bento."""
        self.sources(package)
        return self.measured

    def sources(self, package: PackageRecord) -> Path:
        """The record's path, while there is such a bento."""
        if package.bento not in self.bentos:
            raise PackageFailed(f"the bento {package.bento} is gone", then="`turnout package` makes it again.")
        return Path(package.path)

    def size(self, package: PackageRecord) -> int:
        """A thousand bytes, while there is such a bento."""
        return 1000 if package.bento in self.bentos else 0

    def modules(self, package: PackageRecord | None) -> Modules:
        """The standard library and numpy."""
        del package
        return Modules(frozenset(sys.stdlib_module_names), frozenset({"numpy"}))

    def try_out(self, package: PackageRecord, rows: Path, files: ServiceFiles) -> Trial:
        """As many rows as `package` proves, unless there is a failure to raise."""
        del rows
        self.sources(package)
        if self.failure is not None:
            raise self.failure
        self.tried.append(files)
        return Trial(10, Signature(Layout.TENSOR, (Field("inputs", "float32"),), (Field("outputs", "float32"),)))

    def try_before(self, ref: VersionRef, model: Path, rows: Path, files: ServiceFiles) -> Trial:
        """Rows where there is a function before the model."""
        del ref, model, rows
        if self.failure is not None:
            raise self.failure
        self.tried.append(files)
        signature = Signature(Layout.TENSOR, (Field("inputs", "float32"),), (Field("outputs", "float32"),))
        return Trial(10 if files.get("preprocess") else 0, signature)

    def remove(self, package: PackageRecord) -> int:
        """Forget the bento; it counts 5000 bytes."""
        return 5000 if self.bentos.pop(package.bento, None) else 0


class FakeHosts:
    """Implements `ports.Hosts`: notes what would be served.

    Args:
        failure: What `serve` raises.
    """

    def __init__(self, failure: TurnoutError | None = None) -> None:
        self.failure = failure
        self.served: list[tuple[Path, int]] = []

    def serve(self, sources: Path, port: int) -> None:
        """Note it and return at once."""
        if self.failure is not None:
            raise self.failure
        self.served.append((sources, port))


class FakeExecutions:
    """Implements `ports.Executions`: numbered names in a folder.

    Args:
        folder: Where executed notebooks go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pruned: list[tuple[str, datetime]] = []
        self.seconds: list[float] = []
        self.notes: dict[tuple[str, str, str], Attempt] = {}
        """The executions whose outcome is not recorded."""
        self.gone: set[str] = set()
        """The tags of those whose process has ended."""
        self._numbers = count(1)

    def begin(self, attempt: Attempt) -> None:
        """Keep it."""
        self.notes[attempt.model, attempt.verb, attempt.key] = attempt

    def finished(self, model: str, verb: str, key: str) -> tuple[Attempt, float] | None:
        """What was noted, when its process is gone and its notebook there."""
        found = self.notes.get((model, verb, key))
        is_done = found is not None and found.tag in self.gone and found.notebook.exists()
        return (found, 1.5) if found is not None and is_done else None

    def settle(self, model: str, verb: str, key: str) -> None:
        """Forget it."""
        self.notes.pop((model, verb, key), None)

    def place(self, model: str, verb: str) -> Path:
        """The next path."""
        home = self.folder / model
        home.mkdir(parents=True, exist_ok=True)
        return home / f"{next(self._numbers)}-{verb}.ipynb"

    def durations(self, model: str, verb: str, count: int = 3) -> list[float]:
        """What was given."""
        del model, verb
        return self.seconds[:count]

    def prune(self, model: str, before: datetime) -> int:
        """Note it; nothing is freed."""
        self.pruned.append((model, before))
        return 0


@dataclass
class FakeRevisions:
    """Implements `ports.Revisions` with a given answer.

    Args:
        answer: Where the code stands.
        later: The revisions that are at or after whatever is asked for.
        failure: Why no tag can be set.
    """

    answer: Revision = Revision("git", "0123456789abcdef0123456789abcdef01234567", dirty=False)
    later: set[str] = field(default_factory=set)
    failure: TurnoutError | None = None
    tags: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Commit and message, by name."""

    def revision(self, folder: Path) -> Revision:  # noqa: ARG002
        """The given answer."""
        return self.answer

    def are_since(self, folder: Path, mark: str, revisions: Sequence[Revision]) -> list[bool]:
        """As given."""
        del folder, mark
        return [each.revision in self.later for each in revisions]

    def tag(self, folder: Path, name: str, revision: Revision, message: str) -> None:
        """Note it."""
        del folder
        if self.failure is not None:
            raise self.failure
        self.tags[name] = revision.revision, message


@dataclass
class FakeDigests:
    """Implements `ports.Digests`: of paths and of a text that a test may change.

    Args:
        contents: What stands in a file, by its name; its name when nothing is said.
        modules: The names of the modules that every notebook imports.
    """

    contents: dict[str, str] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)

    def notebook(self, path: Path) -> str:
        """Of the notebook's content."""
        return self._digest([path])

    def files(self, paths: Sequence[Path]) -> str:
        """Of the files' contents; empty for no paths."""
        return self._digest(paths) if paths else ""

    def depends(self, sources: Sources) -> Digested:
        """Of the contents: a notebook is one cell, and no module is imported unless `modules` says so."""
        said = [*sources.inputs, *(Path(command) for command in sources.commands)]
        modules = {name: self._digest([Path(name)]) for name in self.modules}
        lock = self.files([sources.lock]) if sources.lock else ""
        parts = Dependencies(
            notebook=sources.notebook.name,
            cells=(self.notebook(sources.notebook),),
            inputs={path.name: self._digest([path]) for path in said},
            modules=modules,
            lock={sources.lock.name: lock} if sources.lock else {},
        )
        code = hashlib.sha256(repr(modules).encode()).hexdigest() if modules else ""
        return Digested(self.notebook(sources.notebook), self.files(said), code, lock, parts)

    def _digest(self, paths: Sequence[Path]) -> str:
        said = "\n".join(self.contents.get(path.name, path.name) for path in paths)
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass
class FakeCatalogue:
    """Implements `ports.Catalogue` in memory.

    Args:
        bentos: What is packaged.
        changed: Versions whose bento is not what was packaged any more.
    """

    bentos: dict[VersionRef, Bento] = field(default_factory=dict)
    changed: set[VersionRef] = field(default_factory=set)

    def get(self, ref: VersionRef) -> Bento | None:
        """What was put."""
        return self.bentos.get(ref)

    def check(self, bento: Bento) -> None:
        """Refuse those that a test has changed."""
        if bento.ref in self.changed:
            raise PackageFailed(
                f"the bento of {bento.ref} was changed", then=f"`turnout package {bento.ref}` makes it again."
            )

    def put(self, bento: Bento) -> None:
        """Keep it."""
        self.bentos[bento.ref] = bento

    def remove(self, ref: VersionRef) -> None:
        """Forget it."""
        self.bentos.pop(ref, None)

    def numbers(self, model: str) -> list[int]:
        """Those of the model."""
        return sorted(ref.number for ref in self.bentos if ref.model == model)


def running(weight: int, role: str = "champion", **changes: Any) -> dict[str, Any]:
    """One version in the status of a daemon."""
    about = {"weight": weight, "role": role, "health": "ready", "age_seconds": 75.0, "requests": 12, "failures": 0}
    return {**about, "replicas": 1, "memory_mb": 61.0, "restarts": 0, **changes}


@dataclass
class FakeOperator:
    """Implements `ports.Operator`: notes what it is asked, and shows the status it is given.

    Args:
        models: The status, by model.
        failure: What `operate` raises.
        answers: What the rooms answer, by name.
        is_silent: Whether a glance finds nobody.
    """

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: TurnoutError | None = None
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    is_silent: bool = False

    def ask(self, name: str, **asked: str | int) -> Any:
        """What was given under that name."""
        self.asked.append(("ask", name, dict(asked)))
        return self.answers[name]

    def glance(self, name: str, **asked: str | int) -> Any:
        """What was given under that name, or the status; None while it is silent."""
        if self.is_silent:
            return None
        self.asked.append(("glance", name, dict(asked)))
        return self.status() if name == "status" else self.answers.get(name)

    def tell(self, name: str, body: Mapping[str, Any]) -> Any:
        """Note it, and answer what was given under that name."""
        self.asked.append(("tell", name, dict(body)))
        return self.answers.get(name)

    def operate(
        self, verb: str, model: str, arguments: Mapping[str, Any], on_step: Callable[[str], None]
    ) -> dict[str, Any]:
        """Note it."""
        self.asked.append((verb, model, dict(arguments)))
        on_step(f"{verb} {model}")
        if self.failure is not None:
            raise self.failure
        return {"plan": ["route it", "record it"]} if arguments.get("dry_run") else self.models[model]

    def status(self) -> dict[str, Any]:
        """What was given."""
        return {"models": self.models}

    def history(self, model: str) -> list[dict[str, Any]]:
        """What was given."""
        return [event for event in self.events if event["model"] == model]

    def logs(self, ref: VersionRef | None, lines: int) -> list[str]:
        """As many lines as asked for."""
        return [f"{ref or 'gateway'}: line {number}" for number in range(lines)]

    def up(self, on_step: Callable[[str], None]) -> dict[str, Any]:
        """Note it."""
        on_step("starting")
        return self.status()

    def down(self, on_step: Callable[[str], None]) -> None:
        """Nothing runs afterwards."""
        on_step("stopping")
        self.models.clear()


class FakeCrew:
    """Implements `crews.Crew` in this very process.

    Args:
        do: Carries out a command, and returns its view.
        most: How many at once.
        memory_mb: What each needs.
        available_mb: What there is.
    """

    def __init__(
        self,
        do: Callable[[Sequence[str]], View],
        most: int = 2,
        memory_mb: float = 100.0,
        available_mb: float = 8000.0,
    ) -> None:
        self._do = do
        self.most = most
        self.memory_mb, self.available_mb = memory_mb, available_mb
        self.asked: list[tuple[str, ...]] = []
        self.at_once = 0
        """The most that were ever under way together."""
        self._under_way = 0
        self._guard = threading.Lock()
        self._is_stopped = False

    def room(self) -> Room:
        """What each under way has taken."""
        with self._guard:
            return Room(self.available_mb - self.memory_mb * self._under_way, [self.memory_mb] * self._under_way)

    def carry_out(self, task: Task, hear: Callable[[str | CellProgress], None]) -> Carried:
        """Carry it out."""
        with self._guard:
            if self._is_stopped:
                raise Interrupted("it was stopped before it began")
            self.asked.append(task.words)
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
        try:
            hear(f"doing {task.key}")
            try:
                view = self._do(task.words)
            except click.ClickException as error:
                raise as_turnout(error) from None
            return Carried(view.json(), view.ok, 1.0, self.memory_mb)
        finally:
            with self._guard:
                self._under_way -= 1

    def stop(self) -> None:
        """Nothing is carried out any more."""
        self._is_stopped = True

    def close(self) -> None:
        """The same."""
        self.stop()


@dataclass
class FakeNotes:
    """Implements `crews.Notes` in memory, as JSON."""

    kept: dict[str, str] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)

    @property
    def held(self) -> set[str]:
        """The names that somebody holds."""
        return {name for name, lock in self.locks.items() if lock.locked()}

    def read(self, name: str) -> dict[str, Any] | None:
        """What was written last."""
        return json.loads(self.kept[name]) if name in self.kept else None

    def write(self, name: str, note: Mapping[str, Any]) -> None:
        """Keep it."""
        self.kept[name] = json.dumps(note)

    @contextmanager
    def holding(self, name: str, what: str, waits: Callable[[str], None] | None = None) -> Iterator[None]:
        """Keep others away."""
        lock = self.locks.setdefault(name, Lock())
        if not lock.acquire(blocking=False):
            if waits is None:
                raise Busy(f"{what} is under way already")
            waits(f"waiting: {what} is under way already")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


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


@dataclass
class FakeChanges:
    """Implements `crews.Changes`: something has changed when a test says so.

    Args:
        turn: Called each time somebody waits, before the answer.
    """

    turn: Callable[[], None] = lambda: None
    trouble: str = ""
    places: Places | None = None
    _something: bool = False

    def watch(self, places: Places) -> None:
        """Keep the places."""
        self.places = places

    def touch(self) -> None:
        """Something has changed."""
        self._something = True

    def wait(self, seconds: float) -> bool:
        """Whether something has; nobody really waits."""
        del seconds
        self.turn()
        is_so, self._something = self._something, False
        return is_so

    def close(self) -> None:
        """Watch nothing."""
        self.places = None


@dataclass
class FakeClock:
    """Implements `ports.Clock`; time passes when a test says so."""

    time: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def now(self) -> datetime:
        """The time it is."""
        return self.time

    def advance(self, **duration: float) -> None:
        """Let time pass: `advance(minutes=2)`."""
        self.time += timedelta(**duration)


@dataclass
class FakeReporter:
    """Implements `ports.Reporter`: keeps what it is told."""

    steps: list[str] = field(default_factory=list)
    cells: list[CellProgress] = field(default_factory=list)
    boards: list[Picture] = field(default_factory=list)

    def step(self, text: str) -> None:
        """Keep it."""
        self.steps.append(text)

    def cell(self, progress: CellProgress) -> None:
        """Keep it."""
        self.cells.append(progress)

    def board(self, picture: Picture) -> None:
        """Keep it."""
        self.boards.append(picture)


def fake_ports(
    folder: Path,
    notebooks: Mapping[str, FakeNotebook],
    *,
    packager: FakePackager | None = None,
    hosts: FakeHosts | None = None,
    digests: FakeDigests | None = None,
    revisions: FakeRevisions | None = None,
    clock: FakeClock | None = None,
) -> Ports:
    """A whole world of fakes, its files below `folder`."""
    registry = FakeRegistry(folder / "registry")
    return Ports(
        runner=FakeRunner(registry, notebooks),
        registry=registry,
        packager=packager or FakePackager(),
        hosts=hosts or FakeHosts(),
        executions=FakeExecutions(folder / "runs"),
        revisions=revisions or FakeRevisions(),
        digests=digests or FakeDigests(),
        clock=clock or FakeClock(),
        catalogue=FakeCatalogue(),
        functions=FileFunctions(),
    )
