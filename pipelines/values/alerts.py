"""What a person is told of, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self


class AlertKind(StrEnum):
    """What an alert is about."""

    ROLLBACK = "rollback"
    ROLLOUT_HELD = "rollout_held"
    """A rollout waits for a person, or its data cannot say."""
    DRIFT = "drift"
    GATE_FAILED = "gate_failed"
    CRASH_LOOP = "crash_loop"
    DISK_LOW = "disk_low"
    NO_TRAFFIC = "no_traffic"
    TEST = "test"
    """Asked for by a person; always sent."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to be told.

    Args:
        id: Unique; whoever gets the same one twice need look at it once.
        kind: What it is about.
        model: The model; empty when it concerns them all.
        version: The version, as a REF; empty when it concerns no single one.
        title: One line.
        text: Why, and what to do.
        at: When it happened, UTC.
    """

    id: str
    kind: AlertKind
    model: str
    version: str
    title: str
    text: str
    at: datetime

    @property
    def group(self) -> str:
        """Alerts of one group say the same: of several within the quiet time one is sent."""
        return f"{self.kind.value}:{self.version or self.model}"

    def as_dict(self) -> dict[str, Any]:
        """The alert as JSON."""
        return {
            "id": self.id,
            "event": self.kind.value,
            "model": self.model or None,
            "version": self.version or None,
            "title": self.title,
            "text": self.text,
            "at": self.at.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            str(data["id"]),
            AlertKind(data["event"]),
            str(data["model"] or ""),
            str(data["version"] or ""),
            str(data["title"]),
            str(data["text"]),
            datetime.fromisoformat(data["at"]),
        )


@dataclass(frozen=True, slots=True)
class Alerts:
    """Who is told, and of what.

    Args:
        urls: Where alerts go, as Apprise writes it; `$NAME` stands for an environment variable of the daemon.
        events: What is sent.
        quiet_minutes: Of alerts that say the same within that time, one is sent.
        disk_low_mb: Less free space than that, 10^6 bytes, is told.
        no_traffic_minutes: A live model that had requests and has none for so long is told; 0 for never.
    """

    urls: tuple[str, ...] = ()
    events: frozenset[AlertKind] = frozenset(AlertKind) - {AlertKind.TEST}
    quiet_minutes: float = 30.0
    disk_low_mb: float = 1000.0
    no_traffic_minutes: float = 60.0

    def wants(self, kind: AlertKind) -> bool:
        """Whether somebody is told of that."""
        return bool(self.urls) and (kind in self.events or kind is AlertKind.TEST)
