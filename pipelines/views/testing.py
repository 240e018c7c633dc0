"""What came of the tests of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.values.testing import Ended, ModelTested, OneTest
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Heading, Line, Tone

SHOWN = 30
"""Failures told one by one; beyond that they are counted."""


@dataclass(frozen=True)
class NotebookTestsView(View):
    """The tests of one model or more."""

    models: Sequence[ModelTested]

    @property
    def ok(self) -> bool:
        """Whether everything was tested and nothing failed."""
        return all(model.is_good for model in self.models)

    def blocks(self) -> Sequence[Block]:
        """Of each model a row a file, each failure with its cell, and where the page is."""
        return [block for model in self.models for block in _model_blocks(model)]

    def document(self) -> Mapping[str, Any]:
        """`ok` and `models`: by name `ok`, `page` and each of the `tests`."""
        told = {
            each.model: {
                "ok": each.is_good,
                "page": str(each.page) if each.page else None,
                "tests": [test.as_dict() for test in each.tests],
            }
            for each in self.models
        }
        return {"ok": self.ok, "models": told}


def _model_blocks(model: ModelTested) -> list[Block]:
    verdict = Cell("passed", Tone.GOOD, is_badge=True) if model.is_good else Cell("failed", Tone.BAD, is_badge=True)
    blocks: list[Block] = [Heading(model.model, verdict)]
    files = list(dict.fromkeys(test.file for test in model.tests))
    rows = [_row(name, [test for test in model.tests if test.file == name]) for name in files]
    blocks.append(Grid(["file", "passed", "failed", "skipped", "seconds"], rows, spare=("seconds", "skipped")))
    failed = model.failed
    blocks += [Line(f"{test.file}, {test.name}: {test.says}", Tone.BAD) for test in failed[:SHOWN]]
    if len(failed) > SHOWN:
        blocks.append(Line(f"and {len(failed) - SHOWN} more: `--json` has all."))
    if not model.tests:
        blocks.append(Line("There was nothing to test."))
    return [*blocks, Line(f"The executed notebooks are in {model.page}.")] if model.page else blocks


def _row(name: str, tests: Sequence[OneTest]) -> list[Cell]:
    counts = {outcome: sum(test.outcome is outcome for test in tests) for outcome in Ended}
    failed = counts[Ended.FAILED]
    return [
        Cell(name),
        Cell(str(counts[Ended.PASSED]), is_number=True),
        Cell(str(failed), Tone.BAD if failed else Tone.PLAIN, is_number=True),
        Cell(str(counts[Ended.SKIPPED]), is_number=True),
        Cell(f"{sum(test.seconds for test in tests):.1f}", is_number=True),
    ]
