"""Which hosts run, and what becomes of one that ends, hangs or never gets ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Literal
from uuid import uuid4

from pipelines.errors import ServeFailed, StorageFailed, TurnoutError
from pipelines.local.hosts.launcher import STOP_SECONDS, Launcher
from pipelines.local.hosts.record import HostState, Records, VersionState
from pipelines.local.process import Identity
from pipelines.local.runtime import Runtime
from pipelines.values import Bento, HostHealth, VersionRef

READY_SECONDS = 120.0
"""A host that is not ready by then is ended; one that carries TensorFlow takes half a minute."""
HUNG_SECONDS = 5.0
"""A host that has not answered for so long, and three probes in a row, is ended and started again."""
BACK_OFF_SECONDS = (0.1, 0.5, 1.0, 2.0)
"""How long after each crash in a row the next start comes; after one more crash there is none."""
PROVEN_SECONDS = 60.0
"""A host that has served for so long has no crashes behind it any more."""

_PROBE_EVERY_SECONDS = 1.0
_MISSED_PROBES = 3
_SAY_SECONDS = 0.2
_MEMORY_SECONDS = 5.0
_POLL_SECONDS = 0.01


class HostSupervisor:
    """The hosts of one project. Safe for several threads.

    Args:
        launcher: Starts and ends them.
        records: Where they are written down.
        runtime: Where their sockets lie.
        clock: Seconds, rising.
    """

    def __init__(
        self, launcher: Launcher, records: Records, runtime: Runtime, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._launcher = launcher
        self._records = records
        self._runtime = runtime
        self._clock = clock
        self._lock = RLock()
        self._versions: dict[VersionRef, VersionState] = {}
        self._measured: dict[Identity, tuple[float, int]] = {}
        self._probes = ThreadPoolExecutor(8, thread_name_prefix="probe")

    def start(self, bento: Bento, replicas: int, progress: Callable[[str], None]) -> None:
        """Start a version's hosts; return when all are ready and have answered real rows.

        Raises:
            ServeFailed: one did not; those just started are ended.
            StorageFailed: nothing can be written down.
        """
        version, fresh = self._claim(bento, replicas)
        begins = self._launcher.log_size(bento.ref)
        try:
            for host in version.hosts:
                if not self._serves(host):
                    self._launch(version, host)
            self._bring_up(version, progress)
        except BaseException as error:
            self._undo(version, fresh)
            said = self._launcher.said(bento.ref, since=begins)
            if isinstance(error, ServeFailed) and said:
                what = f"{error.what}. Its log ends with:\n{said}\n"
                raise ServeFailed(what, instead=error.instead, then=error.then) from error
            raise
        finally:
            version.is_starting = False

    def _claim(self, bento: Bento, replicas: int) -> tuple[VersionState, list[HostState]]:
        """The version with as many hosts as wanted, marked as being started, and those of them that are new."""
        with self._lock:
            version = self._versions.get(bento.ref)
            if version is not None and version.is_starting:
                raise ServeFailed(f"{bento.ref} is being started already", then="Wait for it.")
            if version is not None and (version.bento.digest != bento.digest or _is_broken(version)):
                self.stop(bento.ref)
                version = None
            if version is None:
                version = VersionState(bento, [], datetime.now(UTC))
                self._versions[bento.ref] = version
            surplus = version.hosts[replicas:]
            del version.hosts[replicas:]
            fresh = [HostState(self._socket(bento.ref, slot)) for slot in range(len(version.hosts), replicas)]
            version.hosts += fresh
            version.is_starting = True
        if surplus:
            self._end(surplus)
            self._records.write(version)
        return version, fresh

    def _serves(self, host: HostState) -> bool:
        """Whether a host needs nothing; one that hangs, and has missed a probe before, is ended."""
        if host.identity is None or not self._launcher.is_alive(host.identity):
            return False
        if host.is_ready and host.missed and not self._launcher.lives(host.socket):
            self._launcher.end([host.identity], 0.0)
            return False
        return True

    def _bring_up(self, version: VersionState, progress: Callable[[str], None]) -> None:
        waiting = [host for host in version.hosts if not host.is_ready]
        if not waiting:
            return
        self._wait_ready(version, waiting, progress)
        progress("warming")
        for host in waiting:
            self._launcher.warm(version.bento, host.socket)

    def stop(self, ref: VersionRef) -> None:
        """End a version's hosts with all they have started."""
        with self._lock:
            version = self._versions.pop(ref, None)
        if version is not None:
            self._end(version.hosts)
            for one in version.identities:
                self._measured.pop(one, None)
        self._records.remove(ref)

    def adopt(self) -> None:
        """Take over the hosts that an earlier daemon started; those that are gone are started again by `tick`."""
        now = self._clock()
        with self._lock:
            for version in self._records.read():
                for host in version.hosts:
                    host.begun = host.answered = now
                    if host.identity is not None and not self._launcher.is_alive(host.identity):
                        host.identity, host.again = None, now
                    elif host.identity is not None:
                        host.is_ready = self._launcher.is_ready(host.identity, host.socket)
                self._versions[version.bento.ref] = version

    def tick(self) -> None:
        """Look at each host once, and replace those that ended or hang. Never raises, and waits a second at most."""
        with self._lock:
            watched = [
                (version, host)
                for version in self._versions.values()
                if not version.is_starting
                for host in version.hosts
                if not host.is_given_up
            ]
        alive = [pair for pair in watched if pair[1].identity is not None and self._launcher.is_alive(pair[1].identity)]
        answers = dict(zip(map(_key, alive), self._probes.map(lambda pair: self._probe(pair[1]), alive), strict=True))
        for version, host in watched:
            with self._lock:
                if self._versions.get(version.bento.ref) is version and not version.is_starting:
                    self._look_after(version, host, answers=answers.get(_key((version, host))))
        for ref in {version.bento.ref for version, _ in watched}:
            self._launcher.log_size(ref)

    def sockets(self) -> dict[VersionRef, tuple[str, ...]]:
        """Where the hosts of each version answer."""
        with self._lock:
            return {ref: tuple(str(host.socket) for host in one.hosts) for ref, one in self._versions.items()}

    def answering(self) -> dict[VersionRef, tuple[str, ...]]:
        """Of these, those that were ready and answered when they were last looked at."""
        with self._lock:
            return {
                ref: tuple(str(host.socket) for host in one.hosts if host.is_ready and host.missed == 0)
                for ref, one in self._versions.items()
            }

    def bento(self, ref: VersionRef) -> Bento | None:
        """What the hosts of a version serve; None for one that has none."""
        with self._lock:
            version = self._versions.get(ref)
            return version.bento if version is not None else None

    def instances(self) -> set[str]:
        """The instance ids of all hosts."""
        with self._lock:
            return {one.instance for version in self._versions.values() for one in version.identities}

    def versions(self) -> list[VersionRef]:
        """All versions that have hosts."""
        with self._lock:
            return sorted(self._versions)

    def health(self) -> dict[VersionRef, HostHealth]:
        """All versions, as seen at the last look; requests are not known here."""
        with self._lock:
            versions = dict(self._versions)
        return {ref: self._health(version) for ref, version in versions.items()}

    def _health(self, version: VersionState) -> HostHealth:
        hosts = list(version.hosts)
        ready = sum(host.is_ready and host.missed == 0 for host in hosts)
        state: Literal["starting", "ready", "unhealthy", "failed"] = "ready"
        if version.is_starting:
            state = "starting"
        elif hosts and all(host.is_given_up for host in hosts):
            state = "failed"
        elif ready == 0:
            state = "unhealthy" if version.restarts or any(host.missed for host in hosts) else "starting"
        memory = sum(map(self._memory, version.identities))
        return HostHealth(state, len(hosts), ready, version.started, version.restarts, memory / 1e6)

    def _memory(self, host: Identity) -> int:
        now = self._clock()
        at, size = self._measured.get(host, (-_MEMORY_SECONDS, 0))
        if now - at >= _MEMORY_SECONDS:
            size = self._launcher.memory(host)
            self._measured[host] = (now, size)
        return size

    def _socket(self, ref: VersionRef, slot: int) -> Path:
        return self._runtime.host_socket(f"{ref}.{slot}")

    def _launch(self, version: VersionState, host: HostState) -> None:
        now = self._clock()
        instance = f"host-{uuid4().hex}"
        host.identity = self._launcher.start(version.bento, instance, host.socket)
        host.is_ready, host.missed, host.begun, host.answered = False, 0, now, now
        self._records.write(version)

    def _wait_ready(self, version: VersionState, waiting: Iterable[HostState], progress: Callable[[str], None]) -> None:
        deadline = self._clock() + READY_SECONDS
        said = -_SAY_SECONDS
        ref = version.bento.ref
        for host in waiting:
            while not (host.identity and self._launcher.is_ready(host.identity, host.socket)):
                if host.identity is None or not self._launcher.is_alive(host.identity):
                    raise ServeFailed(f"{ref} ended before it was ready")
                if self._clock() > deadline:
                    raise ServeFailed(f"{ref} was not ready within {READY_SECONDS:.0f} s")
                if self._clock() - said >= _SAY_SECONDS:
                    said = self._clock()
                    progress("loading")  # may raise, to call it off
                time.sleep(_POLL_SECONDS)
            self._measured.pop(host.identity, None)  # what it had while it loaded
            host.is_ready, host.answered = True, self._clock()

    def _undo(self, version: VersionState, fresh: list[HostState]) -> None:
        """End what `start` has just started; the hosts that were there before stay."""
        self._end(fresh, grace=0.5)
        with self._lock:
            version.hosts = [host for host in version.hosts if all(host is not one for one in fresh)]
            if version.hosts:
                with suppress(StorageFailed):
                    self._records.write(version)
                return
            self._versions.pop(version.bento.ref, None)
        self._records.remove(version.bento.ref)

    def _end(self, hosts: Iterable[HostState], grace: float = STOP_SECONDS) -> None:
        ended = list(hosts)
        self._launcher.end([host.identity for host in ended if host.identity is not None], grace)
        for host in ended:
            host.socket.unlink(missing_ok=True)

    def _probe(self, host: HostState) -> bool:
        if not host.is_ready:
            return host.identity is not None and self._launcher.is_ready(host.identity, host.socket)
        if self._clock() - host.answered < _PROBE_EVERY_SECONDS and host.missed == 0:
            return True
        return self._launcher.lives(host.socket)

    def _look_after(self, version: VersionState, host: HostState, *, answers: bool | None) -> None:
        """Decide on one host.

        Args:
            version: Its version.
            host: It.
            answers: Whether it answered its probe (ready, or alive); None when its process is gone.
        """
        now = self._clock()
        if host.identity is None:
            if now >= host.again:
                self._replace(version, host)
        elif answers is None:
            self._crashed(host, now)
        elif answers:
            _saw_answer(host, now)
        else:
            host.missed += host.is_ready
            if _is_hung(host, now):
                self._launcher.end([host.identity], 0.0)
                self._crashed(host, now)

    def _crashed(self, host: HostState, now: float) -> None:
        host.identity, host.is_ready = None, False
        host.crashes += 1
        if host.crashes > len(BACK_OFF_SECONDS):
            host.is_given_up = True
            return
        host.again = now + BACK_OFF_SECONDS[host.crashes - 1]

    def _replace(self, version: VersionState, host: HostState) -> None:
        version.restarts += 1
        try:
            self._launch(version, host)
        except TurnoutError:
            if host.identity is None:
                self._crashed(host, self._clock())


def _saw_answer(host: HostState, now: float) -> None:
    if not host.is_ready or host.missed or now - host.answered >= _PROBE_EVERY_SECONDS:
        host.answered = now
    host.is_ready, host.missed = True, 0
    if now - host.begun > PROVEN_SECONDS:
        host.crashes = 0


def _is_hung(host: HostState, now: float) -> bool:
    if host.is_ready:
        return host.missed >= _MISSED_PROBES and now - host.answered >= HUNG_SECONDS
    return now - host.begun > READY_SECONDS


def _is_broken(version: VersionState) -> bool:
    return any(host.is_given_up for host in version.hosts)


def _key(pair: tuple[VersionState, HostState]) -> int:
    return id(pair[1])
