"""The daemon's part that answers Prometheus."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import __version__
from pipelines.local.envoy.admin import Admin
from pipelines.local.journal import Journal
from pipelines.local.monitoring.daemon import Facts, daemon_families
from pipelines.local.monitoring.endpoint import Endpoint
from pipelines.local.monitoring.families import text
from pipelines.local.monitoring.gateway import gateway_families
from pipelines.local.monitoring.hosts import Hosts
from pipelines.local.rooms import Room
from pipelines.values import VersionRef

LOOK_SECONDS = 2.0
"""How soon a port that was taken, or changed in the project file, is opened."""


@dataclass(frozen=True)
class Sources:
    """Where the samples come from.

    Args:
        status: What runs: `{"models": {...}}`.
        journal: The history.
        sockets: Where the hosts of each version answer.
        gateway: The gateway's report socket.
        state: The project's state folder.
        port: Where Prometheus asks, as the project file has it; 0 for nowhere.
        more: Names, explanations and values of what other parts of the daemon count.
    """

    status: Callable[[], Mapping[str, Any]]
    journal: Journal
    sockets: Callable[[], Mapping[VersionRef, Sequence[str]]]
    gateway: Path
    state: Path
    port: Callable[[], int]
    more: Callable[[], Sequence[tuple[str, str, float]]] = tuple


class Samples:
    """Keeps the port open, and says what is there.

    Args:
        sources: Where the samples come from.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._hosts = Hosts()
        self._endpoint: Endpoint | None = None

    @property
    def room(self) -> Room:
        """It as a part of the daemon."""
        return Room(loops=((self.keep_open, LOOK_SECONDS),), close=self.close)

    def keep_open(self) -> None:
        """Open the port unless it is open; another one when the project file names another.

        Raises:
            ServeFailed: it is taken; everything else goes on, and it is tried again.
        """
        port = self._sources.port()
        if self._endpoint is not None and self._endpoint.port != port:
            self._endpoint.close()
            self._endpoint = None
        if self._endpoint is None and port:
            pages = {"/metrics": self.daemon, "/metrics/hosts": self.hosts, "/metrics/gateway": self.gateway}
            self._endpoint = Endpoint(port, pages)

    def daemon(self) -> bytes:
        """What the daemon knows."""
        disk = shutil.disk_usage(self._sources.state)
        facts = Facts(
            __version__,
            self._sources.status()["models"],
            self._sources.journal.event_counts(),
            (disk.free, disk.total),
            self._sources.more(),
        )
        return text(list(daemon_families(facts)))

    def hosts(self) -> bytes:
        """What all hosts count."""
        return text(self._hosts.families(self._sources.sockets()))

    def gateway(self) -> bytes:
        """What the gateway counts."""
        return text(list(gateway_families(Admin(self._sources.gateway))))

    def close(self) -> None:
        """Close the port."""
        if self._endpoint is not None:
            self._endpoint.close()
        self._hosts.close()
