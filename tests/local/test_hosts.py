"""Hosts of real bentos: served, replaced when they hang, and found again by the next daemon and after a reboot."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from pipelines.errors import ServeFailed
from pipelines.local.hosts.launcher import HostLauncher
from pipelines.local.process import orphans
from pipelines.local.runtime import SOCKET_PATH_BYTES, Runtime
from pipelines.local.target import LocalTarget
from pipelines.values import Bento, VersionRef
from tests.local.live import eventually, quietly, tiny_bento, world
from tests.serving.bentos import make_tensor_bento, tensor_rows

REF = VersionRef("digits", 7)


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
