"""A part's own SQLite file: whole after any end, with one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import StorageFailed
from pipelines.local.database import Database

SCHEMA = "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY);"


def database(path: Path, wait_seconds: float = 5.0) -> Database:
    """A file of facts."""
    return Database(path, SCHEMA, holds="the facts", cure="Free some space.", wait_seconds=wait_seconds)


@pytest.fixture
def facts(tmp_path: Path) -> Iterator[Database]:
    """One with the fact `kept`."""
    facts = database(tmp_path / "below" / "facts.db")
    add(facts, "kept")
    yield facts
    facts.close()


def add(facts: Database, name: str, how: str = "INSERT") -> None:
    """Write one more."""
    with facts.open("writing") as db:
        db.execute(f"{how} INTO facts VALUES (?)", (name,))


def lose(facts: Database) -> None:
    """Write one, and fail over something else."""
    with facts.open("writing") as db:
        db.execute("INSERT INTO facts VALUES ('lost')")
        raise KeyError


def names(facts: Database) -> list[str]:
    """All that are there."""
    with facts.open("reading") as db:
        return [name for (name,) in db.execute("SELECT name FROM facts ORDER BY name")]


def test_what_ended_well_is_there_after_it_was_closed(facts: Database) -> None:
    """A closed file is opened again when it is needed, with what was written."""
    facts.close()
    add(facts, "more")
    assert names(facts) == ["kept", "more"]


def test_of_a_block_that_failed_nothing_is_kept(facts: Database) -> None:
    """Its own error goes on as it is, and the next transaction begins as if there had been none."""
    with pytest.raises(KeyError):
        lose(facts)
    add(facts, "more")
    assert names(facts) == ["kept", "more"]


@pytest.mark.parametrize("how", ["INSERT", "INSERT OR ROLLBACK"])
def test_an_error_of_the_file_says_what_and_what_next(facts: Database, how: str) -> None:
    """Also when SQLite has ended the transaction by itself, as it does on a full disk: the first cause is told."""
    with pytest.raises(StorageFailed, match=r"the facts .*facts\.db failed while writing: UNIQUE") as caught:
        add(facts, "kept", how)
    assert "Free some space." in str(caught.value)
    add(facts, "more")
    assert names(facts) == ["kept", "more"]


def test_a_broken_file_is_told_each_time_and_stays_as_it_is(tmp_path: Path) -> None:
    """It is never written over; moved away, the facts begin anew."""
    path = tmp_path / "facts.db"
    path.write_bytes(b"no database at all, but long enough to be one" * 100)
    facts = database(path)
    for _ in range(2):
        with pytest.raises(StorageFailed, match="the facts"):
            names(facts)
    assert path.read_bytes().startswith(b"no database")
    path.rename(tmp_path / "away.db")
    assert names(facts) == []
    facts.close()


def test_nobody_writes_between_what_is_read_and_what_is_written(facts: Database) -> None:
    """A transaction that may write has the file to itself from its first word on; one that reads keeps nobody out."""
    other = database(facts.path, wait_seconds=0.0)
    with facts.open("reading") as db:
        db.execute("SELECT * FROM facts").fetchall()
        add(other, "more")
    with facts.open("writing"), pytest.raises(StorageFailed, match="locked"):
        add(other, "late")
    assert names(other) == ["kept", "more"]
    other.close()
