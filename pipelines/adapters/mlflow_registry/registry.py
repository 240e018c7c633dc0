"""Implements `ports.Registry` with MLflow."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.adapters.mlflow_registry import executed, reader, records, removal
from pipelines.adapters.mlflow_registry.client import open_client, quiet
from pipelines.adapters.mlflow_registry.evidence import FOLDER, find_inputs, read_predictions
from pipelines.adapters.mlflow_registry.failures import told
from pipelines.adapters.mlflow_registry.lookup import find_version, refuse_if_needed
from pipelines.adapters.mlflow_registry.store import Store
from pipelines.errors import NotebookContract, StorageFailed
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

# Of the process that starts a kernel, not of the kernel: each would tie its runs to something of another store.
_NOT_INHERITED = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_ACTIVE_MODEL_ID", "_MLFLOW_ACTIVE_MODEL_ID")


class MlflowRegistry:
    """Runs and versions in `mlflow.db` and `artifacts` below a project's state folder.

    Args:
        state: The state folder, `.turnout/`.
    """

    def __init__(self, state: Path) -> None:
        self._store = Store(state)

    def environment(self, tag: str) -> dict[str, str]:
        """Variables for a kernel; an empty one is to be removed. See `ports.Registry.environment`."""
        with self._told("opening the registry"):
            self._store.ensure()
            return {
                "MLFLOW_TRACKING_URI": self._store.uri,
                "MLFLOW_REGISTRY_URI": self._store.uri,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_RUN_CONTEXT": json.dumps({**_own_context(), records.EXECUTION: tag}),
                **dict.fromkeys(_NOT_INHERITED, ""),
            }

    def runs(self, tag: str) -> list[RunFacts]:
        """The runs started under `tag`, the oldest first."""
        with self._told("reading runs"):
            if not self._store.exists:
                return []
            with self._store.reading() as base:
                return reader.run_facts(base, reader.runs_with_tag(base, records.EXECUTION, tag))

    def attach(self, run_id: str, file: Path, folder: str) -> None:
        """Store a copy of `file` with the run, below `folder`."""
        with self._told(f"attaching {file.name} to its run"):
            home = self._run_folder(run_id)
            if home is None:
                with self._client() as client:
                    client.log_artifact(run_id, str(file), folder)
                return
            place = home / folder / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            half = place.with_name(f".{place.name}.{os.getpid()}")
            try:
                shutil.copyfile(file, half)
                half.replace(place)
            finally:
                half.unlink(missing_ok=True)

    def evidence(self, run_id: str) -> Evidence:
        """What a validation run logged below `validation/`."""
        with self._told("reading a validation"):
            home = self._run_folder(run_id)
            if home is None:
                raise NotebookContract(
                    "the validation run keeps its artifacts on another machine",
                    instead="its experiment has no artifact_location of its own",
                )
            with self._store.reading() as base:
                metrics = reader.run_metrics(base, run_id)
            return Evidence(run_id, metrics, read_predictions(home / FOLDER), find_inputs(home / FOLDER))

    def register(
        self, model: str, run: RunFacts, logged: LoggedModel, parameters: Mapping[str, Parameter], made_from: Provenance
    ) -> ModelVersion:
        """Give the trained model its version number."""
        with self._told(f"registering {model}"):
            with self._store.reading() as base:
                place = reader.model_place(base, logged.uri)
            if place is None:
                raise StorageFailed(f"the model {logged.uri} is no longer in the registry", then="Train again.")
            with self._client() as client:
                _ensure_model(client, model)
                made = client.create_model_version(
                    model,
                    source=place,
                    run_id=run.run_id,
                    tags=records.birth_tags(logged.uri, parameters, made_from),
                    await_creation_for=0,
                    model_id=logged.uri.removeprefix("models:/"),
                )
                ref = VersionRef(model, int(made.version))
                client.set_tag(run.run_id, records.VERSION, str(ref))
            return self.get(ref)

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, the newest first."""
        with self._told(f"reading the versions of {model}"):
            if not self._store.exists:
                return []
            with self._store.reading() as base:
                return reader.read_versions(self._store, base, model)

    def get(self, spec: VersionSpec | VersionRef) -> ModelVersion:
        """One version."""
        return find_version(spec, self.versions(spec.model))

    def record_report(self, report: GateReport, validation: Evidence) -> ModelVersion:
        """Store the verdict, its checks and the validation run with the version."""
        self.get(report.ref)
        with self._told(f"recording the verdict on {report.ref}"):
            self._attach_report(report, validation.run_id)
            said = records.validation_from(report, validation)
            name, number = report.ref.model, str(report.ref.number)
            with self._client() as client:
                client.set_tag(validation.run_id, records.VERSION, str(report.ref))
                client.set_model_version_tag(name, number, records.VALIDATION, said.as_tag())
                client.set_model_version_tag(name, number, records.VERDICT, report.verdict.value)
                client.set_model_version_tag(name, number, records.VALIDATION_RUN, validation.run_id)
        return self.get(report.ref)

    def record_package(self, ref: VersionRef, package: PackageRecord | None) -> ModelVersion:
        """Store what the version was packaged as."""
        known = self.get(ref)
        with self._told(f"recording the package of {ref}"), self._client() as client:
            if package is not None:
                said = json.dumps(package.as_dict())
                client.set_model_version_tag(ref.model, str(ref.number), records.PACKAGE, said)
            elif known.package is not None:
                client.delete_model_version_tag(ref.model, str(ref.number), records.PACKAGE)
        return self.get(ref)

    def set_champion(self, ref: VersionRef) -> ModelVersion:
        """Move `champion` here and `previous` to where it was."""
        with self._told(f"making {ref} the champion"), self._client() as client, self._store.locked():
            known = self.versions(ref.model)
            before = next((version.ref for version in known if Alias.CHAMPION in version.aliases), None)
            if find_version(ref, known).ref != before:
                # In this order a kill in between leaves a champion that is its own predecessor, which harms nobody.
                if before is not None:
                    client.set_registered_model_alias(ref.model, Alias.PREVIOUS.value, str(before.number))
                client.set_registered_model_alias(ref.model, Alias.CHAMPION.value, str(ref.number))
        return self.get(ref)

    def local_model(self, version: ModelVersion) -> Path:
        """The folder with the version's MLflow model."""
        with self._told(f"finding the model of {version.ref}"):
            with self._store.reading() as base:
                uri = reader.model_place(base, version.model_uri)
            place = self._store.local_path(uri) if uri else None
            if place is None or not (place / "MLmodel").is_file():
                raise StorageFailed(
                    f"the model of {version.ref} is gone: there is no file MLmodel in {place or uri or 'the registry'}",
                    then=f"`turnout train {version.ref.model}` makes a new version.",
                )
            return place

    def code_cells(self, version: ModelVersion) -> list[str] | None:
        """The code cells of the notebook that trained it, as they ran."""
        found = self.executed(version, "train")
        return executed.code_cells(found) if found else None

    def executed(self, version: ModelVersion, verb: str) -> Path | None:
        """The executed notebook of its training or its last validation."""
        run_id = version.run_id if verb == "train" else version.validation_run_id
        with self._told(f"reading the notebook of {version.ref}"):
            with self._store.reading() as base:
                place = reader.run_places(base, [run_id]).get(run_id) if run_id else None
            home = self._store.local_path(place) if place else None
            # Run again under one run, the last execution is the one that counts.
            found = sorted((home / "notebooks" / verb).glob("*.ipynb")) if home else []
            return found[-1] if found else None

    def requirements(self, version: ModelVersion) -> dict[str, str] | None:
        """The packages its model was saved with."""
        try:
            return executed.requirements(self.local_model(version) / "requirements.txt")
        except StorageFailed:
            return None

    def delete(self, ref: VersionRef) -> int:
        """Remove a version, its runs and their files."""
        with self._told(f"removing {ref}"), self._client() as client, self._store.locked():
            known = self.versions(ref.model)
            version = find_version(ref, known)
            refuse_if_needed(version)
            others = [other for other in known if other.ref != ref]
            return removal.remove(self._store, client, version, others)

    def _attach_report(self, report: GateReport, run_id: str) -> None:
        home = self._run_folder(run_id)
        if home is None:
            return
        place = home / records.REPORT_FILE
        place.parent.mkdir(parents=True, exist_ok=True)
        half = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            half.write_text(json.dumps(report.as_dict(), indent=2), encoding="utf-8")
            half.replace(place)
        finally:
            half.unlink(missing_ok=True)

    def _run_folder(self, run_id: str) -> Path | None:
        with self._store.reading() as base:
            place = reader.run_places(base, [run_id]).get(run_id)
        if place is None:
            raise StorageFailed(f"the registry has no run {run_id}", then="Run the notebook again.")
        return self._store.local_path(place)

    def _told(self, doing: str) -> Any:
        return told(self._store.database, doing)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        with quiet():
            self._store.ensure()
            yield open_client(self._store.uri)


def _own_context() -> dict[str, Any]:
    try:
        context = json.loads(os.environ.get("MLFLOW_RUN_CONTEXT", "{}"))
    except ValueError:
        return {}
    return context if isinstance(context, dict) else {}


def _ensure_model(client: Any, model: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
