"""The file of labels: its tables, and what is written to them in one go."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.local.captures.joining import Answer, join
from pipelines.local.database import Database
from pipelines.values import VersionRef
from pipelines.values.labels import Label

UNSETTLED = ("waiting", "not_captured", "unfit")
"""States of a label that has not found its answer."""
_WAIT_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS segments (path TEXT PRIMARY KEY, offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    model TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, at REAL NOT NULL, chosen INTEGER,
    generation INTEGER, user TEXT NOT NULL, said TEXT NOT NULL, PRIMARY KEY (model, id, version)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_at ON answers (model, at);
CREATE TABLE IF NOT EXISTS labels (
    model TEXT NOT NULL, id TEXT NOT NULL, truth TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL,
    why TEXT NOT NULL DEFAULT '', PRIMARY KEY (model, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS labels_at ON labels (model, at);
CREATE INDEX IF NOT EXISTS labels_unfit ON labels (model) WHERE state = 'unfit';
CREATE TABLE IF NOT EXISTS labelled (
    number INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, id TEXT NOT NULL, row INTEGER NOT NULL,
    version INTEGER NOT NULL, at REAL NOT NULL, said TEXT NOT NULL, truth TEXT NOT NULL, is_wrong INTEGER, error REAL,
    chosen INTEGER, generation INTEGER, user TEXT NOT NULL, is_trial INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS labelled_trials ON labelled (model, number) WHERE is_trial;
CREATE INDEX IF NOT EXISTS labelled_users ON labelled (model, user) WHERE is_trial AND user <> '';
CREATE INDEX IF NOT EXISTS labelled_splits ON labelled (model, generation) WHERE is_trial;
CREATE INDEX IF NOT EXISTS labelled_requests ON labelled (model, id) WHERE row = 0;
CREATE INDEX IF NOT EXISTS labelled_model ON labelled (model, number);
CREATE TABLE IF NOT EXISTS tallies (
    model TEXT NOT NULL, version INTEGER NOT NULL, is_classes INTEGER NOT NULL, requests INTEGER NOT NULL,
    rows INTEGER NOT NULL, rows_squared REAL NOT NULL, faults REAL NOT NULL, faults_squared REAL NOT NULL,
    crossed REAL NOT NULL, PRIMARY KEY (model, version, is_classes)
);
CREATE TABLE IF NOT EXISTS counts (model TEXT, name TEXT, value INTEGER NOT NULL, PRIMARY KEY (model, name));
"""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a file that grows.

    Args:
        path: Its name, from the folder of captures on.
        offset: Where the reading began.
        after: Where it ended.
    """

    path: str
    offset: int
    after: int

    def advance(self, db: sqlite3.Connection) -> bool:
        """Note that it was read; False when another process was quicker."""
        row = db.execute("SELECT offset FROM segments WHERE path = ?", (self.path,)).fetchone()
        if (row[0] if row else 0) != self.offset:
            return False
        db.execute("INSERT OR REPLACE INTO segments VALUES (?, ?)", (self.path, self.after))
        return True


def label_file(path: Path) -> Database:
    """The file, which is there or will be made."""
    return Database(
        path,
        _SCHEMA,
        holds="the labels",
        cure="Free some space and call again: what was taken in stays, and nothing counts twice. "
        "A broken file has to be moved away; the labels then begin anew.",
        wait_seconds=_WAIT_SECONDS,
    )


def answers_of(db: sqlite3.Connection, model: str, keys: Sequence[str]) -> dict[str, list[Answer]]:
    """The answers that are known of these requests."""
    query = "SELECT * FROM answers WHERE model = ? AND id IN (SELECT value FROM json_each(?))"
    found: dict[str, list[Answer]] = {}
    for row in db.execute(query, (model, json.dumps(keys))):
        found.setdefault(row[1], []).append(Answer.from_row(row))
    return found


def pair(db: sqlite3.Connection, model: str, label: Label, answer: Answer) -> str:
    """Write down an answer with its truth; why the two do not fit, empty when they do."""
    joined = join(label, answer)
    if isinstance(joined, str):
        return joined
    is_trial = answer.is_judged and joined.is_wrong is not None
    if is_trial and answer.user:
        seen = "SELECT 1 FROM labelled WHERE model = ? AND user = ? AND is_trial LIMIT 1"
        is_trial = db.execute(seen, (model, answer.user)).fetchone() is None
    _, key, version, at, chosen, generation, user, _ = answer.row
    db.executemany(
        "INSERT INTO labelled (model, id, row, version, at, said, truth, is_wrong, error, chosen, generation, user, "
        "is_trial) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                model,
                key,
                row,
                version,
                at,
                said,
                truth,
                one.is_wrong,
                one.error,
                chosen,
                generation,
                user,
                is_trial and not row,
            )
            for row, (said, truth, one) in enumerate(zip(answer.said, label.rows, joined.marks, strict=True))
        ],
    )
    db.execute(
        "INSERT INTO tallies VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET requests = requests + 1, "
        "rows = rows + excluded.rows, rows_squared = rows_squared + excluded.rows_squared, "
        "faults = faults + excluded.faults, faults_squared = faults_squared + excluded.faults_squared, "
        "crossed = crossed + excluded.crossed",
        (model, version, joined.is_classes, *joined.sums),
    )
    return ""


def disagreements(
    db: sqlite3.Connection, candidate: VersionRef, stable: VersionRef, begun: float, numbers: tuple[int, int]
) -> tuple[int, int]:
    """Requests that both versions answered, and one of them wrongly: how often that was the candidate, how often not.

    Args:
        db: The file.
        candidate: The version that got copies.
        stable: The version whose requests they were.
        begun: Requests from then on count, in seconds since 1970.
        numbers: Those whose second answer found its label behind the first of these numbers, and up to the second.
    """
    # An answer may find its label long after the other one has: the later of the two makes the pair.
    query = (
        "SELECT coalesce(sum((late.version = :candidate) = late.is_wrong), 0), count(*) "
        "FROM labelled AS late JOIN labelled AS early "
        "ON early.model = late.model AND early.id = late.id AND early.row = 0 AND early.number < late.number "
        "WHERE late.model = :model AND late.number > :after AND late.number <= :last AND late.row = 0 "
        "AND late.at >= :begun AND late.chosen = :stable AND early.chosen = :stable "
        "AND late.version IN (:candidate, :stable) AND early.version IN (:candidate, :stable) "
        "AND late.is_wrong <> early.is_wrong"
    )
    asked = {"model": candidate.model, "candidate": candidate.number, "stable": stable.number, "begun": begun}
    ours, both = db.execute(query, {**asked, "after": numbers[0], "last": numbers[1]}).fetchone()
    return ours, both - ours


def drop_old(db: sqlite3.Connection, table: Literal["answers", "labels"], model: str, oldest: float, most: int) -> None:
    """Remove what is older than that, and the oldest of too many."""
    query = f"SELECT at FROM {table} WHERE model = ? ORDER BY at DESC LIMIT 1 OFFSET ?"  # noqa: S608 - one of two words
    beyond = db.execute(query, (model, most)).fetchone()
    before = (model, max(oldest, beyond[0]) if beyond else oldest)
    if table == "labels":
        query = "SELECT state, count(*) FROM labels WHERE model = ? AND at < ? GROUP BY state"
        count(db, model, {state: -count for state, count in db.execute(query, before) if state in UNSETTLED})
    db.execute(f"DELETE FROM {table} WHERE model = ? AND at < ?", before)  # noqa: S608 - likewise


def count(db: sqlite3.Connection, model: str, counts: Mapping[str, int]) -> None:
    """Change how many labels of each kind there are."""
    db.executemany(
        "INSERT INTO counts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        [(model, name, value) for name, value in counts.items() if value],
    )
