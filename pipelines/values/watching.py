"""What a watch over models knows of them, and says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pipelines.values.dependencies import Dependencies


@dataclass(frozen=True, slots=True)
class Places:
    """Where a change may matter.

    Args:
        deep: Folders with all that lies below them.
        flat: Folders of which only the entries count.
    """

    deep: frozenset[Path] = frozenset()
    flat: frozenset[Path] = frozenset()

    def __or__(self, other: Places) -> Places:
        return Places(self.deep | other.deep, self.flat | other.flat)


@dataclass(frozen=True, slots=True)
class Look:
    """A model as it was seen.

    Args:
        key: Digest of all that shipping it depends on.
        parts: What of it can be named, part by part.
    """

    key: str
    parts: Dependencies = Dependencies()


@dataclass(frozen=True, slots=True)
class Note:
    """What is written down of a model.

    Args:
        key: The key it was last shipped at, whatever came of it; empty when it never was.
        parts: Its parts then.
        settled: Up to when its schedule has been followed.
        is_shipped: Whether that came to a good end.
    """

    key: str = ""
    parts: Dependencies = Dependencies()
    settled: datetime | None = None
    is_shipped: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The note as JSON."""
        settled = self.settled.isoformat() if self.settled else None
        return {"key": self.key, "parts": self.parts.as_dict(), "settled": settled, "is_shipped": self.is_shipped}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> Self:
        """The inverse of `as_dict`; what cannot be read is as if it had never been written."""
        try:
            said = data or {}
            settled = datetime.fromisoformat(said["settled"]) if said.get("settled") else None
            parts = Dependencies.from_dict(said.get("parts", {}))
            return cls(str(said.get("key", "")), parts, settled, bool(said.get("is_shipped", True)))
        except (TypeError, ValueError, AttributeError):
            return cls()


class Kind(StrEnum):
    """What happened."""

    WATCHING = "watching"
    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    AGAIN = "again"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened while models were watched.

    Args:
        at: When.
        kind: What; `again` when a model changed while it was being shipped, `trouble` when one cannot be looked at.
        says: In words.
        model: Which model; empty for all.
        document: What the shipment prints with `--json`.
    """

    at: datetime
    kind: Kind
    says: str
    model: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON."""
        shipped = {"shipped": dict(self.document)} if self.document else {}
        return {"at": self.at.isoformat(), "kind": self.kind.value, "model": self.model, "says": self.says, **shipped}
