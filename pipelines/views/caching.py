"""Views of what would run, and of what is kept so that it need not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.values.stock import Stock
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Heading, Line, Tone
from pipelines.views.parts import bytes_text

if TYPE_CHECKING:
    from pipelines.stages.ship import Explained
    from pipelines.stages.verify import Verified

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
        said = "The same call without --explain runs it." if is_due else "Nothing would run."
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


@dataclass(frozen=True)
class VerifyView(View):
    """Whether a training can be repeated; it succeeded when the two that were compared are equal."""

    verified: Verified

    @property
    def ok(self) -> bool:
        """Whether all that could be compared is equal."""
        return self.verified.is_repeatable

    def __str__(self) -> str:
        """The later version, as other commands take it."""
        return str(self.verified.second.ref)

    def blocks(self) -> Sequence[Block]:
        """What differs."""
        seen = self.verified
        count = f"{seen.metrics.equal} metric{'' if seen.metrics.equal == 1 else 's'}"
        badge = Cell("equal", Tone.GOOD, is_badge=True) if self.ok else Cell("not equal", Tone.BAD, is_badge=True)
        blocks: list[Block] = [Heading(f"{seen.first.ref} and {seen.second.ref}", badge, "trained from the same")]
        if not seen.is_same:
            return [
                *blocks,
                Line("Code, data or environment were changed in between: this says nothing. Verify again."),
            ]
        if not seen.metrics.changes and not seen.metrics.equal:
            return [*blocks, Line("The training notebook logs no metric, so that there was nothing to compare.")]
        if not seen.metrics.changes:
            return [*blocks, Line(f"{count}, to the last digit.")]
        rows = [[Cell(each.name), Cell(repr(each.left)), Cell(repr(each.right))] for each in seen.metrics.changes]
        return [
            *blocks,
            Grid(("metric", str(seen.first.ref), str(seen.second.ref)), rows),
            Line(f"{count} equal. Set every seed in the notebook; docs/caching.md says what else makes a difference."),
        ]

    def document(self) -> Mapping[str, Any]:
        """`first`, `second`, `is_repeatable`, `is_same`, `differing` (name: both values) and `equal`, their number."""
        seen = self.verified
        return {
            "first": str(seen.first.ref),
            "second": str(seen.second.ref),
            "is_repeatable": self.ok,
            "is_same": seen.is_same,
            "differing": {each.name: [each.left, each.right] for each in seen.metrics.changes},
            "equal": seen.metrics.equal,
        }


@dataclass(frozen=True)
class CacheView(View):
    """What is kept so that work need not be done again.

    Args:
        kept: Each kind.
        freed: Bytes that were freed; None where nothing was to be removed.
    """

    kept: Sequence[Stock]
    freed: int | None = None

    def blocks(self) -> Sequence[Block]:
        """The kinds with their sizes, and how to remove them."""
        rows = [
            [
                Cell(each.name),
                Cell(bytes_text(each.size), is_number=True),
                Cell(str(each.count), is_number=True),
                Cell(each.purpose),
                Cell(each.removed_by),
            ]
            for each in self.kept
        ]
        beside = f"{bytes_text(self.freed)} freed" if self.freed is not None else ""
        grid = Grid(("kept", "size", "number", "what it spares, or is", "removed by"), rows)
        return [Heading("What is kept", beside=beside), grid]

    def document(self) -> Mapping[str, Any]:
        """`kept` (a list of `name`, `bytes`, `count`, `purpose`, `removed_by`) and `freed` (bytes, or null)."""
        return {"kept": [each.as_dict() for each in self.kept], "freed": self.freed}
