"""Alerts in the journal: which were raised, and to whom each has still to be sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipelines.local.alerts.targets import AlertTarget
from pipelines.local.journal import Journal
from pipelines.values.alerts import Alert

KIND = "alert"
"""Of an alert's messages in the outbox."""
KEPT = 1000
"""Alerts that can be listed; older ones are forgotten."""
_MARK = "alerts"
_BATCH = 200


@dataclass(frozen=True)
class Post:
    """To whom an alert goes.

    Args:
        targets: Who is told.
        quiet: Of alerts of one group within that time one is sent.
    """

    targets: Sequence[AlertTarget]
    quiet: timedelta


class AlertBook:
    """The alerts of one project.

    Args:
        journal: Where they are.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, alert: Alert, post: Post) -> bool:
        """Raise an alert; False when it is known already, or the like was raised a short while ago."""
        with self._journal.transaction("raising an alert") as db:
            return self._add(db, alert, post)

    def take_events(self, judge: Callable[[int, dict[str, Any], datetime], Alert | None], post: Post) -> int:
        """Raise alerts of the lines of history that are new, each line once; return how many were looked at.

        Where it stopped and what it raised are recorded together: a daemon that dies forgets no line and takes none
        twice.
        """
        last = self._journal.rows("SELECT value FROM marks WHERE name = ?", _MARK)[0]["value"]
        rows = self._journal.rows("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", last, _BATCH)
        if not rows:
            return 0
        with self._journal.transaction("raising alerts") as db:
            for row in rows:
                at = datetime.fromisoformat(row["at"])
                event = {**dict(row), "from": row["from_version"], "to": row["to_version"]}
                alert = judge(row["id"], event, at)
                if alert is not None:
                    self._add(db, alert, post)
            db.execute("UPDATE marks SET value = ? WHERE name = ?", (rows[-1]["id"], _MARK))
        return len(rows)

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """The latest alerts, the latest first, each with what came of it at each target."""
        rows = self._journal.rows("SELECT id, body FROM alerts ORDER BY rowid DESC LIMIT ?", limit)
        return [{**json.loads(row["body"]), "targets": self._fates(row["id"])} for row in rows]

    def waiting(self) -> int:
        """How many messages have still to be sent."""
        query = "SELECT COUNT(*) AS number FROM outbox WHERE kind = ? AND delivered IS NULL AND gave_up IS NULL"
        return int(self._journal.rows(query, KIND)[0]["number"])

    def _fates(self, alert: str) -> list[dict[str, Any]]:
        rows = self._journal.rows("SELECT * FROM outbox WHERE alert = ? ORDER BY id", alert)
        return [
            {
                "target": json.loads(row["body"])["label"],
                "state": "sent" if row["delivered"] else "given up" if row["gave_up"] else "waiting",
                "attempts": row["attempts"],
                "error": "" if row["delivered"] else row["error"],
            }
            for row in rows
        ]

    def _add(self, db: Any, alert: Alert, post: Post) -> bool:
        last = db.execute("SELECT at FROM alerts WHERE grp = ? ORDER BY rowid DESC LIMIT 1", (alert.group,)).fetchone()
        # A clock that was set back makes the last one later than this one: that is no reason to be silent.
        if last and timedelta(0) <= alert.at - datetime.fromisoformat(last["at"]) < post.quiet:
            return False
        said = json.dumps(alert.as_dict(), ensure_ascii=False)
        values = (alert.id, alert.at.isoformat(), alert.group, said)
        if not db.execute("INSERT OR IGNORE INTO alerts (id, at, grp, body) VALUES (?, ?, ?, ?)", values).rowcount:
            return False
        db.executemany(
            "INSERT INTO outbox (kind, body, created, alert) VALUES (?, ?, ?, ?)",
            _messages(alert, post.targets),
        )
        oldest = "SELECT id FROM alerts ORDER BY rowid DESC LIMIT -1 OFFSET ?"
        db.execute(f"DELETE FROM outbox WHERE alert IN ({oldest})", (KEPT,))  # noqa: S608 - our own words
        db.execute(f"DELETE FROM alerts WHERE id IN ({oldest})", (KEPT,))  # noqa: S608 - our own words
        return True


def _messages(alert: Alert, targets: Iterable[AlertTarget]) -> list[tuple[str, str, str, str]]:
    return [
        (
            KIND,
            json.dumps({"target": one.key, "label": one.label, "alert": alert.as_dict()}, ensure_ascii=False),
            alert.at.isoformat(),
            alert.id,
        )
        for one in targets
    ]
