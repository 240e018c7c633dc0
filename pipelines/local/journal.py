"""What shall run, what is being done about it, and what was done: one SQLite file, every commit on the disk."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pipelines.errors import StorageFailed, TurnoutError
from pipelines.values import Deployment

Outcome = Literal["done", "undone"]

# One entry a version of the schema; `user_version` counts those that were carried out. Append only.
MIGRATIONS = (
    """
    CREATE TABLE deployments (model TEXT PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE operations (
        id TEXT PRIMARY KEY, verb TEXT NOT NULL, model TEXT NOT NULL, actor TEXT NOT NULL, arguments TEXT NOT NULL,
        started TEXT NOT NULL, step INTEGER NOT NULL, steps INTEGER NOT NULL, says TEXT NOT NULL,
        before TEXT NOT NULL, after TEXT NOT NULL, outcome TEXT, error TEXT, finished TEXT
    );
    CREATE INDEX operations_open ON operations (started) WHERE outcome IS NULL;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, model TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
        from_version TEXT, to_version TEXT, reason TEXT NOT NULL, evidence TEXT NOT NULL
    );
    CREATE INDEX events_model ON events (model, id);
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, created TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '', delivered TEXT
    );
    """,
    """
    ALTER TABLE outbox ADD COLUMN gave_up TEXT;
    ALTER TABLE outbox ADD COLUMN alert TEXT;
    CREATE INDEX outbox_alert ON outbox (alert) WHERE alert IS NOT NULL;
    CREATE TABLE alerts (id TEXT PRIMARY KEY, at TEXT NOT NULL, grp TEXT NOT NULL, body TEXT NOT NULL);
    CREATE INDEX alerts_group ON alerts (grp);
    CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
    INSERT INTO marks SELECT 'alerts', COALESCE(MAX(id), 0) FROM events;
    """,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the journal has it.

    Args:
        id: Given by who asked, so that asking again does nothing twice.
        verb: `deploy`, `promote`, `rollback`, `undo`, `down`, `up` or `bake`.
        model: The model.
        actor: `user`, `pid` and `host` of who asked.
        arguments: As they came.
        started: UTC.
        step: The step under way, from 1.
        steps: How many there are.
        says: The step in words.
        before: The deployment before.
        after: The deployment it leads to.
        outcome: None while it is under way.
        error: Of one that was undone: `TurnoutError.as_dict()`.
    """

    id: str
    verb: str
    model: str
    actor: Mapping[str, Any]
    arguments: Mapping[str, Any]
    started: datetime
    step: int
    steps: int
    says: str
    before: Deployment
    after: Deployment
    outcome: Outcome | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A line of a model's history.

    Args:
        at: When, UTC.
        model: The model.
        actor: Who, such as `anna (PID 123)`.
        action: What: a verb, or `recovered`, `failed`.
        source: The version that carried the traffic before; empty when none did.
        target: The version it is about; empty when none is.
        reason: In a person's words, or the error's.
        evidence: Facts for programs.
    """

    at: datetime
    model: str
    actor: str
    action: str
    source: str
    target: str
    reason: str
    evidence: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON."""
        return {
            "at": self.at.isoformat(),
            "model": self.model,
            "actor": self.actor,
            "action": self.action,
            "from": self.source or None,
            "to": self.target or None,
            "reason": self.reason,
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True, slots=True)
class Message:
    """Something another system has to be told, until it was told."""

    id: int
    kind: str
    body: Mapping[str, Any]
    attempts: int


