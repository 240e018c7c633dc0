"""How far each version's captures are counted, and what its windows came to: a file of its own, written often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from pipelines.local.database import Database
from pipelines.values import VersionRef
from pipelines.values.drift import DriftWindow, Standing

KEPT = 100
"""Windows of a version; older ones are thrown away."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counts (version TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS windows (id INTEGER PRIMARY KEY, version TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS windows_version ON windows (version, id);
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """What has come of a version since its last window.

    Args:
        reference: Tells the reference that the counts belong to from another one.
        places: How far each segment of its captures is read.
        tallies: Counts by feature.
        rows: How many rows.
        first: When the first of them was answered.
        last: When the last was.
        closed: When the last window was.
        standing: What the windows so far come to.
        windows: How many there were.
        owed: An event that the history has still to be told.
    """

    reference: str
    places: Mapping[str, int] = field(default_factory=dict)
    tallies: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    closed: datetime | None = None
    standing: Standing = Standing()
    windows: int = 0
    owed: Mapping[str, Any] | None = None

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON."""
        moments = {name: getattr(self, name) for name in ("first", "last", "closed")}
        return {
            "reference": self.reference,
            "places": dict(self.places),
            "tallies": {name: list(tally) for name, tally in self.tallies.items()},
            "rows": self.rows,
            **{name: at.isoformat() if at else None for name, at in moments.items()},
            "standing": [list(self.standing.last), list(self.standing.drifting)],
            "windows": self.windows,
            "owed": self.owed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        last, drifting = data["standing"]
        moments = {
            name: datetime.fromisoformat(data[name]) if data[name] else None for name in ("first", "last", "closed")
        }
        return cls(
            reference=data["reference"],
            places=data["places"],
            tallies={name: tuple(tally) for name, tally in data["tallies"].items()},
            rows=data["rows"],
            standing=Standing(tuple(last), tuple(drifting)),
            windows=data["windows"],
            owed=data["owed"],
            **moments,
        )


class DriftBook:
    """The file; safe for threads.

    Args:
        path: Where it is, or will be made at the first writing.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(
            path,
            _SCHEMA,
            holds="the counts for drift",
            cure="Free some space, or move the file away: the windows of each version then begin anew.",
            # A killed daemon loses nothing; a machine without power the counts of a few seconds.
            synchronous="NORMAL",
        )

    def counted(self, ref: VersionRef) -> Counted | None:
        """What has come of a version; None when nothing has, or what was written is not understood.

        Raises:
            StorageFailed: the file cannot be read.
        """
        with self._db.open("reading") as db:
            row = db.execute("SELECT body FROM counts WHERE version = ?", (str(ref),)).fetchone()
        try:
            return Counted.from_dict(json.loads(row[0])) if row else None
        except (LookupError, TypeError, ValueError):
            return None

    def keep(self, ref: VersionRef, counted: Counted, window: DriftWindow | None = None) -> None:
        """Write what has come and, when there is one, the window that it made: both, or neither.

        Raises:
            StorageFailed: the disk is full or read-only.
        """
        with self._db.open("keeping the counts") as db:
            db.execute("INSERT OR REPLACE INTO counts VALUES (?, ?)", (str(ref), json.dumps(counted.as_dict())))
            if window is not None:
                said = json.dumps(window.as_dict())
                db.execute("INSERT INTO windows (version, body) VALUES (?, ?)", (str(ref), said))
                db.execute(
                    "DELETE FROM windows WHERE version = ? AND id <= "
                    "(SELECT id FROM windows WHERE version = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                    (str(ref), str(ref), KEPT),
                )

    def windows(self, ref: VersionRef, limit: int) -> list[DriftWindow]:
        """A version's windows, the latest first.

        Raises:
            StorageFailed: the file cannot be read.
        """
        query = "SELECT body FROM windows WHERE version = ? ORDER BY id DESC LIMIT ?"
        with self._db.open("reading") as db:
            rows = db.execute(query, (str(ref), limit)).fetchall()
        return [DriftWindow.from_dict(json.loads(body)) for (body,) in rows]

    def close(self) -> None:
        """Close the file; what was written is on the disk already."""
        self._db.close()
