"""The one-machine target: hosts behind a gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Literal

from pipelines.errors import Refused, TurnoutError
from pipelines.local.counts import HostCounts, ask_counts, can_count
from pipelines.local.envoy.gateway import EnvoyGateway
from pipelines.local.envoy.settings import GatewayFiles, GatewaySettings
from pipelines.local.hosts.launcher import HostLauncher
from pipelines.local.hosts.record import Records
from pipelines.local.hosts.supervisor import HostSupervisor
from pipelines.local.process import orphans, terminate
from pipelines.local.prometheus.record import known_instances
from pipelines.local.runtime import Runtime
from pipelines.local.service_times import ServiceTimes
from pipelines.local.telemetry import FailureLog
from pipelines.values import Bento, HostHealth, Split, VersionRef
from pipelines.values.figures import Counted

DRAIN_SECONDS = 30.0
"""How long a version that is to be stopped may take for what it has begun."""


@dataclass
class _Counted:
    """Requests of one version: those before the gateway's counter was last seen to fall, and the counter itself."""

    before: int = 0
    seen: int = 0

    def now(self, counter: int) -> int:
        if counter < self.seen:  # another gateway counts from 0
            self.before += self.seen
        self.seen = counter
        return self.before + counter


class LocalTarget:
    """Implements `ports.Target` on this machine. Hosts and gateway live on when this process ends.

    Args:
        state: The project's `.turnout` folder.
        runtime: Where its sockets lie.
        settings: How the gateway serves.
        drain_seconds: How long a stopping version gets for what it has begun.
    """

    def __init__(
        self, state: Path, runtime: Runtime, settings: GatewaySettings, drain_seconds: float = DRAIN_SECONDS
    ) -> None:
        logs = state / "logs"
        self.files = GatewayFiles(state / "gateway", logs)
        self.gateway = EnvoyGateway(settings, self.files, runtime)
        self.failures = FailureLog(self.files.failures, settings.second_try_seconds)
        self._hosts = HostSupervisor(HostLauncher(runtime, logs, state / "captures"), Records(state / "hosts"), runtime)
        self._runtime = runtime
        self._state = state
        self._drain_seconds = drain_seconds
        self._lock = Lock()
        self._requests: dict[VersionRef, _Counted] = {}
        self._times = ServiceTimes()

    @classmethod
    def of(cls, root: Path, state: Path, port: int) -> LocalTarget:
        """The target of the project at `root`, with everything else at its default."""
        return cls(state, Runtime.of(root), GatewaySettings(port))

    def adopt(self) -> None:
        """Take over the hosts and the gateway that run, and end what nobody knows of. Starts nothing.

        Hosts that were noted and are gone are started again by `tick`, and so is the gateway when it had routes.
        """
        self._runtime.make()
        self._hosts.adopt()
        self.gateway.adopt()
        terminate(orphans(self._runtime.digest, self.instances() | known_instances(self._state)), 0.0)
        self.gateway.know(self._hosts.sockets())

    def instances(self) -> set[str]:
        """The instance ids of all processes that belong to it."""
        return self._hosts.instances() | ({self.gateway.instance} - {""})

    def sockets(self) -> Mapping[VersionRef, tuple[str, ...]]:
        """Where the hosts of each version answer."""
        return self._hosts.sockets()

    def open(self) -> None:
        """Start the gateway unless it runs.

        Raises:
            ServeFailed: its port is taken; the message names by whom.
        """
        self.gateway.ensure()

    def start(self, bento: Bento, replicas: int, progress: Callable[[str], None]) -> None:
        """Start the version's hosts behind the gateway; see `ports.Target`."""
        self.gateway.ensure()
        is_new = bento.ref not in self._hosts.versions()
        self._hosts.start(bento, replicas, progress)
        try:
            self.gateway.add(bento.ref, self._hosts.sockets()[bento.ref])
        except TurnoutError:
            if is_new:
                self._hosts.stop(bento.ref)
            raise
        if is_new:
            with self._lock:
                self._requests.pop(bento.ref, None)
            self._requests_of(bento.ref, self.gateway.requests())
        # What its hosts have counted by now was their warm-up.
        self._times.read({bento.ref: self._hosts.sockets()[bento.ref]})

    def route(self, split: Split, warm: frozenset[VersionRef]) -> Split:
        """Make `split` the live one; see `ports.Target`."""
        return self.gateway.apply(split, warm)

    def split(self, model: str) -> Split | None:
        """The split as the gateway reports it."""
        found = self.gateway.read().get(model)
        return found.split if found else None

    def stop(self, ref: VersionRef) -> None:
        """Drain and stop a version; see `ports.Target`."""
        routes = self.gateway.read().get(ref.model)
        if routes is not None and ref == routes.split.shadow:
            raise Refused(f"{ref} still gets copies of the traffic", then="Route the model without a shadow first.")
        if routes is not None and routes.split.weights.get(ref, 0):
            raise Refused(
                f"{ref} still has {routes.split.weights[ref]} % of the traffic",
                then=f"`turnout rollback {ref.model}` moves it to another version.",
            )
        if routes is not None and ref in routes.reachable:
            weights = {other: weight for other, weight in routes.split.weights.items() if other != ref}
            self.gateway.apply(replace(routes.split, weights=weights), routes.warm - {ref})
        deadline = time.monotonic() + self._drain_seconds
        while self.gateway.in_flight(ref) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.gateway.remove(ref)
        sockets = self._hosts.sockets().get(ref, ())
        self._hosts.stop(ref)
        self._times.forget(ref, sockets)
        with self._lock:
            self._requests.pop(ref, None)

    def health(self) -> Mapping[VersionRef, HostHealth]:
        """All running versions: processes, gateway and log taken together."""
        hosts = self._hosts.health()
        in_rotation = self.gateway.healthy_hosts()
        counters = self.gateway.requests()
        return {
            ref: replace(
                one,
                health=_seen_by_gateway(one, in_rotation.get(ref)),
                requests=self._requests_of(ref, counters),
                failures=self.failures.count(ref, one.started),
            )
            for ref, one in hosts.items()
        }

    def counted(self) -> dict[str, Counted]:
        """What gateway, log and hosts have counted of each running version, by REF; asks each host that answers."""
        seconds = self._times.read(self._hosts.answering())
        return {
            str(ref): Counted(one.requests, one.failures, seconds.get(ref, {})) for ref, one in self.health().items()
        }

    def judged_answers(self, refs: Iterable[VersionRef]) -> dict[str, HostCounts]:
        """What the hosts of these versions have counted of their judged answers, by instance; without those silent."""
        found: dict[str, HostCounts] = {}
        sockets = self._hosts.sockets()
        for ref in refs:
            bento = self._hosts.bento(ref)
            if bento is not None and can_count(bento):
                for socket in sockets.get(ref, ()):
                    found.update(ask_counts(ref, Path(socket)))
        return found

    def tick(self) -> None:
        """Replace hosts that ended or hang, and the gateway; to be called about twice a second.

        Raises:
            ServeFailed: the gateway cannot be started again; it is tried again at the next call.
        """
        self._hosts.tick()
        self.gateway.tick()

    def down(self) -> None:
        """Stop everything, without waiting for requests."""
        self.gateway.stop()
        for ref in self._hosts.versions():
            self._hosts.stop(ref)
        terminate(orphans(self._runtime.digest, ()), 0.0)

    def _requests_of(self, ref: VersionRef, counters: Mapping[VersionRef, int]) -> int:
        with self._lock:
            counted = self._requests.setdefault(ref, _Counted())
            return counted.now(counters[ref]) if ref in counters else counted.before + counted.seen


def _seen_by_gateway(host: HostHealth, in_rotation: int | None) -> Literal["starting", "ready", "unhealthy", "failed"]:
    """A version whose processes are fine but which the gateway has taken out is unhealthy all the same."""
    return "unhealthy" if host.health == "ready" and in_rotation == 0 else host.health
