"""Hosts: started, watched, replaced, given up and found again; first with a clock of our own, then with processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from pipelines.errors import ServeFailed
from pipelines.local.hosts.launcher import HostLauncher
from pipelines.local.hosts.record import Records
from pipelines.local.hosts.supervisor import (
    BACK_OFF_SECONDS,
    HUNG_SECONDS,
    PROVEN_SECONDS,
    READY_SECONDS,
    HostSupervisor,
)
from pipelines.local.process import Command, Identity, last_lines, orphans, spawn, terminate, trim_log
from pipelines.local.runtime import SOCKET_PATH_BYTES, Runtime
from pipelines.local.target import LocalTarget
from pipelines.values import Bento, VersionRef
from tests.local.live import eventually, tiny_bento, world
from tests.serving.bentos import make_tensor_bento, tensor_rows

REF = VersionRef("digits", 7)


def quietly(text: str) -> None:
    """Take progress that nobody watches."""
    del text


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


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    """Where projects are made: a path of 200 characters."""
    folder = tmp_path / "a long way down" / ("ü" * 60)
    return folder / ("x" * (200 - len(str(folder))))


def test_a_real_bento_is_served_behind_the_gateway(tmp_path: Path, projects: Path) -> None:
    """A bento of an ONNX model is started with its own code, warmed, and answers through the gateway's prefix."""
    sources = make_tensor_bento(tmp_path / "bento" / "src", 7)
    with world(projects) as made:
        made.target.start(Bento(REF, str(sources), "digest", is_passed=True), 2, quietly)
        made.route((7, 100))
        answer = made.ask(body=(sources / "warmup.json").read_bytes())
        assert (answer.status, answer.version) == (200, "digits@7")
        assert made.ask(body=b'{"inputs": []}').status == 400
        health = made.target.health()[REF]
        assert (health.health, health.replicas, health.ready) == ("ready", 2, 2)
        assert 10 < health.memory_mb < 1000
        assert len(tensor_rows(1)) == 1


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("crash", "ended before it was ready.*told to crash"),
        ("nan", "not finite"),
        ("503", "answers its warm-up rows with 503"),
        ("reset", "does not answer its warm-up rows"),
    ],
)
def test_a_version_that_does_not_start_leaves_nothing(tmp_path: Path, mode: str, says: str) -> None:
    """The error says what happened with the end of its log; no process, record or socket stays."""
    with world(tmp_path / "p") as made:
        made.start(7)
        made.route((7, 100))
        bento = tiny_bento(made.root, VersionRef("digits", 8), mode)
        with pytest.raises(ServeFailed, match=f"(?s){says}"):
            made.target.start(bento, 1, quietly)
        assert set(made.target.health()) == {REF}
        assert not orphans(Runtime.of(made.root).digest, made.target.instances())
        assert made.ask().version == "digits@7"


def test_a_bento_that_is_gone_is_told(tmp_path: Path) -> None:
    """A bento deleted from the disk is an error that says how to make it again."""
    with world(tmp_path / "p") as made, pytest.raises(ServeFailed, match="turnout package digits@7"):
        made.target.start(Bento(REF, str(tmp_path / "gone"), "digest", is_passed=True), 1, quietly)


def test_a_hung_host_is_out_of_rotation_and_replaced(tmp_path: Path) -> None:
    """A process that answers nothing any more gets no requests, and another one takes its place."""
    with world(tmp_path / "p") as made:
        made.start(7)
        made.start(8)
        made.route((8, 100), warm=(7,))
        hung = made.pid(8)
        os.kill(hung, signal.SIGSTOP)
        eventually(lambda: made.target.gateway.healthy_hosts()[made.ref(8)] == 0, "out of rotation")
        assert made.ask().version == "digits@7"
        eventually(lambda: made.target.tick() or made.pid(8) != hung, "replaced")
        eventually(lambda: made.target.tick() or made.ask().version == "digits@8", "in rotation")
        assert not psutil.pid_exists(hung)


def test_the_next_daemon_goes_on_with_what_runs(tmp_path: Path) -> None:
    """Another target over the same state reports the same of the same processes; no request is lost meanwhile."""
    with world(tmp_path / "p") as made:
        made.start(7)
        split = made.route((7, 100))
        pids = made.pid(7), made.target.gateway.instance
        with made.load(2) as answers:
            following = LocalTarget.of(made.root, made.root / ".turnout", made.port)
            following.adopt()
            following.tick()
            eventually(lambda: len(answers) > 50, "some requests")
        assert {one.status for one in answers} == {200}
        assert following.split("digits") == split
        assert following.health()[REF].health == "ready"
        assert (made.pid(7), following.gateway.instance) == pids
        made.start(8)
        following.adopt()
        following.stop(made.ref(8))
        assert set(following.health()) == {REF}


