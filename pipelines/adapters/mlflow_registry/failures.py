"""What SQLite, MLflow and the operating system refuse, in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import Busy, StorageFailed, TurnoutError


@contextmanager
def told(database: Path, doing: str) -> Iterator[None]:
    """Turn every foreign error into one of ours.

    Args:
        database: The store's file.
        doing: What was being done, for the message: `registering digits`.

    Raises:
        Busy: another process held the store for 20 seconds.
        StorageFailed: all the rest.
    """
    try:
        yield
    except TurnoutError:
        raise
    except OSError as error:
        raise StorageFailed.from_os(error, doing) from error
    except Exception as error:
        refused = _sqlite_error(error)
        raise (_of_sqlite(refused, database, doing) if refused else _of_mlflow(error, database, doing)) from error


def _sqlite_error(error: BaseException | None) -> sqlite3.Error | None:
    # MLflow wraps SQLAlchemy's error, which wraps sqlite3's.
    while error is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__ or getattr(error, "orig", None)
    return error


def _of_sqlite(error: sqlite3.Error, database: Path, doing: str) -> TurnoutError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy(
            f"{database} is locked by another process, {doing} had to wait too long",
            then="Call again when the other one is done.",
        )
    if name == "SQLITE_FULL":
        return StorageFailed(
            f"the disk is full, {doing} could not write {database}",
            then="Free some space (`turnout prune` removes old versions) and call again.",
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StorageFailed(
            f"{database} cannot be opened for {doing}: {error}",
            instead="it and its folder are readable and writable for this user",
        )
    if name.startswith("SQLITE_IOERR"):
        return StorageFailed(f"reading or writing {database} failed while {doing}: {error}")
    return broken(database, str(error))


def broken(database: Path, why: str) -> StorageFailed:
    """The store's file is none that MLflow could use."""
    return StorageFailed(
        f"{database} is no readable MLflow store: {why}",
        instead="it is the SQLite file that Turnout made",
        then="Put a copy of it back; or move it away, and Turnout begins a new one without the old versions.",
    )


def _of_mlflow(error: Exception, database: Path, doing: str) -> StorageFailed:
    said = str(error).strip().splitlines()
    first = said[0] if said else type(error).__name__
    if "database schema" in first:
        return StorageFailed(
            f"{database} was made by another release of MLflow",
            then=f"Copy the file, then `mlflow db upgrade sqlite:///{database}` brings it up to date.",
        )
    return StorageFailed(f"MLflow refused {doing}: {first}")
