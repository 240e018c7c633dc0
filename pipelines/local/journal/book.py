"""What shall run, what is being done about it, and what was done."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pipelines.errors import TurnoutError
from pipelines.local.journal.file import JournalFile
from pipelines.local.journal.records import Event, Message, Operation, Outcome
from pipelines.values import Deployment


class Journal(JournalFile):
    """Deployments, operations, history and outbox; parts of the daemon may have tables of their own beside them."""

    def deployment(self, model: str) -> Deployment:
        """What shall run of a model; an empty one when nothing was ever recorded."""
        row = self.row("SELECT body FROM deployments WHERE model = ?", model)
        return Deployment.from_dict(json.loads(row["body"])) if row else Deployment(model)

    def deployments(self) -> list[Deployment]:
        """All that were recorded, by name."""
        rows = self.rows("SELECT body FROM deployments ORDER BY model")
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
        with self.transaction("recording what is to be done") as db:
            db.execute(
                "INSERT INTO operations (id, verb, model, actor, arguments, started, step, steps, says, before, after)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def step(self, operation: str, step: int, says: str) -> None:
        """Record that an operation has come to a step."""
        with self.transaction("recording a step") as db:
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
        with self.transaction("recording what was done") as db:
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
        with self.transaction("writing the history") as db:
            _insert_event(db, event)

    def operation(self, operation: str) -> Operation | None:
        """One operation, finished or not."""
        row = self.row("SELECT * FROM operations WHERE id = ?", operation)
        return _operation(row) if row else None

    def unfinished(self) -> list[Operation]:
        """Operations without an outcome, the oldest first."""
        rows = self.rows("SELECT * FROM operations WHERE outcome IS NULL ORDER BY started, rowid")
        return [_operation(row) for row in rows]

    def last(self, model: str) -> Operation | None:
        """The operation that a model's deployment is as it is by; None where nothing was ever done."""
        row = self.row(
            "SELECT * FROM operations WHERE model = ? AND outcome = 'done' ORDER BY finished DESC, rowid DESC LIMIT 1",
            model,
        )
        return _operation(row) if row else None

    def history(self, model: str, limit: int = 100) -> list[Event]:
        """What was done with a model, the latest first."""
        rows = self.rows("SELECT * FROM events WHERE model = ? ORDER BY id DESC LIMIT ?", model, limit)
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
        rows = self.rows("SELECT model, action, COUNT(*) AS number FROM events GROUP BY model, action")
        return {(row["model"], row["action"]): row["number"] for row in rows}

    def undelivered(self, kinds: Sequence[str] | None = None) -> list[Message]:
        """Messages of these kinds, or of all, that nobody has taken yet, the oldest first."""
        rows = self.rows("SELECT * FROM outbox WHERE delivered IS NULL AND gave_up IS NULL ORDER BY id")
        wanted = [row for row in rows if kinds is None or row["kind"] in kinds]
        return [Message(row["id"], row["kind"], json.loads(row["body"]), row["attempts"]) for row in wanted]

    def delivered(self, message: int, at: datetime) -> None:
        """A message has arrived."""
        with self.transaction("recording a delivery") as db:
            db.execute("UPDATE outbox SET delivered = ? WHERE id = ?", (at.isoformat(), message))

    def not_delivered(self, message: int, error: str) -> None:
        """A message has not arrived; it stays."""
        with self.transaction("recording a delivery") as db:
            db.execute("UPDATE outbox SET attempts = attempts + 1, error = ? WHERE id = ?", (error[-2000:], message))

    def gave_up(self, message: int, error: str, at: datetime) -> None:
        """A message will not arrive, and is tried no more."""
        with self.transaction("recording a delivery") as db:
            said = "UPDATE outbox SET attempts = attempts + 1, error = ?, gave_up = ? WHERE id = ?"
            db.execute(said, (error[-2000:], at.isoformat(), message))


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
