"""Views of what would run, and of what is kept so that it need not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Heading, Line, Tone

if TYPE_CHECKING:
    from pipelines.stages.ship import Explained

_OUTCOMES = {"due": ("would run", Tone.GOOD), "reused": ("reused", Tone.PLAIN)}


@dataclass(frozen=True)
class ExplainView(View):
    """What shipping would run, stage by stage."""

    explained: Explained

    def blocks(self) -> Sequence[Block]:
        """The stages, and how to run them."""
        told = self.explained
        rows = []
        for step in told.steps:
            outcome, tone = _OUTCOMES.get(step.outcome, (step.outcome, Tone.PLAIN))
            rows.append([Cell(step.stage), Cell(outcome, tone, is_badge=True), Cell(step.reason)])
        title = str(told.version.ref) if told.version is not None else f"{told.model}: a new version"
        is_due = any(step.outcome == "due" for step in told.steps)
        said = f"`turnout ship {told.model}` runs it." if is_due else "Nothing would run."
        return [Heading(title), Grid(("stage", "outcome", "because"), rows), Line(said)]

    def document(self) -> Mapping[str, Any]:
        """The `model`, the `ref` of the version that would be taken, and the `steps`."""
        told = self.explained
        return {
            "model": told.model,
            "ref": str(told.version.ref) if told.version is not None else None,
            "is_due": any(step.outcome == "due" for step in told.steps),
            "steps": [step.as_dict() for step in told.steps],
        }
