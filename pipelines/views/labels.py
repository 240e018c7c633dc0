"""How well versions have answered, by the truth that came later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Facts, Grid, Heading, Line, Tone, number_text

if TYPE_CHECKING:
    from pipelines.stages.labels import Labelled
    from pipelines.values.labels import Quality, Taken

_SUSPICIOUS_ROWS = 20


@dataclass(frozen=True)
class LabelsView(View):
    """A model's quality by version, and what became of its labels."""

    labelled: Labelled

    def blocks(self) -> Sequence[Block]:
        """What was just taken in, the quality by version, and the labels that say nothing."""
        summary, taken, model = self.labelled.summary, self.labelled.taken, self.labelled.model
        blocks: list[Block] = []
        if taken is not None:
            said = f"{taken.joined:,} of {taken.received:,} labels found their answers."
            blocks.append(Line(said, Tone.GOOD if taken.joined else Tone.UNSURE))
        rows = [_row(ref, one) for ref, found in summary.versions.items() for one in found]
        if rows:
            blocks += [
                Heading(model, beside="by the labels that came later"),
                Grid(["version", "measure", "value", "95 %", "wrong", "rows", "requests"], rows),
                *_doubts(summary.versions),
            ]
        elif not summary.labels.received:
            blocks.append(Line(f"No labels of {model} have come; `turnout labels {model} FILE` takes some in."))
        shown = taken if taken is not None else summary.labels
        return [*blocks, *_others(shown, self.labelled)]

    def document(self) -> Mapping[str, Any]:
        """`model`; `versions` with `value`, `low` and `high`; `labels` and `taken`, how many of each kind."""
        taken, summary = self.labelled.taken, self.labelled.summary
        shown = summary.labels if taken is None else taken
        return {
            "model": self.labelled.model,
            **summary.as_dict(),
            "taken": None if taken is None else taken.counts(),
            "examples": list(shown.examples),
        }


def _row(ref: str, one: Quality) -> list[Cell]:
    interval = "-" if one.low is None or one.high is None else f"{one.low:.3g} to {one.high:.3g}"
    return [
        Cell(ref),
        Cell(one.kind.replace("_", " ")),
        Cell(number_text(one.value), is_number=True),
        Cell(interval, is_number=True),
        Cell("-" if one.wrong is None else f"{one.wrong:,}", is_number=True),
        Cell(f"{one.rows:,}", is_number=True),
        Cell(f"{one.requests:,}", is_number=True),
    ]


def _doubts(versions: Mapping[str, Sequence[Quality]]) -> list[Block]:
    never = [ref for ref, found in versions.items() for one in found if one.wrong == one.rows >= _SUSPICIOUS_ROWS]
    if not never:
        return []
    said = f"Not one label is equal to an answer of {', '.join(never)}: do both use the same names for the classes?"
    return [Line(said, Tone.UNSURE)]


def _others(taken: Taken, labelled: Labelled) -> list[Block]:
    rate = labelled.summary.rate
    share = "" if rate is None else f": {100 * rate:g} % of the requests are kept"
    facts = [
        ("not captured", taken.not_captured, f"their requests were not kept{share}"),
        ("waiting", taken.waiting, "no answer of these requests is known; it may still come"),
        ("do not fit", taken.unfit, "they are not counted; a label that fits takes their place"),
        ("contradicting", taken.contradicting, "the label that came first holds"),
        ("repeated", taken.repeated, "they were known already, and count once"),
    ]
    shown = [(name, f"{count:,}: {why}") for name, count, why in facts if count]
    blocks: list[Block] = [Facts(shown)] if shown else []
    return [*blocks, *(Line(text, Tone.UNSURE) for text in taken.examples)]
