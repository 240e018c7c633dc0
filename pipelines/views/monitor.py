"""A model as it runs, with its live figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Facts, Grid, Heading, Line, Spark, Timeline, Tone, number_text
from pipelines.views.history import days
from pipelines.views.running import HEALTH, deployment_facts, phase_heading, split_bar

if TYPE_CHECKING:
    from pipelines.stages.monitor import Seen

SHOWN_EVENTS = 8


@dataclass(frozen=True)
class MonitorView(View):
    """One look at a model.

    Args:
        seen: What was seen.
    """

    seen: Seen

    is_live = True
    """A notebook shows it as a widget that goes on looking."""

    def blocks(self) -> Sequence[Block]:
        """What runs, its figures by version, the rollout and the latest events."""
        entry = self.seen.entry
        if entry is None:
            return [Line(f"Nothing of {self.seen.model} is deployed; `turnout deploy REF` starts a packaged version.")]
        return [
            phase_heading(self.seen.model, entry),
            *self.figures_blocks(),
            *self.rollout_blocks(),
            *self.event_blocks(),
        ]

    def document(self) -> Mapping[str, Any]:
        """`model`, `at`, `entry` as in the status, and `figures`."""
        seen = self.seen
        return {"model": seen.model, "at": seen.at.isoformat(), "entry": seen.entry, "figures": seen.figures}

    def figures_blocks(self) -> list[Block]:
        """The split as a bar, then a row a version."""
        versions = (self.seen.entry or {}).get("versions", {})
        split = split_bar(versions)
        blocks: list[Block] = [split] if split else []
        figures = self.seen.figures
        if figures is None:
            return [*blocks, Line("The runtime is stopped; `turnout up` brings back what was live.", Tone.UNSURE)]
        rows = [_row(ref, one, figures["versions"].get(ref, {})) for ref, one in versions.items()]
        return [*blocks, Grid(list(rows[0]), [list(row.values()) for row in rows], spare=_SPARE)] if rows else blocks

    def rollout_blocks(self) -> list[Block]:
        """How far the rollout has come, and what else is recorded of the deployment."""
        entry = self.seen.entry or {}
        facts = [*rollout_facts(entry.get("rollout")), *deployment_facts(entry)]
        return [Facts(facts)] if facts else []

    def event_blocks(self) -> list[Block]:
        """The latest events."""
        events = (self.seen.figures or {}).get("events", [])[:SHOWN_EVENTS]
        return (
            [Heading("Latest events", beside="times are UTC", is_small=True), Timeline(days(events))] if events else []
        )


def rollout_facts(rollout: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What the judge of a rollout says, in words."""
    return [(f"rollout: {name.replace('_', ' ')}", _words(value)) for name, value in (rollout or {}).items() if value]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{str(name).replace('_', ' ')} {_words(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return number_text(value)


_SPARE = ("failed", "last 5 min", "health", "p50 ms", "requests")


def _row(ref: str, version: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Cell]:
    health = str(version["health"])
    share = seen.get("failed_share")
    tone = Tone.BAD if share else Tone.PLAIN
    history = seen.get("history", {})
    return {
        "version": Cell(ref),
        "weight": Cell(f"{version['weight']} %", is_number=True),
        "health": Cell(health, HEALTH.get(health, Tone.PLAIN), is_badge=True),
        "req/s": _number(seen.get("requests_per_second")),
        "last 5 min": Cell("", spark=_spark(history.get("requests_per_second"))),
        "failed/s": _number(seen.get("failures_per_second"), Tone.BAD if seen.get("failures_per_second") else tone),
        "failed": Cell("-" if share is None else f"{100 * share:.3g} %", tone, is_number=True),
        "p50 ms": _number(seen.get("p50_ms")),
        "p95 ms": _number(seen.get("p95_ms")),
        "p99 ms": _number(seen.get("p99_ms")),
        "p95, 5 min": Cell("", spark=_spark(history.get("p95_ms"))),
        "requests": Cell(str(version["requests"]), is_number=True),
    }


def _number(value: float | None, tone: Tone = Tone.PLAIN) -> Cell:
    return Cell("-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}", tone, is_number=True)


def _spark(values: Sequence[float | None] | None) -> Spark | None:
    return Spark(tuple(values)) if values else None
