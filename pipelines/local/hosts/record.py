"""What is written down of a version's hosts, so that the next daemon finds them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.errors import TurnoutError
from pipelines.local.files import replace_file
from pipelines.local.process import Identity
from pipelines.values import Bento, VersionRef, read_ref


@dataclass
class HostState:
    """One host: a place for a process, and the process in it.

    Times are in seconds of the supervisor's clock.

    Args:
        socket: Where it answers; the same for each process in turn, so that the gateway need not be told.
        identity: The process; None while it waits to be started again.
        is_ready: Whether it has been ready since it was started.
        begun: When it was started.
        answered: When it last answered a probe.
        missed: Probes in a row that it did not answer.
        crashes: How often in a row it ended by itself.
        again: When it may be started again.
        is_given_up: Whether it is not started any more.
    """

    socket: Path
    identity: Identity | None = None
    is_ready: bool = False
    begun: float = 0.0
    answered: float = 0.0
    missed: int = 0
    crashes: int = 0
    again: float = 0.0
    is_given_up: bool = False


@dataclass
class VersionState:
    """The hosts of one version.

    Args:
        bento: What they serve.
        hosts: Them.
        started: When the first was started, UTC.
        restarts: How often one was replaced.
        is_starting: Whether somebody waits for the first start and looks after them meanwhile.
    """

    bento: Bento
    hosts: list[HostState]
    started: datetime
    restarts: int = 0
    is_starting: bool = field(default=False, compare=False)

    @property
    def identities(self) -> list[Identity]:
        """All processes there are."""
        return [host.identity for host in self.hosts if host.identity is not None]


class Records:
    """One JSON file a running version.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, version: VersionState) -> None:
        """Write down a version's hosts.

        Raises:
            StorageFailed: the disk is full or read-only.
        """
        bento = version.bento
        data = {
            "ref": str(bento.ref),
            "sources": bento.sources,
            "digest": bento.digest,
            "is_passed": bento.is_passed,
            "forced": bento.forced,
            "memory_mb": bento.memory_mb,
            "started": version.started.isoformat(),
            "restarts": version.restarts,
            "hosts": [
                {"socket": str(host.socket), "process": host.identity.as_dict() if host.identity else None}
                for host in version.hosts
            ],
        }
        replace_file(self._path(bento.ref), json.dumps(data, indent=1), f"noting the hosts of {bento.ref}")

    def read(self) -> list[VersionState]:
        """All that can be read; a file that cannot is passed over."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(_read(json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError, LookupError, TypeError, TurnoutError):
                continue
        return found

    def remove(self, ref: VersionRef) -> None:
        """Forget a version's hosts."""
        self._path(ref).unlink(missing_ok=True)

    def _path(self, ref: VersionRef) -> Path:
        return self._folder / f"{ref}.json"


def _read(data: dict[str, Any]) -> VersionState:
    bento = Bento(
        read_ref(data["ref"]), data["sources"], data["digest"], data["is_passed"], data["forced"], data["memory_mb"]
    )
    hosts = [
        HostState(Path(one["socket"]), Identity.from_dict(one["process"]) if one["process"] else None)
        for one in data["hosts"]
    ]
    return VersionState(bento, hosts, datetime.fromisoformat(data["started"]), data["restarts"])
