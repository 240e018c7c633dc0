"""What the doctor found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.values.health import Finding, Health
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Line, Tone

_TONES = {Health.OK: Tone.GOOD, Health.WARNING: Tone.UNSURE, Health.PROBLEM: Tone.BAD}


@dataclass(frozen=True)
class DoctorView(View):
    """A line for each thing that was looked at, with the cure where there is something to mend."""

    findings: Sequence[Finding]

    @property
    def ok(self) -> bool:
        """Whether there is no problem; warnings may be."""
        return not self._of(Health.PROBLEM)

    def blocks(self) -> Sequence[Block]:
        """The table, and how many are to be mended."""
        rows = [
            [Cell(one.name), Cell(one.health.value, _TONES[one.health], is_badge=True), Cell(one.says)]
            for one in self.findings
        ]
        remarks = [(one.name, one.cure) for one in self.findings if one.cure]
        problems, warnings = len(self._of(Health.PROBLEM)), len(self._of(Health.WARNING))
        said = f"{_count(problems, 'problem')} and {_count(warnings, 'warning')}."
        tone = Tone.BAD if problems else Tone.UNSURE if warnings else Tone.GOOD
        return [Grid(("looked at", "", "found"), rows, remarks), Line(said, tone)]

    def document(self) -> Mapping[str, Any]:
        """`ok` and `findings`, each with `name`, `health`, `says` and `cure`."""
        findings = [
            {"name": one.name, "health": one.health.value, "says": one.says, "cure": one.cure} for one in self.findings
        ]
        return {"ok": self.ok, "findings": findings}

    def _of(self, health: Health) -> list[Finding]:
        return [one for one in self.findings if one.health is health]


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
