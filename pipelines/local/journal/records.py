"""What the journal holds: operations, lines of history, messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pipelines.values import Deployment

Outcome = Literal["done", "undone"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the journal has it.

    Args:
        id: Given by who asked, so that asking again does nothing twice.
        verb: `deploy`, `promote`, `rollback`, `undo`, `down`, `up` or `bake`.
        model: The model.
        actor: `user`, `pid` and `host` of who asked.
        arguments: As they came.
        started: UTC.
        step: The step under way, from 1.
        steps: How many there are.
        says: The step in words.
        before: The deployment before.
        after: The deployment it leads to.
        outcome: None while it is under way.
        error: Of one that was undone: `TurnoutError.as_dict()`.
    """

    id: str
    verb: str
    model: str
    actor: Mapping[str, Any]
    arguments: Mapping[str, Any]
    started: datetime
    step: int
    steps: int
    says: str
    before: Deployment
    after: Deployment
    outcome: Outcome | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A line of a model's history.

    Args:
        at: When, UTC.
        model: The model.
        actor: Who, such as `anna (PID 123)`.
        action: What: a verb, or `recovered`, `failed`.
        source: The version that carried the traffic before; empty when none did.
        target: The version it is about; empty when none is.
        reason: In a person's words, or the error's.
        evidence: Facts for programs.
    """

    at: datetime
    model: str
    actor: str
    action: str
    source: str
    target: str
    reason: str
    evidence: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON."""
        return {
            "at": self.at.isoformat(),
            "model": self.model,
            "actor": self.actor,
            "action": self.action,
            "from": self.source or None,
            "to": self.target or None,
            "reason": self.reason,
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True, slots=True)
class Message:
    """Something another system has to be told, until it was told."""

    id: int
    kind: str
    body: Mapping[str, Any]
    attempts: int
