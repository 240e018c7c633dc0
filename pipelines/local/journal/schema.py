"""The tables of the journal."""

from __future__ import annotations

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
