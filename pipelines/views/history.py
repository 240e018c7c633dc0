"""What happened to a model, as a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from pipelines.views.base import View
from pipelines.views.blocks import Block, Happening, Heading, Line, Timeline, Tone
from pipelines.views.parts import duration_text

_SHOWN = 100
_TONES = {
    "promote": Tone.GOOD,
    "bake": Tone.GOOD,
    "rollback": Tone.BAD,
    "recovered": Tone.UNSURE,
    "undo": Tone.UNSURE,
    "alert": Tone.UNSURE,
}
_FAILED = "failed"


@dataclass(frozen=True)
class HistoryView(View):
    """What happened to a model, the latest first.

    Args:
        model: The model.
        events: Each with `at`, `actor`, `action`, `from`, `to`, `reason` and `evidence`, as the journal has them.
    """

    model: str
    events: Sequence[Mapping[str, Any]] = field(default_factory=list)

    def blocks(self) -> Sequence[Block]:
        """The events by day."""
        if not self.events:
            return [Line(f"Nothing has happened to {self.model} yet.")]
        shown = self.events[:_SHOWN]
        more = len(self.events) - len(shown)
        rest = [Line(f"and {more} more: `--json` has all.")] if more else []
        return [Heading(self.model, beside="times are UTC"), Timeline(days(shown)), *rest]

    def document(self) -> Sequence[Mapping[str, Any]]:
        """The events, each with `at`, `actor`, `action`, `from`, `to`, `reason` and `evidence`, the latest first."""
        return [dict(event) for event in self.events]


def days(events: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Happening]]]:
    """Events for a timeline, by day."""
    return [(day, [_happening(event) for event in found]) for day, found in _days(events)]


def _days(events: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    for day, found in groupby(events, key=lambda event: f"{_time(event):%A, %Y-%m-%d}"):
        yield day, list(found)


def _happening(event: Mapping[str, Any]) -> Happening:
    action = str(event["action"])
    seconds = (event.get("evidence") or {}).get("seconds")
    beside = [f"by {event['actor']}"] if event.get("actor") else []
    beside += [f"took {duration_text(seconds)}"] if isinstance(seconds, int | float) else []
    tone = Tone.BAD if action.endswith(_FAILED) else _TONES.get(action, Tone.PLAIN)
    title = f"{action}  {_route(event)}".strip()
    return Happening(f"{_time(event):%H:%M:%S}", title, ", ".join(beside), str(event.get("reason") or ""), tone)


def _route(event: Mapping[str, Any]) -> str:
    source, target = event.get("from"), event.get("to")
    if source and target and source != target:
        return f"{source} \u2192 {target}"
    return str(target or source or "")


def _time(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["at"])
