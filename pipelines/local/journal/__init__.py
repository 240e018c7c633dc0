"""What shall run, what is being done about it, and what was done: one SQLite file, every commit on the disk."""

from __future__ import annotations

from pipelines.local.journal.book import Journal
from pipelines.local.journal.durations import durations
from pipelines.local.journal.recorded import recorded
from pipelines.local.journal.records import Event, Message, Operation, Outcome
from pipelines.local.journal.schema import MIGRATIONS

__all__ = ["MIGRATIONS", "Event", "Journal", "Message", "Operation", "Outcome", "durations", "recorded"]
