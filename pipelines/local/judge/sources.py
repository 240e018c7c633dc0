"""Where the judge looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from pipelines.local.counts import HostCounts
from pipelines.local.target import LocalTarget
from pipelines.local.telemetry import Incident, Place
from pipelines.values import HostHealth, VersionRef


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


class LocalSources:
    """The gateway's log and the hosts of this machine.

    Args:
        target: Whose they are.
    """

    def __init__(self, target: LocalTarget) -> None:
        self._target = target

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
