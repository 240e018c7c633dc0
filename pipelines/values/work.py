"""Commands that are carried out by others, several at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """One command.

    Args:
        key: Its name among the others.
        words: What would be typed behind `turnout`.
        after: Keys of tasks that must have succeeded before it may begin.
    """

    key: str
    words: tuple[str, ...]
    after: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Carried:
    """A command that came to its end.

    Args:
        document: What it prints with `--json`.
        ok: Whether it succeeded.
        seconds: How long it took.
        memory_mb: What its processes needed at most, 10^6 bytes; 0 where nobody has measured.
    """

    document: Mapping[str, Any] = field(default_factory=dict)
    ok: bool = True
    seconds: float = 0.0
    memory_mb: float = 0.0
