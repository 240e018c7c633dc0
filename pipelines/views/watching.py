"""What happens while models are watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.values.watching import Event, Kind
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Line, Tone

_TONES = {Kind.DONE: Tone.GOOD, Kind.FAILED: Tone.BAD, Kind.TROUBLE: Tone.BAD, Kind.AGAIN: Tone.UNSURE}


@dataclass(frozen=True)
class WatchEventView(View):
    """One event, as it happens: a line."""

    event: Event

    def blocks(self) -> Sequence[Block]:
        """The time here, and what happened."""
        event = self.event
        return [Line(f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}  {event.says}", _tone(event))]

    def document(self) -> Mapping[str, Any]:
        """As `Event.as_dict`."""
        return self.event.as_dict()


@dataclass(frozen=True)
class WatchView(View):
    """What a look at all models has led to.

    Args:
        events: What happened, the oldest first.
        is_good: Whether every model is shipped as it stands.
    """

    events: Sequence[Event]
    is_good: bool

    @property
    def ok(self) -> bool:
        """Whether every model is shipped as it stands."""
        return self.is_good

    def blocks(self) -> Sequence[Block]:
        """A row a shipment or trouble."""
        told = [event for event in self.events if event.kind in (Kind.DONE, Kind.FAILED, Kind.TROUBLE)]
        if not told:
            return [Line("Nothing has changed since the models were shipped.")]
        rows = [[Cell(e.model or "-"), Cell(e.kind.value, _tone(e), is_badge=True), Cell(e.says)] for e in told]
        return [Grid(["model", "outcome", "what"], rows)]

    def document(self) -> Mapping[str, Any]:
        """`ok` and `events`."""
        return {"ok": self.ok, "events": [event.as_dict() for event in self.events]}


def _tone(event: Event) -> Tone:
    return _TONES.get(event.kind, Tone.PLAIN)
