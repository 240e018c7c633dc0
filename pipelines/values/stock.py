"""What a project keeps so that work need not be done again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Stock:
    """One kind of it.

    Args:
        name: What it is.
        size: Bytes on the disk, or of memory.
        count: How many files, or processes.
        purpose: What it spares.
        removed_by: The command that removes it.
    """

    name: str
    size: int
    count: int
    purpose: str
    removed_by: str

    def as_dict(self) -> dict[str, Any]:
        """The kind as JSON."""
        return {
            "name": self.name,
            "bytes": self.size,
            "count": self.count,
            "purpose": self.purpose,
            "removed_by": self.removed_by,
        }
