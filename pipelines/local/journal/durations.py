"""How long operations took."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path


def durations(path: Path, verb: str, model: str, count: int = 5) -> list[float]:
    """The seconds that a model's last operations of a kind took, the latest first; read without the daemon.

    A journal that is not there, or cannot be read, has none.
    """
    if not path.exists():
        return []
    query = (
        "SELECT started, finished FROM operations WHERE verb = ? AND model = ? AND outcome = 'done' "
        "ORDER BY finished DESC LIMIT ?"
    )
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as db:
            rows = db.execute(query, (verb, model, count)).fetchall()
    except sqlite3.Error:
        return []
    return [(datetime.fromisoformat(end) - datetime.fromisoformat(begun)).total_seconds() for begun, end in rows]
