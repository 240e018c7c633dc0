"""Two versions that answered the same requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipelines.views.base import View
from pipelines.views.blocks import Bar, Block, Cell, Grid, Heading, Line, Tone, number_text

if TYPE_CHECKING:
    from pipelines.policy.comparing import Pair, Share
    from pipelines.stages.compare import Comparison

_ROWS = 20
_SLICES = 12
_LONGEST = 60


@dataclass(frozen=True)
class CompareView(View):
    """How far two versions agree, where they do not, and in which rows."""

    comparison: Comparison

    def blocks(self) -> Sequence[Block]:
        """The share, the slices, and the rows that disagree."""
        found, left, right = self.comparison.found, self.comparison.left, self.comparison.right
        share = found.disagree
        blocks: list[Block] = [
            Heading(f"{left} and {right}", beside=f"{share.total:,} rows of {self.comparison.requests:,} requests"),
            Bar("answers", [("agree", 100 * (1 - share.value)), ("disagree", 100 * share.value)]),
            Line(f"They disagree in {share.count:,} of {share.total:,} rows: {_percent(share)}."),
        ]
        if found.difference is not None:
            said = f"{right} says {number_text(found.difference)} more than {left} in the mean"
            blocks.append(Line(f"{said}; up to {number_text(found.tolerance)} apart is agreement."))
        if self.comparison.unread:
            blocks.append(Line(f"{self.comparison.unread:,} rows could not be compared.", Tone.UNSURE))
        return [*blocks, *self._slices(), *self._rows()]

    def document(self) -> Mapping[str, Any]:
        """`left`, `right`, `requests`, `disagree` (count, total, low, high), `slices` and `rows`."""
        found = self.comparison.found
        return {
            "left": str(self.comparison.left),
            "right": str(self.comparison.right),
            "requests": self.comparison.requests,
            "unread": self.comparison.unread,
            "disagree": {**asdict(found.disagree), "share": found.disagree.value},
            "difference": found.difference,
            "tolerance": found.tolerance,
            "slices": [
                {"column": one.column, "kind": one.kind, **asdict(one.disagree), "share": one.disagree.value}
                for one in found.slices
            ],
            "rows": [asdict(pair) for pair in found.pairs],
        }

    def _slices(self) -> list[Block]:
        slices = self.comparison.found.slices
        if not slices or not self.comparison.found.disagree.count:
            return []
        rows = [
            [
                Cell(one.column),
                Cell(one.kind),
                Cell(f"{one.disagree.total:,}", is_number=True),
                Cell(f"{one.disagree.count:,}", is_number=True),
                Cell(_percent(one.disagree), is_number=True),
            ]
            for one in slices[:_SLICES]
        ]
        more = len(slices) - _SLICES
        rest = [Line(f"and {more} more: `--json` has all.")] if more > 0 else []
        return [Grid(["slice", "", "rows", "disagree", "share (95 %)"], rows), *rest]

    def _rows(self) -> list[Block]:
        pairs = self.comparison.found.pairs
        if not pairs:
            return []
        left, right = str(self.comparison.left), str(self.comparison.right)
        more = len(pairs) - _ROWS
        rest = [Line(f"and {more:,} more: `--json` has all.")] if more > 0 else []
        return [
            Heading("Rows in which they disagree", is_small=True),
            Grid(["request", left, right, "inputs"], [_row(pair) for pair in pairs[:_ROWS]]),
            *rest,
        ]


def _row(pair: Pair) -> list[Cell]:
    place = f"{pair.request_id}" + (f" row {pair.row}" if pair.row else "")
    inputs = "-" if pair.inputs is None else _inputs(pair.inputs)
    shown = inputs if len(inputs) <= _LONGEST else f"{inputs[: _LONGEST - 3]}..."
    return [Cell(place), Cell(_text(pair.left)), Cell(_text(pair.right)), Cell(shown)]


def _inputs(inputs: Any) -> str:
    if isinstance(inputs, Mapping):
        return ", ".join(f"{name} {value}" for name, value in inputs.items())
    if isinstance(inputs, list):
        return " ".join(_inputs(one) for one in inputs)
    return str(inputs)


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else number_text(value)


def _percent(share: Share) -> str:
    return f"{100 * share.value:.3g} % ({100 * share.low:.2g} to {100 * share.high:.2g} %)"
