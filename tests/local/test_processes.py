"""Processes of the daemon's: whose they are, how they are ended, and what they leave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from pipelines.local.process import Command, Identity, last_lines, orphans, spawn, terminate, trim_log
from pipelines.local.runtime import Runtime
from pipelines.local.target import LocalTarget
from tests.local.live import eventually


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
