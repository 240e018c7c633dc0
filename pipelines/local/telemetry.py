"""Failures by the version that was chosen, read from the gateway's log.

One request is one trial: what counts is the chosen version and its first attempt. A second attempt or a failover that
saves the client is still a failure of the chosen version.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
        ended: When it was over, UTC; None when that is not known.
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
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """How far a log has been read: its inode, and the bytes that were taken of it."""

    inode: int = 0
    offset: int = 0


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
        self._place = Place()
        self._seen: list[Incident] = []

    def incidents(self) -> list[Incident]:
        """All judged incidents so far, the oldest first, the latest 20,000 of them; each line is read once.

        The gateway writes its lines every 0.2 s.
        """
        with self._lock:
            lines, self._place = read_on(self._path, self._place)
            self._seen.extend(self._read(lines))
            del self._seen[:-_KEPT]
            return list(self._seen)

    def since(self, place: Place, model: str) -> tuple[list[Incident], Place]:
        """A model's incidents after a place, in the log's order, and the place up to which they go."""
        lines, place = read_on(self._path, place)
        return self._read(line for line in lines if f'"{Purpose.JUDGED} {model} ' in line), place

    def is_readable(self) -> bool:
        """Whether there is a log: without one, nothing is known of failures, and not that there are none."""
        try:
            self._path.open("rb").close()
        except OSError:
            return False
        return True

    def count(self, ref: VersionRef, since: datetime | None = None) -> int:
        """How many judged requests a version has failed."""
        return sum(
            one.chosen == ref and one.outcome is Outcome.FAILED and (since is None or one.at >= since)
            for one in self.incidents()
        )

    def _read(self, lines: Iterable[str]) -> list[Incident]:
        found = (read_incident(line, self._second_try_seconds) for line in lines)
        return [one for one in found if one is not None]


def read_on(path: Path, place: Place) -> tuple[list[str], Place]:
    """The whole lines of a log after a place, and the place after them; those of its predecessor `NAME.1` first.

    A place in a file that is neither of the two any more is as good as none: all there is comes then.
    """
    current = _inode(path)
    if current == 0 or current != place.inode or _size(path) < place.offset:
        old = path.with_name(f"{path.name}.1")
        before: list[str] = []
        # The log was renamed: first the rest of the old one, then the new one from its beginning.
        if _inode(old) not in (0, current) and place.inode in (0, _inode(old)):
            before, place = _lines(old, Place(_inode(old), place.offset))
        if current == 0:
            return before, place
        after, place = _lines(path, Place(current))
        return before + after, place
    return _lines(path, place)


def _lines(path: Path, place: Place) -> tuple[list[str], Place]:
    lines, offset = [], place.offset
    with suppress(OSError), path.open("rb") as log:
        if os.fstat(log.fileno()).st_ino != place.inode:
            return [], place  # it was renamed just now, and is found under its new name the next time
        log.seek(offset)
        for line in log:
            if not line.endswith(b"\n"):
                break  # the gateway has not written the rest of it yet
            offset += len(line)
            lines.append(line.decode(errors="replace"))
    return lines, Place(place.inode, offset)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


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
    at = datetime.fromtimestamp(float(data["time"]), UTC)
    return Incident(
        at=at,
        arms=arms,
        chosen=chosen,
        answered=answered,
        outcome=outcome,
        code=code,
        attempts=int(data.get("attempts") or 0),
        flags=flags,
        id=str(data.get("id") or ""),
        user=str(data.get("user") or ""),
        ended=at + timedelta(milliseconds=float(data.get("milliseconds") or 0)),
    )
