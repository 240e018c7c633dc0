"""What was asked and answered, and the truth that came later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from pipelines.values import Captured, VersionRef
from pipelines.values.labels import Label, LabelSummary, Taken


class Captures(Protocol):
    """What hosts have kept of requests and answers."""

    def versions(self, model: str) -> list[VersionRef]:
        """Those of which something was kept, rising."""

    def read(self, ref: VersionRef) -> Iterator[Captured]:
        """All that was kept of a version, the oldest first; none of one that kept nothing."""


class Labels(Protocol):
    """Truth that came later, joined with what hosts have kept. All of it may be done again: nothing counts twice."""

    def add(self, model: str, labels: Sequence[Label]) -> Taken:
        """Take labels in, all or none, and join those whose answers are known.

        The first label of a request holds, unless it did not fit the answer: the same again changes nothing, and one
        that contradicts it is counted.

        Raises:
            StorageFailed: the disk is full or read-only, or the store is broken.
        """

    def expect(self, model: str) -> None:
        """Labels are about to come: read what hosts have kept of the model's requests.

        Raises:
            StorageFailed: likewise.
        """

    def read(self, model: str) -> object:
        """Read what hosts have kept since, and join it with the labels that wait; nothing where no label ever came.

        Raises:
            StorageFailed: likewise.
        """

    def summary(self, model: str) -> LabelSummary:
        """What is known of a model's quality.

        Raises:
            StorageFailed: the store is broken.
        """
