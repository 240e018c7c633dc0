"""One request's answer, and what a label makes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pipelines.policy.answers import Said, said_of_truth
from pipelines.policy.truth import Marked, mark
from pipelines.values import Captured, VersionRef
from pipelines.values.labels import Label


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version said, as far as labels need it.

    Args:
        id: The gateway's id of the request.
        ref: Who answered.
        at: When, in seconds since 1970.
        chosen: The number of the version whose turn it was; None where the request was not judged.
        generation: Of the split; None likewise.
        user: Equal for the requests of one user within a rollout, where users stay with a version.
        said: One a row; None where it says neither a class nor a number, or that was not kept.
    """

    id: str
    ref: VersionRef
    at: float
    chosen: int | None
    generation: int | None
    user: str
    said: tuple[Said | None, ...]

    @property
    def is_judged(self) -> bool:
        """Whether this version answered because it was its turn."""
        return self.chosen == self.ref.number and self.generation is not None

    @property
    def row(self) -> tuple[Any, ...]:
        """As the store has it."""
        model, number = self.ref.model, self.ref.number
        return (model, self.id, number, self.at, self.chosen, self.generation, self.user, json.dumps(self.said))

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        """The inverse of `row`."""
        model, key, number, at, chosen, generation, user, said = row
        return cls(key, VersionRef(model, number), at, chosen, generation, user, tuple(json.loads(said)))


def answer_of(kept: Captured, hidden: frozenset[str] = frozenset()) -> Answer:
    """What a capture says.

    Args:
        kept: The capture.
        hidden: Outputs of which only a hash was kept: it says nothing.
    """
    chosen = None if kept.chosen is None else kept.chosen.number
    said = tuple(said_of_truth(_told(output, hidden)) for output in kept.outputs or ())
    return Answer(kept.id, kept.version, kept.at.timestamp(), chosen, kept.generation, kept.user, said)


def _told(output: Any, hidden: frozenset[str]) -> Any:
    if not hidden or not isinstance(output, Mapping):
        return output
    return {name: value for name, value in output.items() if name not in hidden}


@dataclass(frozen=True, slots=True)
class Joined:
    """A request's rows beside their truth.

    Args:
        marks: One a row.
    """

    marks: tuple[Marked, ...]

    @property
    def is_classes(self) -> bool:
        """Whether the answers are classes."""
        return self.marks[0].is_wrong is not None

    @property
    def is_wrong(self) -> bool | None:
        """Whether the first row's class differs; None for numbers.

        Rows of one request are alike, so one stands for all.
        """
        return self.marks[0].is_wrong

    @property
    def sums(self) -> tuple[float, ...]:
        """What it adds to a tally: rows and faults, their squares and their product."""
        rows = len(self.marks)
        faults = sum(one.error if one.error is not None else float(bool(one.is_wrong)) for one in self.marks)
        return rows, rows * rows, faults, faults * faults, rows * faults


def read_spooled(line: bytes) -> Label | None:
    """A label as a host has put it down; None for what is none."""
    try:
        said = json.loads(line)
        return Label(said["id"], tuple(said["rows"]))
    except (ValueError, LookupError, TypeError):
        return None


def join(label: Label, answer: Answer) -> Joined | str:
    """An answer with its truth, or why the two do not fit."""
    rows, truths = len(answer.said), len(label.rows)
    if not rows or None in answer.said:
        return "its answer says neither a class nor a number, or that was not kept"
    if rows != truths:
        return f"{truths} labels for a request of {rows} rows"
    marks: list[Marked] = []
    for said, truth in zip(answer.said, label.rows, strict=True):
        marked = mark(said, truth) if said is not None else None
        if marked is None:
            return f"{_shown(truth)} is no label for the answer {_shown(said)}"
        marks.append(marked)
    if len({one.is_wrong is None for one in marks}) > 1:
        return "some of its rows are answered with classes, some with numbers"
    return Joined(tuple(marks))


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)
