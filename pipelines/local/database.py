"""SQLite files, changed in transactions; one that a part has for itself is opened when it is first needed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pipelines.errors import StorageFailed


class Database:
    """The file; safe for threads and for several processes.

    Args:
        path: Where it is, or will be made.
        schema: Statements that make the tables that are not there.
        holds: What is in it, for the error: `the labels`.
        cure: What can be done when it fails, for the error.
        synchronous: FULL when what was written has to outlive a loss of power, NORMAL when the last seconds need not.
        wait_seconds: How long another process may be at it.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        holds: str,
        cure: str,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        wait_seconds: float = 5.0,
    ) -> None:
        self.path = path
        self._schema, self._holds, self._cure = schema, holds, cure
        self._synchronous, self._wait_seconds = synchronous, wait_seconds
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close it; what was written is on the disk already."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    @contextmanager
    def open(self, doing: str) -> Iterator[sqlite3.Connection]:
        """One transaction, kept when the block ends well; nobody writes beside one that is not for `reading`.

        Args:
            doing: What is being done, for the error.

        Raises:
            StorageFailed: the disk is full or read-only, or the file is broken.
        """
        with self._lock:
            try:
                if self._db is None:
                    self._db = self._opened()
                with transaction(self._db, is_reading=doing == "reading"):
                    yield self._db
            except (sqlite3.Error, OSError) as error:
                raise StorageFailed(
                    f"{self._holds} {self.path} failed while {doing}: {error}", then=self._cure
                ) from error

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=self._wait_seconds, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={self._synchronous}")
            db.executescript(self._schema)
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def transaction(db: sqlite3.Connection, *, is_reading: bool = False) -> Iterator[None]:
    """Keep what the block does when it ends well, and nothing of it otherwise."""
    # What is read decides what is written: nobody may write in between.
    db.execute("BEGIN" if is_reading else "BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # A full disk may have ended the transaction already.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
