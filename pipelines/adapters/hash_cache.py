"""The SHA-256 of files that were read before and not touched since, so that gigabytes need not be read again."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

SMALL_BYTES = 65_536
"""A smaller file is read as fast as it is looked up."""

SETTLED_NS = 2_000_000_000
"""Only what was last touched so long ago is remembered: two changes within a tick have the same times."""

_LONGEST = 50_000
_TABLE = """CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER, modified INTEGER, changed INTEGER, inode INTEGER, digest TEXT, used REAL
)"""


class HashCache:
    """Digests by a file's path, size, times and number on the disk; a broken or locked cache only costs time.

    The time of change (`ctime`) counts: a program may set the time of modification back, but not that one.

    Args:
        path: A SQLite file; made when the first digest is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._base: sqlite3.Connection | None = None

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file's content.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size < SMALL_BYTES:
                return hashlib.file_digest(file, "sha256").hexdigest()
            key = os.fsencode(path.resolve())
            facts = (before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino)
            with suppress(sqlite3.Error, OSError):
                if (known := self._known(key, facts)) is not None:
                    return known
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
        is_settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > SETTLED_NS
        if is_settled and facts == (after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino):
            with suppress(sqlite3.Error, OSError):
                self._keep(key, facts, digest)
        return digest

    def _known(self, key: bytes, facts: tuple[int, ...]) -> str | None:
        if self._base is None and not self._path.exists():
            return None
        query = "SELECT digest FROM files WHERE path=? AND size=? AND modified=? AND changed=? AND inode=?"
        row = self._open().execute(query, (key, *facts)).fetchone()
        return str(row[0]) if row else None

    def _keep(self, key: bytes, facts: tuple[int, ...], digest: str) -> None:
        base = self._open()
        with base:
            values = (key, *facts, digest, time.time())
            base.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            oldest = "SELECT path FROM files ORDER BY used DESC LIMIT -1 OFFSET ?"
            base.execute(f"DELETE FROM files WHERE path IN ({oldest})", (_LONGEST,))  # noqa: S608 - a constant

    def _open(self) -> sqlite3.Connection:
        if self._base is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(self._path, timeout=1.0)
            self._base.execute(_TABLE)
        return self._base
