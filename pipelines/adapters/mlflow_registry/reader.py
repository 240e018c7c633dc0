"""Reads runs and versions from MLflow's tables.

The tables of runs have been the same since MLflow 1, those of aliases and logged models since 2.3 and 3.0. The contract
suite compares what is read here with what MLflow's own client says.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pipelines.adapters.mlflow_registry import records
from pipelines.adapters.mlflow_registry.failures import broken
from pipelines.adapters.mlflow_registry.store import Store
from pipelines.ports import LoggedModel, RunFacts
from pipelines.values import Alias, GateReport, ModelVersion, VersionRef

# SQLite takes at most 999 values in a statement where it was built with its old default.
_CHUNK = 900
_READY = 2


def runs_with_tag(base: sqlite3.Connection, key: str, value: str) -> list[str]:
    """The ids of the runs with a tag, the oldest first."""
    rows = base.execute(
        "SELECT r.run_uuid FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = ? AND t.value = ? "
        "WHERE r.lifecycle_stage = 'active' ORDER BY r.start_time, r.rowid",
        (key, value),
    )
    return [row["run_uuid"] for row in rows]


def run_facts(base: sqlite3.Connection, run_ids: list[str]) -> list[RunFacts]:
    """The runs, in the order of their ids, with the models they logged whole."""
    metrics = _metrics(base, run_ids)
    parameters: dict[str, dict[str, str]] = defaultdict(dict)
    for row in _in(base, "SELECT run_uuid, key, value FROM params WHERE run_uuid IN", run_ids):
        parameters[row["run_uuid"]][row["key"]] = row["value"]
    models: dict[str, list[LoggedModel]] = defaultdict(list)
    for row in sorted(_models(base, run_ids), key=lambda row: row["creation_timestamp_ms"]):
        if row["status"] == _READY and row["lifecycle_stage"] == "active":
            models[row["source_run_id"]].append(LoggedModel(f"models:/{row['model_id']}", row["name"]))
    return [RunFacts(run, metrics[run], parameters[run], tuple(models[run])) for run in run_ids]


def run_metrics(base: sqlite3.Connection, run_id: str) -> dict[str, float]:
    """The last value of each metric of a run."""
    return _metrics(base, [run_id])[run_id]


def run_places(base: sqlite3.Connection, run_ids: Iterable[str]) -> dict[str, str]:
    """Where the artifacts of runs are, by run id."""
    rows = _in(base, "SELECT run_uuid, artifact_uri FROM runs WHERE run_uuid IN", run_ids)
    return {row["run_uuid"]: row["artifact_uri"] for row in rows}


def run_tags(base: sqlite3.Connection, run_ids: Iterable[str], key: str) -> dict[str, str]:
    """The values of one tag, by run id."""
    rows = _in(base, "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN", run_ids)
    return {row["run_uuid"]: row["value"] for row in rows if row["key"] == key}


def model_places(base: sqlite3.Connection, run_ids: Iterable[str]) -> dict[str, str]:
    """Where the models are that runs logged, by model id."""
    return {row["model_id"]: row["artifact_location"] for row in _models(base, run_ids)}


def model_place(base: sqlite3.Connection, model_uri: str) -> str | None:
    """Where the model `models:/m-...` is."""
    row = base.execute(
        "SELECT artifact_location FROM logged_models WHERE model_id = ?", (model_uri.removeprefix("models:/"),)
    ).fetchone()
    return row["artifact_location"] if row else None


def read_versions(store: Store, base: sqlite3.Connection, model: str) -> list[ModelVersion]:
    """The versions that Turnout registered, the newest first, in a handful of queries whatever their number."""
    rows = base.execute(
        "SELECT version, run_id, creation_time FROM model_versions "
        "WHERE name = ? AND coalesce(current_stage, '') != 'Deleted_Internal' ORDER BY version DESC",
        (model,),
    ).fetchall()
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for row in base.execute("SELECT version, key, value FROM model_version_tags WHERE name = ?", (model,)):
        tags[row["version"]][row["key"]] = row["value"]
    aliases: dict[int, set[Alias]] = defaultdict(set)
    for row in base.execute("SELECT version, alias FROM registered_model_aliases WHERE name = ?", (model,)):
        # A person may have set others in MLflow.
        with suppress(ValueError):
            aliases[row["version"]].add(Alias(row["alias"]))
    own = [row for row in rows if records.MODEL_URI in tags[row["version"]]]
    if own:
        aliases[own[0]["version"]].add(Alias.LATEST)
    validations = {row["version"]: records.validation_of(tags[row["version"]]) for row in own}
    judged = [validation.run_id for validation in validations.values() if validation]
    metrics = _metrics(base, [*(row["run_id"] for row in own), *judged])
    return [
        _version(store, base, VersionRef(model, row["version"]), row, tags[row["version"]], aliases, metrics)
        for row in own
    ]


def _version(
    store: Store,
    base: sqlite3.Connection,
    ref: VersionRef,
    row: sqlite3.Row,
    tags: Mapping[str, str],
    aliases: Mapping[int, set[Alias]],
    metrics: Mapping[str, Mapping[str, float]],
) -> ModelVersion:
    validation = records.validation_of(tags)
    report = (validation.report or _long_report(store, base, validation.run_id)) if validation else None
    return ModelVersion(
        ref=ref,
        run_id=row["run_id"],
        model_uri=tags[records.MODEL_URI],
        created=datetime.fromtimestamp(row["creation_time"] / 1000, UTC),
        parameters=records.parameters_of(tags),
        metrics={**metrics[row["run_id"]], **(metrics[validation.run_id] if validation else {})},
        verdict=report.verdict if report else None,
        aliases=frozenset(aliases.get(ref.number, ())),
        provenance=records.provenance_of(tags),
        report=report,
        package=records.package_of(tags),
        validation_run_id=validation.run_id if validation else "",
        validation_key=validation.key if validation else "",
        validation_parts=validation.parts if validation else None,
        judged_key=validation.judged_key if validation else "",
    )


def _long_report(store: Store, base: sqlite3.Connection, run_id: str) -> GateReport:
    place = store.local_path(run_places(base, [run_id]).get(run_id, ""))
    file = (place or Path()) / records.REPORT_FILE
    try:
        return GateReport.from_dict(json.loads(file.read_bytes()))
    except (OSError, ValueError, KeyError) as error:
        raise broken(file, "the gate report it should hold cannot be read") from error


def _metrics(base: sqlite3.Connection, run_ids: Iterable[str]) -> defaultdict[str, dict[str, float]]:
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for row in _in(base, "SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE run_uuid IN", run_ids):
        found[row["run_uuid"]][row["key"]] = math.nan if row["is_nan"] else row["value"]
    return found


def _models(base: sqlite3.Connection, run_ids: Iterable[str]) -> list[sqlite3.Row]:
    return _in(
        base,
        "SELECT model_id, name, artifact_location, status, lifecycle_stage, source_run_id, creation_timestamp_ms "
        "FROM logged_models WHERE source_run_id IN",
        run_ids,
    )


def _in(base: sqlite3.Connection, statement: str, values: Iterable[str]) -> list[sqlite3.Row]:
    distinct = sorted(set(values))
    rows: list[sqlite3.Row] = []
    for start in range(0, len(distinct), _CHUNK):
        chunk = distinct[start : start + _CHUNK]
        rows += base.execute(f"{statement} ({','.join('?' * len(chunk))})", chunk)
    return rows
