"""The supervisor of hosts, over hosts that do as they are told: what is started again, and what is given up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.local.hosts.record import Records
from pipelines.local.hosts.supervisor import (
    BACK_OFF_SECONDS,
    HUNG_SECONDS,
    PROVEN_SECONDS,
    READY_SECONDS,
    HostSupervisor,
)
from pipelines.local.process import Identity
from pipelines.local.runtime import Runtime
from pipelines.values import Bento, VersionRef
from tests.local.live import quietly

REF = VersionRef("digits", 7)


class ScriptedLauncher:
    """Hosts that are as alive, ready and responsive as they are told to be.

    Attributes:
        dead: Instances that ended.
        unready: Whether new ones do not get ready.
        deaf: Whether none answers.
        ended: Instances that were told to end, in order.
        started: Instances in order.
        held: Bytes of memory of each.
    """

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.unready = False
        self.deaf = False
        self.ended: list[str] = []
        self.started: list[str] = []
        self.held = 50_000_000

    def start(self, bento: Bento, instance: str, socket: Path) -> Identity:
        """Start one."""
        del bento, socket
        self.started.append(instance)
        return Identity(len(self.started), 0.0, instance)

    def is_alive(self, host: Identity) -> bool:
        """Unless it is dead or was ended."""
        return host.instance not in self.dead and host.instance not in self.ended

    def is_ready(self, host: Identity, socket: Path) -> bool:
        """As told."""
        del socket
        return self.is_alive(host) and not self.unready

    def lives(self, socket: Path) -> bool:
        """As told."""
        del socket
        return not self.deaf

    def warm(self, bento: Bento, socket: Path) -> None:
        """Answers well."""

    def end(self, hosts: Sequence[Identity], grace: float) -> None:
        """End them."""
        del grace
        self.ended += [host.instance for host in hosts]

    def memory(self, host: Identity) -> int:
        """As told."""
        del host
        return self.held

    def said(self, ref: VersionRef, *, since: int = 0) -> str:
        """Nothing."""
        del ref, since
        return ""

    def log_size(self, ref: VersionRef) -> int:
        """Empty."""
        del ref
        return 0


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The present."""
        return self.now


@pytest.fixture
def launcher() -> ScriptedLauncher:
    """The world of the supervisor."""
    return ScriptedLauncher()


@pytest.fixture
def clock() -> Clock:
    """Its clock."""
    return Clock()


@pytest.fixture
def supervisor(tmp_path: Path, launcher: ScriptedLauncher, clock: Clock) -> HostSupervisor:
    """A supervisor with one ready host of `digits@7`."""
    made = HostSupervisor(launcher, Records(tmp_path / "hosts"), Runtime(tmp_path, "0"), clock)
    made.start(Bento(REF, "sources", "digest", is_passed=True), 1, quietly)
    return made


def test_what_runs_is_not_started_again(supervisor: HostSupervisor, launcher: ScriptedLauncher) -> None:
    """Starting a version that runs changes nothing."""
    supervisor.start(Bento(REF, "sources", "digest", is_passed=True), 1, quietly)
    assert len(launcher.started) == 1


def test_replicas_grow_and_shrink(supervisor: HostSupervisor, launcher: ScriptedLauncher) -> None:
    """Another number of replicas starts or ends as many as differ."""
    bento = Bento(REF, "sources", "digest", is_passed=True)
    supervisor.start(bento, 3, quietly)
    assert supervisor.health()[REF].ready == 3
    supervisor.start(bento, 2, quietly)
    assert launcher.ended == launcher.started[2:]


def test_a_changed_bento_is_served_anew(supervisor: HostSupervisor, launcher: ScriptedLauncher) -> None:
    """Another digest under the same number replaces the host."""
    supervisor.start(Bento(REF, "sources", "other", is_passed=True), 1, quietly)
    assert launcher.ended == launcher.started[:1]


def test_a_crashed_host_comes_back_ever_later_and_is_given_up(
    supervisor: HostSupervisor, launcher: ScriptedLauncher, clock: Clock
) -> None:
    """Each crash in a row waits longer; after the fifth there is no other start."""
    launcher.unready = True
    for wait in BACK_OFF_SECONDS:
        launcher.dead.add(launcher.started[-1])
        supervisor.tick()
        starts = len(launcher.started)
        clock.now += wait * 0.9
        supervisor.tick()
        assert len(launcher.started) == starts, "before its time"
        clock.now += wait * 0.2
        supervisor.tick()
        assert len(launcher.started) == starts + 1
    launcher.dead.add(launcher.started[-1])
    supervisor.tick()
    clock.now += 3600
    supervisor.tick()
    assert len(launcher.started) == 5
    health = supervisor.health()[REF]
    assert (health.health, health.ready, health.restarts) == ("failed", 0, 4)


