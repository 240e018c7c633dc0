"""Removes a version with its runs, its models and their files."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipelines.adapters.mlflow_registry import reader, records
from pipelines.adapters.mlflow_registry.store import Store
from pipelines.values import ModelVersion

_TRASH = ".removed-"


def remove(store: Store, client: Any, version: ModelVersion, others: Sequence[ModelVersion]) -> int:
    """Remove `version` and what only it has; return the bytes freed.

    The files are moved aside first, which undoes in a moment: when the registry then refuses, they are moved back.
    """
    runs, models, folders = _belongings(store, version, others)
    trash = store.artifacts / f"{_TRASH}{secrets.token_hex(4)}"
    moved: list[tuple[Path, Path]] = []
    try:
        trash.mkdir(parents=True)
        for folder in folders:
            aside = trash / folder.name
            folder.rename(aside)
            moved.append((folder, aside))
        client.delete_model_version(version.ref.model, str(version.ref.number))
    except BaseException:
        for folder, aside in moved:
            aside.rename(folder)
        shutil.rmtree(trash, ignore_errors=True)
        raise
    _forget(store, models, runs)
    freed = 0
    # Also what a kill left behind half-way.
    for leftover in store.artifacts.glob(f"{_TRASH}*"):
        freed += _size(leftover)
        shutil.rmtree(leftover)
    return freed


def _belongings(
    store: Store, version: ModelVersion, others: Sequence[ModelVersion]
) -> tuple[list[str], list[str], list[Path]]:
    with store.reading() as base:
        own = {
            version.run_id,
            version.validation_run_id,
            *reader.runs_with_tag(base, records.VERSION, str(version.ref)),
        }
        for execution in set(reader.run_tags(base, own, records.EXECUTION).values()):
            own.update(reader.runs_with_tag(base, records.EXECUTION, execution))
        own -= {run for other in others for run in (other.run_id, other.validation_run_id)}
        run_places = reader.run_places(base, own)
        model_places = reader.model_places(base, own)
    for other in others:
        model_places.pop(other.model_uri.removeprefix("models:/"), None)
    folders = [*_folders(store, run_places.items()), *_folders(store, model_places.items())]
    return list(run_places), list(model_places), folders


def _folders(store: Store, places: Iterable[tuple[str, str]]) -> list[Path]:
    # MLflow puts artifacts into <experiment>/<run>/artifacts and <experiment>/models/<model>/artifacts. What a person
    # sent elsewhere by an artifact_location is theirs to keep.
    found = []
    for name, uri in places:
        path = store.local_path(uri)
        if path and path.is_relative_to(store.artifacts) and path.parent.name == name and path.parent.is_dir():
            found.append(path.parent)
    return found


def _forget(store: Store, models: Iterable[str], runs: Iterable[str]) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # What `mlflow gc` calls; the client can only mark things as deleted.
    tracking = SqlAlchemyStore(store.uri, store.artifacts.as_uri())
    for model in models:
        tracking._hard_delete_logged_model(model)
    for run in runs:
        tracking._hard_delete_run(run)


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_symlink() or file.is_file())
