"""Where the judge looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from pipelines.errors import StorageFailed
from pipelines.local.captures.labels import LabelStore
from pipelines.local.counts import HostCounts
from pipelines.local.target import LocalTarget
from pipelines.local.telemetry import Incident, Place
from pipelines.values import HostHealth, LabelledAnswer, VersionRef


class Sources(Protocol):
    """What can be seen of the traffic; nothing of it may raise."""

    def health(self) -> Mapping[VersionRef, HostHealth]:
        """All running versions, as gateway and processes show them."""

    def counts(self, refs: Iterable[VersionRef]) -> Mapping[str, HostCounts]:
        """What the hosts of these versions have counted, by instance; without those that do not answer just now."""

    def incidents(self, place: Place, model: str) -> tuple[list[Incident], Place]:
        """The model's requests that went wrong after a place in the gateway's log, and the place after them."""

    def missing(self) -> str:
        """What cannot be seen just now, so that its silence says nothing, in words; empty when all can."""

    def labelled(self, model: str, after: int | None, since: int) -> tuple[list[LabelledAnswer], int | None]:
        """The model's judged answers whose truth became known after a number, and the number after them.

        Args:
            model: It.
            after: The number; None for the beginning: the first of them that was routed by the split `since`.
            since: A generation.
        """

    def pairs(self, candidate: VersionRef, stable: VersionRef, begun: float, after: int) -> tuple[tuple[int, int], int]:
        """Labelled requests that both answered: how often the candidate alone was wrong, and how often the other.

        Args:
            candidate: The version that got copies.
            stable: The version whose requests they were.
            begun: Requests from then on count, in seconds since 1970.
            after: The number that came back the last time, 0 at first.
        """


class LocalSources:
    """The gateway's log, the hosts and the labels of this machine.

    Args:
        target: Whose they are.
        labels: What became known later; None where nothing does.
    """

    def __init__(self, target: LocalTarget, labels: LabelStore | None = None) -> None:
        self._target, self._labels = target, labels

    def health(self) -> Mapping[VersionRef, HostHealth]:
        """See `Sources`."""
        return self._target.health()

    def counts(self, refs: Iterable[VersionRef]) -> Mapping[str, HostCounts]:
        """See `Sources`."""
        return self._target.judged_answers(refs)

    def incidents(self, place: Place, model: str) -> tuple[list[Incident], Place]:
        """See `Sources`."""
        return self._target.failures.since(place, model)

    def missing(self) -> str:
        """See `Sources`."""
        return "" if self._target.failures.is_readable() else "the gateway's log of failures is not there"

    def labelled(self, model: str, after: int | None, since: int) -> tuple[list[LabelledAnswer], int | None]:
        """See `Sources`."""
        labels = self._labels
        if labels is None or not labels.exists:
            return [], after
        try:
            begun = labels.before(model, since) if after is None else after
            found = labels.trials(model, begun)
        except StorageFailed:
            return [], after  # whoever keeps the labels says so; they are not lost, only late
        return found, found[-1].number if found else begun

    def pairs(self, candidate: VersionRef, stable: VersionRef, begun: float, after: int) -> tuple[tuple[int, int], int]:
        """See `Sources`."""
        try:
            return self._labels.pairs(candidate, stable, begun, after) if self._labels else ((0, 0), after)
        except StorageFailed:
            return (0, 0), after
