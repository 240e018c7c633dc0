"""The journal: whole or not at all, on the disk when it says so, and clear about what is wrong."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import Refused, StorageFailed
from pipelines.local.journal import MIGRATIONS, Event, Journal, Operation
from pipelines.policy.deployment import after_deploy
from pipelines.values import Deployment, VersionRef
from tests.local.memory_target import BEGINNING

ROOT = Path(__file__).resolve().parents[2]
BEFORE = Deployment("digits")
AFTER = after_deploy(BEFORE, VersionRef("digits", 1), share=100, rollout="r", bake_until=None)


def operation(key: str = "one") -> Operation:
    """A deploy of digits@1."""
    actor = {"user": "anna", "pid": 123, "host": "here"}
    return Operation(key, "deploy", "digits", actor, {"ref": "digits@1"}, BEGINNING, 1, 3, "start", BEFORE, AFTER)


def event(action: str = "deploy") -> Event:
    """A line of history."""
    return Event(BEGINNING, "digits", "PID 123 (anna)", action, "", "digits@1", "because", {"a": 1})


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A fresh one."""
    return Journal(tmp_path / "ö x" / "state.db")


def test_an_operation_comes_back_as_it_was(journal: Journal) -> None:
    """Intent, step and outcome, over a reopening."""
    journal.intend(operation())
    journal.step("one", 2, "route")
    journal.close()
    again = Journal(journal.path)
    (found,) = again.unfinished()
    assert (found.step, found.says, found.before, found.after) == (2, "route", BEFORE, AFTER)
    again.finish("one", "undone", BEGINNING, error=Refused("no", then="Wait."), event=event())
    assert again.unfinished() == []
    known = again.operation("one")
    assert known is not None
    assert known.error is not None
    assert known.error["type"] == "Refused"
    again.close()


def test_outcome_deployment_event_and_message_are_one(journal: Journal) -> None:
    """When the last of them cannot be written, none is."""
    journal.intend(operation())
    with pytest.raises(TypeError):
        journal.finish("one", "done", BEGINNING, after=AFTER, event=event(), messages={"champion": {"ref": object()}})
    assert journal.deployment("digits") == BEFORE
    assert journal.history("digits") == []
    assert len(journal.unfinished()) == 1
    journal.finish("one", "done", BEGINNING, after=AFTER, event=event(), messages={"champion": {"ref": "digits@1"}})
    assert journal.deployment("digits") == AFTER
    assert journal.history("digits") == [event()]
    assert [message.body for message in journal.undelivered()] == [{"ref": "digits@1"}]


def test_history_comes_latest_first(journal: Journal) -> None:
    """As many as asked for."""
    for action in ("deploy", "promote", "rollback"):
        journal.note(event(action))
    assert [line.action for line in journal.history("digits", limit=2)] == ["rollback", "promote"]
    assert journal.history("credit") == []


def test_a_message_waits_until_it_was_delivered(journal: Journal) -> None:
    """A failure is counted and the message stays."""
    journal.intend(operation())
    journal.finish("one", "done", BEGINNING, messages={"champion": {"ref": "digits@1"}})
    (message,) = journal.undelivered()
    journal.not_delivered(message.id, "no network")
    (message,) = journal.undelivered()
    assert message.attempts == 1
    journal.delivered(message.id, BEGINNING)
    assert journal.undelivered() == []


def test_a_killed_process_has_written_what_it_was_told_is_written(tmp_path: Path) -> None:
    """An intent that was acknowledged is there after SIGKILL; a transaction that was not ended is not."""
    program = """
import os, signal, sys
from pathlib import Path
from pipelines.local.journal import Journal
from tests.local.test_journal import operation
journal = Journal(Path(sys.argv[1]))
journal.intend(operation("kept"))
with journal.transaction("dying") as db:
    db.execute("DELETE FROM operations")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "state.db"
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    journal = Journal(path)
    assert [found.id for found in journal.unfinished()] == ["kept"]
    journal.close()


def test_a_full_disk_is_one_clear_error_and_a_retry_works(tmp_path: Path) -> None:
    """The file may not grow: the error names path and need; when it may again, the same call succeeds."""
    program = """
import json, resource, signal, sys
from pathlib import Path
from pipelines.errors import StorageFailed
from pipelines.local.journal import Journal
from tests.local.test_journal import operation
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
journal = Journal(path)
wal = path.with_name(path.name + "-wal")
resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + 20_000, resource.RLIM_INFINITY))
told, count = "", 0
while not told:
    try:
        journal.intend(operation(f"number {count}"))
        count += 1
    except StorageFailed as error:
        told = str(error)
kept = len(journal.unfinished())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.intend(operation(f"number {count}"))
print(json.dumps([told, count, kept, len(journal.unfinished())]))
"""
    path = tmp_path / "state.db"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    told, count, kept, after = json.loads(done.stdout)
    assert str(path) in told
    assert "Free at least 10 MB" in told
    assert kept == count
    assert after == count + 1


def test_a_broken_file_is_a_clear_error(tmp_path: Path) -> None:
    """It is not overwritten."""
    path = tmp_path / "state.db"
    path.write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(StorageFailed, match="Move the file away"):
        Journal(path)
    assert path.read_bytes().startswith(b"no database")


def test_a_newer_file_is_refused(journal: Journal) -> None:
    """An older Turnout does not guess what a newer one means."""
    journal.close()
    with sqlite3.connect(journal.path) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(StorageFailed, match="newer Turnout"):
        Journal(journal.path)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A file stands where the state folder should be."""
    (tmp_path / "state").write_text("")
    with pytest.raises(StorageFailed, match="state"):
        Journal(tmp_path / "state" / "state.db")


def test_a_commit_waits_for_the_disk(journal: Journal) -> None:
    """Write-ahead log, and every commit synchronised."""
    row = journal.row("PRAGMA synchronous")
    assert row is not None
    assert row[0] == 2
    row = journal.row("PRAGMA journal_mode")
    assert row is not None
    assert row[0] == "wal"
