"""The journal's file: opened, brought up to date, read and changed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import StorageFailed
from pipelines.local.database import transaction
from pipelines.local.journal.schema import MIGRATIONS


class JournalFile:
    """The file; safe for threads. One process at a time writes it.

    Args:
        path: Where it is, or will be made.

    Raises:
        StorageFailed: it cannot be opened, is no journal, or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._mapped("opening it"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=5, check_same_thread=False, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
        self._migrate()

    def close(self) -> None:
        """Close the file; what was written is on the disk already."""
        with self._lock:
            self._db.close()

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._lock, self._mapped("reading"):
            return self._db.execute(query, values).fetchall()

    def row(self, query: str, *values: Any) -> sqlite3.Row | None:
        """The first that a query finds; None when it finds nothing."""
        rows = self.rows(query, *values)
        return rows[0] if rows else None

    @contextmanager
    def transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Several changes at once, or none.

        Args:
            doing: What is being done, for the error.
        """
        with self._lock, self._mapped(doing), transaction(self._db):
            yield self._db

    def _migrate(self) -> None:
        with self._lock, self._mapped("bringing it up to date"):
            done = self._db.execute("PRAGMA user_version").fetchone()[0]
        if done > len(MIGRATIONS):
            raise StorageFailed(
                f"{self.path} was written by a newer Turnout", then="Upgrade this one, or move the file away."
            )
        for number, script in enumerate(MIGRATIONS[done:], start=done + 1):
            with self._lock, self._mapped("bringing it up to date"):
                self._db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")

    @contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageFailed.from_os(error, doing) from error
        except sqlite3.Error as error:
            raise StorageFailed(f"the journal {self.path} failed while {doing}: {error}", then=_cure(error)) from error


def _cure(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return "Free at least 10 MB on this disk (`turnout prune` removes old versions) and call again."
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return "Make the folder writable for this user and call again."
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return "Move the file away (its -wal and -shm too); what serves goes on, and `turnout deploy` starts a new one."
    return "Call again."
