"""Which versions a model has, for the Tab key: one query, and nothing imported for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


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
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.5)) as base:
            return [int(number) for (number,) in base.execute(query, (model,))]
    except sqlite3.Error:
        return []
