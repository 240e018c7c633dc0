"""What an operation does to the target: start, route and read back, stop what nobody wants."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping

from pipelines.errors import Refused, ServeFailed
from pipelines.local.journal import Journal
from pipelines.local.turns import Turns
from pipelines.policy.deployment import describe
from pipelines.policy.resources import check_memory
from pipelines.ports import Catalogue, Target
from pipelines.values import Bento, Deployment, HostHealth, Split, VersionRef


class Hands:
    """The target, handled so that several operations at once do not stop what another one starts.

    Args:
        target: Where versions run.
        catalogue: Packaged versions.
        journal: What shall run.
        turns: What is being done.
        available_mb: Memory the machine can give, 10^6 bytes.
    """

    def __init__(
        self, target: Target, catalogue: Catalogue, journal: Journal, turns: Turns, available_mb: Callable[[], float]
    ) -> None:
        self.target = target
        self._catalogue = catalogue
        self._journal = journal
        self._turns = turns
        self._available_mb = available_mb
        self._locks: defaultdict[VersionRef, threading.Lock] = defaultdict(threading.Lock)
        self._stopping: set[VersionRef] = set()
        self._guard = threading.Lock()

    def bento(self, ref: VersionRef) -> Bento | None:
        """The packaged version, if there is one."""
        return self._catalogue.get(ref)

    def start(self, ref: VersionRef, replicas: int, progress: Callable[[str], None]) -> None:
        """Start a version and wait until it is ready.

        Raises:
            Refused: it is not packaged.
            PackageFailed: its bento is gone or was changed.
            ServeFailed: it does not start.
        """
        bento = self._catalogue.get(ref)
        if bento is None:
            raise Refused(f"{ref} is not packaged any more", then=f"`turnout package {ref}` makes its bento again.")
        self._catalogue.check(bento)
        with self._lock(ref):
            self.target.start(bento, replicas, progress)

    def stop_unwanted(self, ref: VersionRef) -> bool:
        """Stop a version, unless a deployment or an operation wants it by now; tell whether it was stopped."""
        with self._lock(ref):
            if ref in self.wanted(ref.model):
                return False
            self._stopping.add(ref)
            try:
                self.target.stop(ref)
            finally:
                self._stopping.discard(ref)
            return True

    def strays(self, model: str, running: frozenset[VersionRef]) -> frozenset[VersionRef]:
        """Those of the running versions that nobody wants and nobody is stopping."""
        return running - self.wanted(model) - self._stopping

    def route(self, split: Split, running: frozenset[VersionRef]) -> None:
        """Make a split live and see that the target reports it; those of `running` without a share stay warm.

        Raises:
            ServeFailed: it refused, or reports another one.
        """
        idle = frozenset(ref for ref in running if not split.weights.get(ref) and ref != split.shadow)
        seen = self.target.route(split, idle)
        if not is_same(seen, split):
            raise ServeFailed(f"the gateway reports `{describe(seen)}`", instead=f"`{describe(split)}` was asked for")

    def wanted(self, model: str) -> frozenset[VersionRef]:
        """Versions of a model that a deployment or an operation in hand needs."""
        wanted = set(self._journal.deployment(model).running)
        for job in self._turns.active():
            if job.model == model and job.after is not None and job.stopper is None:
                wanted |= job.after.running
        return frozenset(wanted)

    def health(self, model: str) -> dict[VersionRef, HostHealth]:
        """The model's running versions, as the target sees them."""
        return {ref: seen for ref, seen in self.target.health().items() if ref.model == model}

    def check_memory(self, wanted: Mapping[VersionRef, int], deployment: Deployment) -> None:
        """Refuse a start that would not fit; see `policy.resources`."""
        if not wanted:
            return
        bentos = {ref: self._catalogue.get(ref) for ref in wanted}
        measured = {ref: bento.memory_mb for ref, bento in bentos.items() if bento is not None}
        seen = self.target.health()
        running = {ref: host.memory_mb / max(host.replicas, 1) for ref, host in seen.items()}
        check_memory(wanted, measured, running, self._available_mb(), deployment.standbys[::-1])

    def _lock(self, ref: VersionRef) -> threading.Lock:
        with self._guard:
            return self._locks[ref]


def is_same(seen: Split | None, wanted: Split | None) -> bool:
    """Whether two splits send every request the same way; no split is an empty one."""
    return _traffic(seen) == _traffic(wanted)


def _traffic(split: Split | None) -> tuple[dict[VersionRef, int], VersionRef | None]:
    if split is None:
        return {}, None
    return {ref: weight for ref, weight in split.weights.items() if weight}, split.shadow


def up(health: Mapping[VersionRef, HostHealth]) -> frozenset[VersionRef]:
    """Versions that are ready."""
    return frozenset(ref for ref, seen in health.items() if seen.health == "ready")


def down(deployment: Deployment, health: Mapping[VersionRef, HostHealth]) -> frozenset[VersionRef]:
    """Versions that should run and have no process left: gone, or given up."""
    return frozenset(ref for ref in deployment.running if ref not in health or health[ref].health == "failed")
