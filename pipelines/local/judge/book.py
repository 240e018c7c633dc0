"""What is known of each rollout, and what was decided: a file of its own, since much is written to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from pipelines.local.database import Database
from pipelines.local.judge.watching import Pair, Position
from pipelines.values import read_ref
from pipelines.values.decisions import Record
from pipelines.values.evidence import Rules, Trial

KEPT = 1000
"""Decisions of a model; older ones are thrown away."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cases (model TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, rollout TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS decisions_model ON decisions (model, id);
"""


@dataclass(frozen=True)
class Case:
    """One rollout under judgement.

    Args:
        pair: Who is compared.
        rules: By what.
        trial: The evidence so far.
        position: How far it goes.
        said: What `status` shows of it.
    """

    pair: Pair
    rules: Rules
    trial: Trial
    position: Position
    said: Mapping[str, Any]

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """The case as JSON."""
        return {
            "pair": [str(self.pair.candidate), str(self.pair.stable), self.pair.since, self.pair.begun],
            "rules": self.rules.as_dict(),
            "trial": self.trial.as_dict(),
            "position": self.position.as_dict(),
            "said": dict(self.said),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        candidate, stable, since, *begun = data["pair"]
        return cls(
            pair=Pair(read_ref(candidate), read_ref(stable), since, *begun),
            rules=Rules.from_dict(data["rules"]),
            trial=Trial.from_dict(data["trial"]),
            position=Position.from_dict(data["position"]),
            said=data["said"],
        )


class Book:
    """The file; safe for threads.

    Args:
        path: Where it is, or will be made at the first writing.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(
            path,
            _SCHEMA,
            holds="the evidence",
            cure="Free some space, or move the file away: rollouts under way then begin their evidence anew.",
        )

    def case(self, model: str) -> Case | None:
        """The model's latest rollout; None when there is none, or what was written is not understood.

        Raises:
            StorageFailed: the file cannot be read.
        """
        with self._db.open("reading") as db:
            row = db.execute("SELECT body FROM cases WHERE model = ?", (model,)).fetchone()
        try:
            return Case.from_dict(json.loads(row[0])) if row else None
        except (LookupError, TypeError, ValueError):
            return None

    def keep(self, model: str, case: Case, record: Record | None = None) -> None:
        """Write the evidence, how far it goes and, when there is one, the decision: all, or nothing.

        Raises:
            StorageFailed: the disk is full or read-only.
        """
        with self._db.open("keeping the evidence") as db:
            db.execute("INSERT OR REPLACE INTO cases VALUES (?, ?)", (model, json.dumps(case.as_dict())))
            if record is not None:
                values = (model, case.trial.rollout, record.now.isoformat(), json.dumps(record.as_dict()))
                db.execute("INSERT INTO decisions (model, rollout, at, body) VALUES (?, ?, ?, ?)", values)
                db.execute(
                    "DELETE FROM decisions WHERE model = ? AND id <= "
                    "(SELECT id FROM decisions WHERE model = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                    (model, model, KEPT),
                )

    def decisions(self, model: str, limit: int = 100) -> list[Record]:
        """What was decided, the latest first.

        Raises:
            StorageFailed: the file cannot be read.
        """
        query = "SELECT body FROM decisions WHERE model = ? ORDER BY id DESC LIMIT ?"
        with self._db.open("reading") as db:
            rows = db.execute(query, (model, limit)).fetchall()
        return [Record.from_dict(json.loads(body)) for (body,) in rows]

    def close(self) -> None:
        """Close the file; what was written is on the disk already."""
        self._db.close()