def test_after_a_reboot_a_start_brings_everything_back(tmp_path: Path) -> None:
    """With all processes gone and the sockets with them, starting what was noted and routing it serves again."""
    with world(tmp_path / "p") as made:
        bento = made.start(7)
        split = made.route((7, 100))
        gateway = json.loads(made.target.files.process.read_text())
        for pid in (made.pid(7), gateway["pid"]):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not made.target.gateway.is_running, "the gateway is dead")
        shutil.rmtree(Runtime.of(made.root).folder)
        following = LocalTarget.of(made.root, made.root / ".turnout", made.port)
        following.adopt()
        following.start(bento, 1, quietly)
        assert following.route(split, frozenset()) == split
        assert made.ask().version == "digits@7"
        assert following.health()[REF].health == "ready"
        made.target = following


def test_orphans_are_ended_and_strangers_are_not(tmp_path: Path) -> None:
    """A tagged process that nobody noted is ended with what it started; one of another project stays."""
    runtime = Runtime.of(tmp_path)
    script = (
        "import subprocess,sys,time; subprocess.Popen([sys.executable,'-c','import time; time.sleep(600)'],"
        "start_new_session=True); time.sleep(600)"
    )

    def start(project: str) -> Identity:
        command = Command([sys.executable, "-c", script], project, f"host-{project}", tmp_path / "log", tmp_path, {})
        return spawn(command)

    lost, stranger = start(runtime.digest), start("another")
    try:
        eventually(lambda: len(orphans(runtime.digest, ())) == 2, "the child in its own session is there")
        family = orphans(runtime.digest, ())
        target = LocalTarget.of(tmp_path, tmp_path / ".turnout", 1)
        target.adopt()
        assert not any(one.is_alive for one in family)
        assert stranger.is_alive
    finally:
        terminate([lost, stranger], 0.0)
    assert not stranger.is_alive


def test_a_process_id_that_was_given_again_is_another_process() -> None:
    """An identity with another start time is not alive, though the id is in use."""
    own = psutil.Process()
    assert Identity(own.pid, own.create_time(), "x").is_alive
    assert not Identity(own.pid, own.create_time() - 60, "x").is_alive


def test_a_zombie_is_dead() -> None:
    """A child that ended and was not waited for counts as gone."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        process = psutil.Process(child.pid)
        identity = Identity(child.pid, process.create_time(), "x")
        eventually(lambda: process.status() == psutil.STATUS_ZOMBIE, "it has ended")
        assert not identity.is_alive
    finally:
        child.wait()


def test_a_stubborn_process_is_killed(tmp_path: Path) -> None:
    """One that ignores SIGTERM gets SIGKILL after its grace."""
    script = (
        "import signal,time; signal.signal(signal.SIGTERM, lambda *_: None); print('up', flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    identity = spawn(Command([sys.executable, "-c", script], "p", "host-stubborn", log, tmp_path, {}))
    eventually(lambda: last_lines(log) == "up", "it ignores the signal")
    terminate([identity], 0.1)
    assert not identity.is_alive


def test_what_was_ended_leaves_no_zombie(tmp_path: Path) -> None:
    """A child is reaped by whoever ended it, also when it is seen as a zombie while its threads are still ending."""
    script = (
        "import threading, time\n"
        "for _ in range(60): threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "print('up', flush=True)"
    )
    for number in range(30):
        log = tmp_path / f"{number}.log"
        identity = spawn(Command([sys.executable, "-I", "-S", "-c", script], "p", "host-threads", log, tmp_path, {}))
        eventually(lambda log=log: last_lines(log) == "up", "its threads run")
        terminate([identity], 0.0)
        assert not psutil.pid_exists(identity.pid)


def test_a_log_is_kept_within_bounds(tmp_path: Path) -> None:
    """A log that grew too long is cut; its latest half is kept beside it, from a whole line on."""
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    trim_log(log, limit=2000)
    assert log.read_text() == ""
    assert last_lines(tmp_path / "log.1", 1) == "line 999"
    assert 1000 - len("line 999\n") < (tmp_path / "log.1").stat().st_size <= 1000
    assert (tmp_path / "log.1").read_text().startswith("line ")


def test_the_runtime_folder_is_short_and_private(projects: Path) -> None:
    """However long the project's path, its sockets' paths fit, in a folder that nobody else can enter."""
    runtime = Runtime.of(projects).make()
    try:
        longest = runtime.host_socket(f"{'m' * 40}@100000.99")
        assert len(os.fsencode(longest)) <= SOCKET_PATH_BYTES
        assert runtime.folder.stat().st_mode & 0o777 == 0o700
    finally:
        runtime.folder.rmdir()


def test_the_launcher_names_a_log_a_version(tmp_path: Path) -> None:
    """Each version prints to a log of its own."""
    assert HostLauncher(Runtime.of(tmp_path), tmp_path).log(REF).name == "digits@7.log"
