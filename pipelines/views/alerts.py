"""Who was told of what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Heading, Line, Tone

SHOWN = 25
_TONES = {"sent": Tone.GOOD, "waiting": Tone.UNSURE, "given up": Tone.BAD}


@dataclass(frozen=True)
class AlertsView(View):
    """The latest alerts.

    Args:
        told: `targets` (names), `waiting` (a number) and `alerts`, the latest first, as the daemon has them.
    """

    told: Mapping[str, Any]

    def blocks(self) -> Sequence[Block]:
        """A table with a row an alert, and what did not arrive."""
        targets, alerts = self.told["targets"], self.told["alerts"]
        if not targets:
            who = Line('Nobody is told: add `urls = ["..."]` to [tool.turnout.alerts] in pyproject.toml.', Tone.UNSURE)
        else:
            who = Line(f"Told are {', '.join(targets)}; {self.told['waiting'] or 'no'} messages wait.")
        if not alerts:
            return [who, Line("No alert was raised yet.")]
        rows = [
            [
                Cell(f"{datetime.fromisoformat(one['at']):%Y-%m-%d %H:%M:%S}"),
                Cell(str(one["event"])),
                Cell(str(one["title"])),
                _fate(one["targets"]),
            ]
            for one in alerts[:SHOWN]
        ]
        remarks = [
            (str(one["title"]), f"{fate['target']}: {fate['error']}")
            for one in alerts[:SHOWN]
            for fate in one["targets"]
            if fate["error"]
        ]
        more = len(alerts) - len(rows)
        rest = [Line(f"and {more} more: `--json` has all.")] if more > 0 else []
        return [who, Grid(("at (UTC)", "event", "alert", "state"), rows, remarks, spare=("event",)), *rest]

    def document(self) -> Mapping[str, Any]:
        """`targets`, `waiting` and `alerts`."""
        return self.told


@dataclass(frozen=True)
class AlertsTestView(View):
    """What came of a test.

    Args:
        targets: Each with `target`, `error` (None when it arrived) and `seconds`.
    """

    targets: Sequence[Mapping[str, Any]]

    @property
    def ok(self) -> bool:
        """Whether it arrived everywhere."""
        return all(one["error"] is None for one in self.targets)

    def blocks(self) -> Sequence[Block]:
        """A row a target, and why it did not arrive."""
        rows = [
            [
                Cell(str(one["target"])),
                Cell("failed", Tone.BAD, is_badge=True) if one["error"] else Cell("sent", Tone.GOOD, is_badge=True),
                Cell(f"{one['seconds']} s", is_number=True),
            ]
            for one in self.targets
        ]
        remarks = [(str(one["target"]), str(one["error"])) for one in self.targets if one["error"]]
        return [Heading("A test was sent"), Grid(("target", "", "took"), rows, remarks)]

    def document(self) -> Mapping[str, Any]:
        """`ok` and `targets`."""
        return {"ok": self.ok, "targets": [dict(one) for one in self.targets]}


def _fate(targets: Sequence[Mapping[str, Any]]) -> Cell:
    states = [str(one["state"]) for one in targets]
    worst = next((state for state in ("given up", "waiting", "sent") if state in states), "-")
    few = f" ({states.count(worst)} of {len(states)})" if len(set(states)) > 1 else ""
    return Cell(f"{worst}{few}", _TONES.get(worst, Tone.PLAIN))