class Journal:
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

    def deployment(self, model: str) -> Deployment:
        """What shall run of a model; an empty one when nothing was ever recorded."""
        row = self._one("SELECT body FROM deployments WHERE model = ?", model)
        return Deployment.from_dict(json.loads(row["body"])) if row else Deployment(model)

    def deployments(self) -> list[Deployment]:
        """All that were recorded, by name."""
        rows = self._all("SELECT body FROM deployments ORDER BY model")
        return [Deployment.from_dict(json.loads(row["body"])) for row in rows]

    def intend(self, operation: Operation) -> None:
        """Record an operation before its first step."""
        values = (
            operation.id,
            operation.verb,
            operation.model,
            _json(operation.actor),
            _json(operation.arguments),
            operation.started.isoformat(),
            operation.step,
            operation.steps,
            operation.says,
            _json(operation.before.as_dict()),
            _json(operation.after.as_dict()),
        )
        with self._transaction("recording what is to be done") as db:
            db.execute(
                "INSERT INTO operations (id, verb, model, actor, arguments, started, step, steps, says, before, after)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def step(self, operation: str, step: int, says: str) -> None:
        """Record that an operation has come to a step."""
        with self._transaction("recording a step") as db:
            db.execute("UPDATE operations SET step = ?, says = ? WHERE id = ?", (step, says, operation))

    def finish(
        self,
        operation: str,
        outcome: Outcome,
        at: datetime,
        *,
        after: Deployment | None = None,
        error: TurnoutError | None = None,
        event: Event | None = None,
        messages: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Record the outcome, the deployment it led to, the event and the messages, in one transaction."""
        with self._transaction("recording what was done") as db:
            db.execute(
                "UPDATE operations SET outcome = ?, error = ?, finished = ? WHERE id = ?",
                (outcome, _json(error.as_dict()) if error else None, at.isoformat(), operation),
            )
            if after is not None:
                body = _json(after.as_dict())
                db.execute("INSERT OR REPLACE INTO deployments (model, body) VALUES (?, ?)", (after.model, body))
            if event is not None:
                _insert_event(db, event)
            for kind, message in (messages or {}).items():
                values = (kind, _json(message), at.isoformat())
                db.execute("INSERT INTO outbox (kind, body, created) VALUES (?, ?, ?)", values)

    def note(self, event: Event) -> None:
        """Add a line to a model's history."""
        with self._transaction("writing the history") as db:
            _insert_event(db, event)

    def operation(self, operation: str) -> Operation | None:
        """One operation, finished or not."""
        row = self._one("SELECT * FROM operations WHERE id = ?", operation)
        return _operation(row) if row else None

    def unfinished(self) -> list[Operation]:
        """Operations without an outcome, the oldest first."""
        rows = self._all("SELECT * FROM operations WHERE outcome IS NULL ORDER BY started, rowid")
        return [_operation(row) for row in rows]

    def history(self, model: str, limit: int = 100) -> list[Event]:
        """What was done with a model, the latest first."""
        rows = self._all("SELECT * FROM events WHERE model = ? ORDER BY id DESC LIMIT ?", model, limit)
        return [
            Event(
                at=datetime.fromisoformat(row["at"]),
                model=row["model"],
                actor=row["actor"],
                action=row["action"],
                source=row["from_version"] or "",
                target=row["to_version"] or "",
                reason=row["reason"],
                evidence=json.loads(row["evidence"]),
            )
            for row in rows
        ]

    def event_counts(self) -> dict[tuple[str, str], int]:
        """How often each action stands in the history, by model and action."""
        rows = self._all("SELECT model, action, COUNT(*) AS number FROM events GROUP BY model, action")
        return {(row["model"], row["action"]): row["number"] for row in rows}

    def undelivered(self, kinds: Sequence[str] | None = None) -> list[Message]:
        """Messages of these kinds, or of all, that nobody has taken yet, the oldest first."""
        rows = self._all("SELECT * FROM outbox WHERE delivered IS NULL AND gave_up IS NULL ORDER BY id")
        wanted = [row for row in rows if kinds is None or row["kind"] in kinds]
        return [Message(row["id"], row["kind"], json.loads(row["body"]), row["attempts"]) for row in wanted]

    def delivered(self, message: int, at: datetime) -> None:
        """A message has arrived."""
        with self._transaction("recording a delivery") as db:
            db.execute("UPDATE outbox SET delivered = ? WHERE id = ?", (at.isoformat(), message))

    def not_delivered(self, message: int, error: str) -> None:
        """A message has not arrived; it stays."""
        with self._transaction("recording a delivery") as db:
            db.execute("UPDATE outbox SET attempts = attempts + 1, error = ? WHERE id = ?", (error[-2000:], message))

    def gave_up(self, message: int, error: str, at: datetime) -> None:
        """A message will not arrive, and is tried no more."""
        with self._transaction("recording a delivery") as db:
            said = "UPDATE outbox SET attempts = attempts + 1, error = ?, gave_up = ? WHERE id = ?"
            db.execute(said, (error[-2000:], at.isoformat(), message))

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What a query finds, for those who have tables of their own here."""
        return self._all(query, *values)

    def transaction(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Several changes at once, or none, for those who have tables of their own here.

        Args:
            doing: What is being done, for the error.
        """
        return self._transaction(doing)

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

    def _one(self, query: str, *values: Any) -> sqlite3.Row | None:
        rows = self._all(query, *values)
        return rows[0] if rows else None

    def _all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, self._mapped("reading"):
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._mapped(doing):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageFailed.from_os(error, doing) from error
        except sqlite3.Error as error:
            raise StorageFailed(f"the journal {self.path} failed while {doing}: {error}", then=_cure(error)) from error


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


def _cure(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return "Free at least 10 MB on this disk (`turnout prune` removes old versions) and call again."
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return "Make the folder writable for this user and call again."
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return "Move the file away (its -wal and -shm too); what serves goes on, and `turnout deploy` starts a new one."
    return "Call again."


def _insert_event(db: sqlite3.Connection, event: Event) -> None:
    db.execute(
        "INSERT INTO events (at, model, actor, action, from_version, to_version, reason, evidence)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.at.isoformat(),
            event.model,
            event.actor,
            event.action,
            event.source,
            event.target,
            event.reason,
            _json(event.evidence),
        ),
    )


def _operation(row: sqlite3.Row) -> Operation:
    return Operation(
        id=row["id"],
        verb=row["verb"],
        model=row["model"],
        actor=json.loads(row["actor"]),
        arguments=json.loads(row["arguments"]),
        started=datetime.fromisoformat(row["started"]),
        step=row["step"],
        steps=row["steps"],
        says=row["says"],
        before=Deployment.from_dict(json.loads(row["before"])),
        after=Deployment.from_dict(json.loads(row["after"])),
        outcome=row["outcome"],
        error=json.loads(row["error"]) if row["error"] else None,
    )


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False)
