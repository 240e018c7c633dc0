"""A function before or after a model: what is stored, what has changed, how it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

from pipelines.values import ServiceFunction
from pipelines.views.base import View
from pipelines.views.blocks import Block, Code, Facts, Heading, Line, Tone

if TYPE_CHECKING:
    from pipelines.stages.service_code import Kept

_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class ServiceCodeView(View):
    """One function of one model; its `str` is the text."""

    kept: Kept

    def blocks(self) -> Sequence[Block]:
        """What it is, what has changed, and what comes next."""
        kept = self.kept
        blocks: list[Block] = [Heading(f"{kept.name} of {kept.model}", beside=self._said())]
        if kept.now is not None:
            blocks.append(Facts(self._facts()))
        lines = self.diff()
        if lines:
            blocks.append(Code("", lines[2:]))
        elif kept.now is not None and not kept.is_checked:
            blocks.append(Code("", [f" {line}" for line in _lines(kept.now)]))
        return [*blocks, *self._next()]

    def diff(self) -> list[str]:
        """The lines of a unified diff from what was stored before; empty when nothing was, or it is the same."""
        before, now = self.kept.before, self.kept.now
        if before is None or before == now:
            return []
        name = self.kept.path.name
        return list(unified_diff(_lines(before), _lines(now), f"{name} before", f"{name} now", lineterm=""))

    def document(self) -> Mapping[str, Any]:
        """`model`, `function`, `file`, `digest`, `changed`, `rows` (tried), `tried_on` and the lines of the `diff`."""
        kept = self.kept
        return {
            "model": kept.model,
            "function": kept.name,
            "file": str(kept.path),
            "digest": kept.now.digest if kept.now else None,
            "edited": kept.now.is_edited if kept.now else False,
            "changed": kept.is_changed,
            "example_rows": kept.has_rows,
            "rows": kept.trial.rows if kept.trial else None,
            "tried_on": str(kept.tried_on) if kept.tried_on else None,
            "diff": self.diff(),
        }

    def __str__(self) -> str:
        return self.kept.now.body if self.kept.now else ""

    def _said(self) -> str:
        kept = self.kept
        if kept.now is None:
            return "removed" if kept.is_changed else "nothing is stored"
        if kept.is_changed:
            return "stored" if kept.before is None else "stored, in place of another text"
        if kept.is_checked:
            return "as it is stored" if kept.before == kept.now else "checked, not stored"
        return "edited since a notebook stored it" if kept.now.is_edited else ""

    def _facts(self) -> list[tuple[str, str]]:
        kept = self.kept
        assert kept.now is not None  # noqa: S101
        facts = [("file", str(kept.path)), ("sha256", kept.now.digest[:_SHOWN_DIGITS])]
        if kept.has_rows:
            facts.append(("requests", "as the example rows beside it show them"))
        if kept.trial is not None:
            middle = "around the model of" if kept.has_model else "of the validation of"
            facts.append(("tried on", f"{kept.trial.rows} rows, {middle} {kept.tried_on}"))
        return facts

    def _next(self) -> list[Block]:
        kept = self.kept
        if kept.is_checked and kept.trial is not None and not kept.has_model:
            return [Line(f"Next: `turnout package {kept.tried_on}` tries it out around the model and applies it.")]
        if kept.is_checked and kept.trial is None:
            return [Line("No version is packaged yet: it is tried on real rows when the next one is.", Tone.UNSURE)]
        if not kept.is_changed:
            return []
        what = "with it" if kept.now else "without it"
        return [
            Line(f"Next: `turnout ship {kept.model}` makes a version {what}; those that are packaged stay as they are.")
        ]


def _lines(function: ServiceFunction | None) -> list[str]:
    return function.body.splitlines() if function else []
