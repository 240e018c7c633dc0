"""A target without processes, a catalogue and a clock, for the tests; each can be told to fail."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipelines.errors import Refused, ServeFailed
from pipelines.values import Bento, HostHealth, Split, VersionRef

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryTarget:
    """Keeps the promises of `ports.Target` in memory.

    Attributes:
        broken: Versions that do not start.
        rejects: Makes `route` refuse everything.
        reports: What `route` says it did, whatever it did.
        most_at_once: The most calls of `route` for one model that were under way together.
        gates: A version whose start waits for its event.
        calls: What was called, in order.
    """

    def __init__(self) -> None:
        self.broken: set[VersionRef] = set()
        self.rejects = False
        self.reports: Split | None = None
        self.most_at_once = 0
        self._routing: Counter[str] = Counter()
        self.gates: dict[VersionRef, threading.Event] = {}
        self.calls: list[str] = []
        self._hosts: dict[VersionRef, HostHealth] = {}
        self._splits: dict[str, Split] = {}
        self._lock = threading.RLock()

    def start(self, bento: Bento, replicas: int, progress: Callable[[str], None]) -> None:
        """Start a version, unless it is broken; one that runs stays as it is."""
        with self._lock:
            self.calls.append(f"start {bento.ref}")
            is_ready = bento.ref in self._hosts and self._hosts[bento.ref].health == "ready"
        if is_ready:
            return
        progress("starting")
        while (gate := self.gates.get(bento.ref)) is not None and not gate.wait(0.005):
            progress("waiting")
        with self._lock:
            if bento.ref in self.broken:
                self._hosts.pop(bento.ref, None)
                raise ServeFailed(f"{bento.ref} did not start: it is broken")
            self._hosts[bento.ref] = HostHealth("ready", replicas, replicas, BEGINNING, memory_mb=50.0 * replicas)

    def route(self, split: Split, warm: frozenset[VersionRef]) -> Split:
        """Make the split live when all its versions run."""
        with self._lock:
            self._routing[split.model] += 1
            self.most_at_once = max(self.most_at_once, self._routing[split.model])
        time.sleep(0)
        try:
            return self.reports or self._route(split, warm)
        finally:
            with self._lock:
                self._routing[split.model] -= 1

    def _route(self, split: Split, warm: frozenset[VersionRef]) -> Split:
        with self._lock:
            self.calls.append(f"route {split.model}")
            missing = [str(ref) for ref in split.versions | warm if ref not in self._hosts]
            if missing or self.rejects:
                raise ServeFailed(f"the gateway refused the split: {', '.join(missing) or 'told to'}")
            if split.weights:
                self._splits[split.model] = split
            else:
                self._splits.pop(split.model, None)
            return split

    def split(self, model: str) -> Split | None:
        """The live split."""
        with self._lock:
            return self._splits.get(model)

    def stop(self, ref: VersionRef) -> None:
        """Stop a version that has no share."""
        with self._lock:
            self.calls.append(f"stop {ref}")
            split = self._splits.get(ref.model)
            if split is not None and (split.weights.get(ref) or split.shadow == ref):
                raise Refused(f"{ref} still has a share of the traffic")
            if split is not None and ref in split.weights:
                self._splits[ref.model] = replace(split, weights={r: w for r, w in split.weights.items() if r != ref})
            self._hosts.pop(ref, None)

    def health(self) -> Mapping[VersionRef, HostHealth]:
        """All running versions."""
        with self._lock:
            return dict(self._hosts)

    def mark(self, ref: VersionRef, health: str) -> None:
        """Make a running version `unhealthy`, `failed` or `ready`."""
        with self._lock:
            if ref in self._hosts:
                self._hosts[ref] = replace(self._hosts[ref], health=health)  # type: ignore[arg-type]

    def reboot(self) -> None:
        """All processes are gone, the gateway too."""
        with self._lock:
            self._hosts.clear()
            self._splits.clear()


class MemoryCatalogue:
    """Packaged versions in a dictionary."""

    def __init__(self, *bentos: Bento) -> None:
        self._bentos = {bento.ref: bento for bento in bentos}

    def get(self, ref: VersionRef) -> Bento | None:
        """The bento, or nothing."""
        return self._bentos.get(ref)

    def check(self, bento: Bento) -> None:
        """Nothing is on a disk, so nothing can have changed."""

    def put(self, bento: Bento) -> None:
        """Add or replace one."""
        self._bentos[bento.ref] = bento

    def remove(self, ref: VersionRef) -> None:
        """Forget one."""
        self._bentos.pop(ref, None)

    def numbers(self, model: str) -> list[int]:
        """All packaged versions of a model."""
        return sorted(ref.number for ref in self._bentos if ref.model == model)


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self._now = BEGINNING

    def now(self) -> datetime:
        """The present."""
        return self._now

    def advance(self, minutes: float) -> None:
        """Let time pass."""
        self._now += timedelta(minutes=minutes)


def packaged(model: str, count: int) -> MemoryCatalogue:
    """A catalogue with versions 1 to `count`, all passed."""
    refs = [VersionRef(model, number) for number in range(1, count + 1)]
    return MemoryCatalogue(*(Bento(ref, f"/bentos/{ref}", f"digest of {ref}", is_passed=True) for ref in refs))
