"""Running versions and giving them traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from pipelines.values import Bento, HostHealth, Split, VersionRef


class Hosts(Protocol):
    """Runs a bento in the foreground."""

    def serve(self, sources: Path, port: int) -> None:
        """Serve the bento at `sources` on 127.0.0.1:`port` until it is told to stop.

        Raises:
            ServeFailed: it did not start; its own message has been printed.
        """


class Target(Protocol):
    """Where versions run and take traffic. All calls may be repeated: what is so already stays as it is."""

    def start(self, bento: Bento, replicas: int, progress: Callable[[str], None]) -> None:
        """Start the version's hosts; return when all are ready, by instance id, and warmed with real rows.

        While it waits it calls `progress` some times a second, perhaps with the same words again; what that raises
        calls the start off.

        Raises:
            ServeFailed: one ended, never got ready, or answered wrongly in the warm-up; none of them is left, and the
                message ends with the last lines of its log.
            StorageFailed: the disk is full or read-only.
        """

    def route(self, split: Split, warm: frozenset[VersionRef]) -> Split:
        """Make `split` the live one, in one atomic step, and return what the target itself then reports.

        Every request that begins after the return is routed by it. `warm` versions have no share, but can be reached
        with the override header.

        Raises:
            ServeFailed: a version of it does not run, or the gateway refused it; the split of before stays.
        """

    def split(self, model: str) -> Split | None:
        """The split as the target reports it; None when it routes nothing for the model."""

    def stop(self, ref: VersionRef) -> None:
        """Stop a version that has no share any more, with its whole process tree.

        It first answers all it has begun, up to the drain deadline. A version that does not run is stopped already.

        Raises:
            Refused: the version still has a share of the traffic.
        """

    def health(self) -> Mapping[VersionRef, HostHealth]:
        """All running versions, as the target sees them now."""
