"""Runs and versions in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from pipelines.adapters.mlflow_registry import executed
from pipelines.adapters.mlflow_registry.lookup import find_version, refuse_if_needed
from pipelines.errors import StorageFailed
from pipelines.ports import LoggedModel, RunFacts
from pipelines.values import (
    Alias,
    Evidence,
    GateReport,
    ModelVersion,
    PackageRecord,
    Parameter,
    Provenance,
    VersionRef,
    VersionSpec,
)

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
