"""Failures by the version that was chosen, read from the gateway's log.

One request is one trial: what counts is the chosen version and its first attempt. A second attempt or a failover that
saves the client is still a failure of the chosen version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Any

from pipelines.local.envoy.names import Arms, Purpose, read_cluster, read_judged
from pipelines.values import VersionRef

_KEPT = 20_000


class Outcome(StrEnum):
    """What became of a judged request that has a line in the log."""

    FAILED = "failed"
    """The chosen version did not answer it well: the client got an error, or another version's answer."""
    SLOW = "slow"
    """The chosen version answered it well, after a second try had begun."""
    LEFT = "left"
    """The client went away first: evidence of nothing."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One judged request that did not go as it should.

    Args:
        at: When it came, UTC.
        arms: With which weights it was routed.
        chosen: The version that should have answered.
        answered: The version that did; None when none did.
        outcome: What became of it.
        code: What the client got; 0 for nothing.
        attempts: How many tries it took.
        flags: The gateway's, such as `UF`, `UC`, `UT`; `-` for none.
        id: The gateway's own id of the request.
        user: What keeps the user with a version; empty without.
    """

    at: datetime
    arms: Arms
    chosen: VersionRef
    answered: VersionRef | None
    outcome: Outcome
    code: int
    attempts: int
    flags: str
    id: str
    user: str


class FailureLog:
    """The gateway's log of what went wrong, read on from where the last reading stopped, across its rotation.

    Args:
        path: The log; its predecessor is `NAME.1`.
        second_try_seconds: After how long the gateway tries a second version.
    """

    def __init__(self, path: Path, second_try_seconds: float) -> None:
        self._path = path
        self._second_try_seconds = second_try_seconds
        self._lock = Lock()
        self._inode = 0
        self._offset = 0
        self._seen: list[Incident] = []

    def incidents(self) -> list[Incident]:
        """All judged incidents so far, the oldest first, the latest 20,000 of them; each line is read once.

        The gateway writes its lines every 0.2 s.
        """
        with self._lock:
            found = (read_incident(line, self._second_try_seconds) for line in self._new_lines())
            self._seen.extend(one for one in found if one is not None)
            del self._seen[:-_KEPT]
            return list(self._seen)

    def count(self, ref: VersionRef, since: datetime | None = None) -> int:
        """How many judged requests a version has failed."""
        return sum(
            one.chosen == ref and one.outcome is Outcome.FAILED and (since is None or one.at >= since)
            for one in self.incidents()
        )

    def _new_lines(self) -> Iterator[str]:
        try:
            current = self._path.stat()
        except OSError:
            current = None
        if current is not None and current.st_ino == self._inode and current.st_size >= self._offset:
            yield from self._read(self._path)
            return
        # The log was renamed: first the rest of the old one, then the new one from its beginning.
        old = self._path.with_name(f"{self._path.name}.1")
        try:
            if self._inode == 0 or old.stat().st_ino == self._inode:
                yield from self._read(old)
        except OSError:
            pass
        if current is not None:
            self._inode, self._offset = current.st_ino, 0
            yield from self._read(self._path)

    def _read(self, path: Path) -> Iterator[str]:
        try:
            with path.open("rb") as log:
                log.seek(self._offset)
                for line in log:
                    if not line.endswith(b"\n"):
                        return  # the gateway has not written the rest of it yet
                    self._offset += len(line)
                    yield line.decode(errors="replace")
        except OSError:
            return


def read_incident(line: str, second_try_seconds: float) -> Incident | None:
    """One line of the log; None for a request that was not judged, or a line that is none."""
    try:
        data = json.loads(line)
        arms = read_judged(data["route"])
        chosen = read_cluster(data["chosen"])
        if arms is None or chosen is None or chosen[1] is not Purpose.JUDGED:
            return None
        return _incident(data, arms, chosen[0], second_try_seconds)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _incident(data: dict[str, Any], arms: Arms, chosen: VersionRef, second_try_seconds: float) -> Incident:
    who = read_cluster(data.get("answered") or "")
    answered = who[0] if who else None
    code = int(data.get("code") or 0)
    flags = str(data.get("flags") or "-")
    outcome = Outcome.FAILED
    if "DC" in flags.split(",") or code == 0:
        outcome = Outcome.LEFT
    elif answered == chosen and code < 500 and not data.get("failure"):
        # A second try that began because the first took long leaves the first under way; one that began earlier, or
        # where there is no canary, began because the first had failed.
        took = float(data.get("milliseconds") or 0) / 1000
        is_contested = sum(weight > 0 for weight in arms.weights.values()) > 1
        outcome = Outcome.SLOW if is_contested and took >= second_try_seconds else Outcome.FAILED
    return Incident(
        at=datetime.fromtimestamp(float(data["time"]), UTC),
        arms=arms,
        chosen=chosen,
        answered=answered,
        outcome=outcome,
        code=code,
        attempts=int(data.get("attempts") or 0),
        flags=flags,
        id=str(data.get("id") or ""),
        user=str(data.get("user") or ""),
    )
