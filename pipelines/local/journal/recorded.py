"""What the journal has of the deployments, read without the daemon."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from pipelines.errors import StorageFailed
from pipelines.values import Deployment


def recorded(path: Path) -> list[Deployment]:
    """All deployments of a journal, by name; none where there is no journal. Nothing is written.

    Raises:
        StorageFailed: it cannot be read.
    """
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as db:
            rows = db.execute("SELECT body FROM deployments ORDER BY model").fetchall()
    except sqlite3.Error as error:
        raise StorageFailed(
            f"the journal {path} cannot be read: {error}", then="`turnout doctor` looks at it."
        ) from None
    return [Deployment.from_dict(json.loads(body)) for (body,) in rows]