def test_a_host_that_served_long_has_a_clean_record(
    supervisor: HostSupervisor, launcher: ScriptedLauncher, clock: Clock
) -> None:
    """Crashes far apart are not in a row."""
    for _ in range(8):
        launcher.dead.add(launcher.started[-1])
        supervisor.tick()
        clock.now += 1
        supervisor.tick()
        supervisor.tick()
        clock.now += PROVEN_SECONDS + 1
        supervisor.tick()
        assert supervisor.health()[REF].health == "ready"


def test_a_hung_host_is_replaced(supervisor: HostSupervisor, launcher: ScriptedLauncher, clock: Clock) -> None:
    """A host that does not answer for some seconds is ended and started again, and not before."""
    launcher.deaf = True
    clock.now += 1
    supervisor.tick()
    assert supervisor.health()[REF].health == "unhealthy"
    supervisor.tick()
    supervisor.tick()
    assert launcher.ended == []
    clock.now += HUNG_SECONDS
    supervisor.tick()
    assert launcher.ended == launcher.started
    launcher.deaf = False
    clock.now += 1
    supervisor.tick()
    supervisor.tick()
    assert supervisor.health()[REF].health == "ready"
    assert supervisor.health()[REF].restarts == 1


def test_one_late_answer_is_no_hang(supervisor: HostSupervisor, launcher: ScriptedLauncher, clock: Clock) -> None:
    """After a long pause of the daemon itself, a single missed probe ends nothing."""
    clock.now += 100
    launcher.deaf = True
    supervisor.tick()
    launcher.deaf = False
    supervisor.tick()
    assert launcher.ended == []
    assert supervisor.health()[REF].health == "ready"


def test_a_replacement_that_never_gets_ready_is_a_crash(
    supervisor: HostSupervisor, launcher: ScriptedLauncher, clock: Clock
) -> None:
    """It is ended at its deadline and tried again."""
    launcher.dead.add(launcher.started[0])
    supervisor.tick()
    launcher.unready = True
    clock.now += 1
    supervisor.tick()
    clock.now += READY_SECONDS + 1
    supervisor.tick()
    assert launcher.ended == [launcher.started[1]]


def test_what_a_host_had_while_it_loaded_is_not_its_memory(
    supervisor: HostSupervisor, launcher: ScriptedLauncher
) -> None:
    """Somebody looked at the status meanwhile; once it is ready it is measured anew."""
    other = VersionRef("digits", 8)
    seen = []

    def look(text: str) -> None:
        del text
        seen.append(supervisor.health()[other].memory_mb)
        launcher.unready, launcher.held = False, 50_000_000

    launcher.unready, launcher.held = True, 4_000_000
    supervisor.start(Bento(other, "sources", "digest", is_passed=True), 1, look)
    assert seen[0] == 4.0
    assert supervisor.health()[other].memory_mb == 50.0


def test_a_start_that_is_called_off_leaves_nothing(supervisor: HostSupervisor, launcher: ScriptedLauncher) -> None:
    """What `progress` raises goes through, and the host that was being started is ended."""

    def stop(text: str) -> None:
        raise KeyboardInterrupt(text)

    launcher.unready = True
    other = VersionRef("digits", 8)
    with pytest.raises(KeyboardInterrupt):
        supervisor.start(Bento(other, "sources", "digest", is_passed=True), 1, stop)
    assert launcher.ended == [launcher.started[-1]]
    assert supervisor.versions() == [REF]


def test_the_next_daemon_finds_the_hosts(
    tmp_path: Path, supervisor: HostSupervisor, launcher: ScriptedLauncher, clock: Clock
) -> None:
    """Those that run are taken over as they are; those that are gone are started again."""
    gone = VersionRef("digits", 8)
    supervisor.start(Bento(gone, "sources", "digest", is_passed=True), 1, quietly)
    launcher.dead.add(launcher.started[1])
    following = HostSupervisor(launcher, Records(tmp_path / "hosts"), Runtime(tmp_path, "0"), clock)
    following.adopt()
    assert following.health()[REF].health == "ready"
    assert following.instances() == {launcher.started[0]}
    following.tick()
    following.tick()
    assert following.health()[gone].health == "ready"
    assert following.sockets() == supervisor.sockets()
