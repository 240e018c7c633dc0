"""Several models that are shipped together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.values.sweeps import RunStatus
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Heading, Tone

if TYPE_CHECKING:
    from pipelines.stages.ship_all import OfMany, ShippedAll

_TONES = {RunStatus.RUNNING: Tone.UNSURE, RunStatus.DONE: Tone.GOOD, RunStatus.FAILED: Tone.BAD}


@dataclass(frozen=True)
class ShipAllView(View):
    """Several shipments, under way or at their end."""

    shipped: ShippedAll

    @property
    def ok(self) -> bool:
        """Whether each model was shipped."""
        return self.shipped.is_done

    def blocks(self) -> Sequence[Block]:
        """A row a model: its version, what each stage did, and why it failed or what it is doing."""
        models = self.shipped.models
        good = sum(each.status.is_over for each in models)
        remarks = [(each.model, each.says) for each in models if each.says and not each.status.is_over]
        columns = ["model", "status", "version", "stages", "seconds"]
        title = Heading(f"{good} of {len(models)} models shipped", is_small=True)
        return [title, Grid(columns, [_row(each) for each in models], remarks, spare=("seconds", "stages"))]

    def document(self) -> Mapping[str, Any]:
        """`ok` and `models`: by name, what each prints with `--json`, with its `status` and what it `says`."""
        models = self.shipped.models
        told = {one.model: {"status": one.status.value, "says": one.says, **one.document} for one in models}
        return {"ok": self.ok, "models": told}


def _row(each: OfMany) -> list[Cell]:
    steps = ", ".join(f"{step['stage']} {step['outcome']}" for step in each.document.get("steps", ()))
    return [
        Cell(each.model),
        Cell(each.status.value, _TONES.get(each.status, Tone.PLAIN), is_badge=True),
        Cell(str(each.document.get("ref") or "-")),
        Cell(steps or "-"),
        Cell(f"{each.seconds:.1f}" if each.seconds else "-", is_number=True),
    ]
