"""What a watch knows of one model."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipelines.stages.look import why
from pipelines.values.watching import Look, Note
from pipelines.values.work import Carried


@dataclass
class WatchedModel:
    """A model, as it was seen and as it was shipped.

    Args:
        name: Its name.
        note: What is written down of it.
        held: Keeps other watches away from it.
        seen: As it was last seen.
        begun: As it was when the shipment under way began; None when none is.
        due: A time of its schedule that has come.
        circle: The inputs that changed during the last shipments, and in how many.
        champions: Of the models that it comes after, as they were last seen.
    """

    name: str
    note: Note
    held: ExitStack
    seen: Look | None = None
    begun: tuple[Look, datetime] | None = None
    due: datetime | None = None
    circle: tuple[frozenset[str], int] = (frozenset(), 0)
    champions: Mapping[str, str] = field(default_factory=dict)

    @property
    def why(self) -> tuple[str, ...]:
        """Why it should be shipped; empty when it should not."""
        if self.seen is None:
            return ()
        reasons = why(self.note, self.seen)
        return (f"its schedule, {self.due:%Y-%m-%d %H:%M}", *reasons) if self.due else reasons


def inputs_alone(before: Look, now: Look) -> frozenset[str]:
    """The inputs that differ, where nothing else does."""
    then, inputs = before.parts.inputs, now.parts.inputs
    if replace(before.parts, inputs={}) != replace(now.parts, inputs={}):
        return frozenset()
    return frozenset(name for name in {**then, **inputs} if then.get(name) != inputs.get(name))


def summary(done: Carried) -> str:
    """What came of a shipment, in a line."""
    steps = ", ".join(f"{step['stage']} {step['outcome']}" for step in done.document.get("steps", ()))
    bad = "; ".join(step["reason"] for step in done.document.get("steps", ()) if step["outcome"] == "failed")
    ref = done.document.get("ref", "")
    return f"{ref}: {steps}" + (f" ({bad})" if bad else "") + f"; {done.seconds:.1f} s"
