"""labels: takes in the truth that came later, and says how well each version has answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from pipelines.values.labels import Label, LabelSummary, Taken

if TYPE_CHECKING:
    from pipelines.ports import Labels

BATCH = 5000


@dataclass(frozen=True, slots=True)
class Labelled:
    """A model's quality, and what became of the labels that were just taken in.

    Args:
        model: It.
        summary: All that is known.
        taken: Of the file; None when none was given.
    """

    model: str
    summary: LabelSummary
    taken: Taken | None = None


def show(model: str, labels: Labels) -> Labelled:
    """What is known of a model's quality.

    Raises:
        StorageFailed: the store is broken.
    """
    labels.read(model)
    return Labelled(model, labels.summary(model))


def load(model: str, rows: Callable[[], Iterator[Label]], labels: Labels, on_step: Callable[[str], None]) -> Labelled:
    """Take in a file's labels.

    The whole file is looked at before the first of them is taken in. Who is stopped in the middle begins again:
    nothing counts twice.

    Args:
        model: Whose requests they are.
        rows: Reads the file from its beginning.
        labels: Where they go.
        on_step: Told how far it is.

    Raises:
        BadInput: a row cannot be used; none was taken in.
        StorageFailed: the disk is full or read-only, or the store is broken.
    """
    on_step("reading the file")
    count = sum(1 for _ in rows())
    on_step(f"joining {count:,} labels with what was captured")
    labels.expect(model)
    taken, coming = Taken(), rows()
    while batch := list(islice(coming, BATCH)):
        taken = taken.plus(labels.add(model, batch))
    return Labelled(model, labels.summary(model), taken)
