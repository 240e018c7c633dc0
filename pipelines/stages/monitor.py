"""Look at a model as it runs now: its entry in the status, its live figures, its latest events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.stages.resolve import Control


@dataclass(frozen=True)
class Seen:
    """A model at one moment.

    Args:
        model: It.
        at: When it was looked at.
        entry: Its part of the status; None where it was never deployed.
        figures: What the runtime answers to `figures`; None while it is stopped.
    """

    model: str
    at: datetime
    entry: Mapping[str, Any] | None
    figures: Mapping[str, Any] | None


def look(model: str, control: Control, now: datetime) -> Seen:
    """Look once. A runtime that died is started, one that was stopped is not."""
    entry = control.operator.status()["models"].get(model)
    return Seen(model, now, entry, control.operator.glance("figures", model=model))


def look_again(model: str, control: Control, now: datetime) -> Seen | None:
    """Look in passing: nothing is started; None where nothing answers."""
    status = control.operator.glance("status")
    if status is None:
        return None
    figures = control.operator.glance("figures", model=model)
    return Seen(model, now, status["models"].get(model), figures) if figures is not None else None
