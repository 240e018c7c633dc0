"""Which versions a model has, and which is its champion: one query, and nothing imported for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from pipelines.errors import StorageFailed
from pipelines.values import Alias


def version_numbers(path: Path, model: str) -> list[int]:
    """The numbers of a model's registered versions, the newest first.

    Args:
        path: MLflow's SQLite file; one that is not there, or cannot be read, has none.
        model: The model.
    """
    if not path.exists():
        return []
    query = (
        "SELECT version FROM model_versions WHERE name = ? AND coalesce(current_stage, '') != 'Deleted_Internal' "
        "ORDER BY version DESC"
    )
    try:
        return [int(number) for (number,) in _asked(path, query, model)]
    except sqlite3.Error:
        return []


def champion_number(path: Path, model: str) -> int | None:
    """The number of a model's champion; None while there is none.

    Args:
        path: MLflow's SQLite file.
        model: The model.

    Raises:
        StorageFailed: nobody can tell now.
    """
    if not path.exists():
        return None
    query = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"
    try:
        found = _asked(path, query, model, Alias.CHAMPION.value)
    except sqlite3.Error as error:
        raise StorageFailed(f"the champion of {model} cannot be read: {error}") from error
    return int(found[0][0]) if found else None


def _asked(path: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.5)) as base:
        return base.execute(query, values).fetchall()
