"""How long the hosts of each version took for their requests, by their own histograms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from pipelines.local.unix_http import ask
from pipelines.values import VersionRef

_TIMEOUT_SECONDS = 0.5
_BUCKET = re.compile(r'^turnout_request_seconds_bucket\{.*?\ble="([^"]+)".*?\} (\S+)$', re.MULTILINE)
_STARTED = re.compile(r"^turnout_process_start_time_seconds(?:\{.*?\})? (\S+)$", re.MULTILINE)


class ServiceTimes:
    """Adds up what the replicas of each version have counted since they were first seen.

    A replica counts anew when it is replaced, and is asked only while it answers its probes; what it counted is kept.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._last: dict[str, tuple[str, dict[float, float]]] = {}
        self._total: dict[VersionRef, dict[float, float]] = {}

    def read(self, sockets: Mapping[VersionRef, Sequence[str]]) -> dict[VersionRef, dict[float, float]]:
        """Ask each host once; return the requests so far by version and upper bound of their bucket, in seconds.

        Args:
            sockets: Where the hosts of each version answer.
        """
        with self._lock:
            return {ref: dict(self._of(ref, paths)) for ref, paths in sockets.items()}

    def forget(self, ref: VersionRef, sockets: Sequence[str]) -> None:
        """A version has been stopped: its next start counts from 0."""
        with self._lock:
            self._total.pop(ref, None)
            for path in sockets:
                self._last.pop(path, None)

    def _of(self, ref: VersionRef, paths: Sequence[str]) -> dict[float, float]:
        total = self._total.setdefault(ref, {})
        for path in paths:
            found = _ask(path)
            if found is None:
                continue
            started, counts = found
            before = self._last.get(path)
            self._last[path] = found
            if before is None:
                continue  # what it counted before anybody looked, such as its warm-up
            earlier = before[1] if before[0] == started else {}
            for bound, count in counts.items():
                total[bound] = total.get(bound, 0.0) + max(0.0, count - earlier.get(bound, 0.0))
        return total


def _ask(path: str) -> tuple[str, dict[float, float]] | None:
    try:
        text = ask(Path(path), "/metrics", timeout=_TIMEOUT_SECONDS).body.decode(errors="replace")
    except OSError:
        return None
    return parse(text)


def parse(text: str) -> tuple[str, dict[float, float]] | None:
    """When the process started and how many requests each bucket alone holds; None where it does not say."""
    started = _STARTED.search(text)
    try:
        upto = {float(bound): float(count) for bound, count in _BUCKET.findall(text)}
    except ValueError:
        return None
    if started is None or not upto:
        return None
    counts, below = {}, 0.0
    for bound in sorted(upto):
        counts[bound] = max(0.0, upto[bound] - below)
        below = upto[bound]
    return started.group(1), counts
