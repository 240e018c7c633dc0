"""The daemon as a real process, over a target in memory: killed, hung, told to end, and spoken to by many."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.errors import Busy, Interrupted, NoSuchModel, Refused, ServeFailed, StorageFailed
from pipelines.local.failpoints import STEPS
from pipelines.local.journal import recorded
from pipelines.local.protocol import ADDRESS, LEASE
from pipelines.local.runtime import Runtime
from pipelines.policy.deployment import revival
from pipelines.values import VersionRef
from tests.local.daemon_line import ROOT, Line
from tests.local.world import until


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A project in a folder with a long name, spaces and letters of other alphabets."""
    root = tmp_path / ("ein Ordner für Züge, 転轍機 " + "x" * 120)
    root.mkdir()
    one = Line(root)
    yield one
    one.end()


def settled(line: Line, pid: int) -> None:
    """Wait until another daemon than `pid` answers, without asking for one."""
    until(lambda: (line.root / ".turnout" / ADDRESS).exists() and line.daemon != pid)


def test_a_command_starts_what_it_needs_and_down_ends_it(line: Line) -> None:
    """Status alone starts nothing; after `down` no process is left, and `up` brings back what was live."""
    assert line.client.status() == {"models": {}}
    assert line.client.history("digits") == []
    assert not (line.root / ".turnout").exists()
    entry = line.do("deploy", ref="digits@1")
    assert entry["phase"] == "live"
    assert entry["url"] == "http://127.0.0.1:3000/digits"
    assert entry["versions"]["digits@1"]["weight"] == 100
    assert entry["versions"]["digits@1"]["role"] == "champion"
    assert line.steps == ["start digits@1", "start digits@1: starting", "route digits: digits@1 100 %"]
    assert len(line.processes()) == 2
    line.client.down(line.steps.append)
    assert line.processes() == []
    assert line.entry()["phase"] == "empty"
    assert line.processes() == []
    (noted,) = recorded(line.root / ".turnout" / "state.db")
    assert revival(noted, is_up=False) == ["start digits@1", "route digits: digits@1 100 %", "record it"]
    assert line.processes() == [], "whoever reads the journal starts nothing"
    status = line.client.up(line.steps.append)
    assert status["models"]["digits"]["versions"]["digits@1"]["weight"] == 100
    assert line.client.history("digits")[0]["action"] == "up"


def test_the_entry_is_what_the_target_reports(line: Line) -> None:
    """Weights sum to 100; an error comes back as the class it was raised as."""
    line.do("deploy", ref="digits@1")
    entry = line.do("deploy", ref="digits@2", share=25)
    assert entry["phase"] == "canary"
    assert {ref: (one["weight"], one["role"]) for ref, one in entry["versions"].items()} == {
        "digits@1": (75, "champion"),
        "digits@2": (25, "canary"),
    }
    assert entry == {**line.entry(), "changed": True, "versions": entry["versions"]}
    plan = line.do("promote", dry_run=True)
    assert plan["plan"] == ["route digits: digits@2 100 %", "record it"]
    with pytest.raises(NoSuchModel, match="digits and credit"):
        line.do("promote", model="other")
    with pytest.raises(Refused, match="not packaged"):
        line.do("deploy", ref="digits@9")
    assert line.do("rollback")["quarantined"].keys() == {"digits@2"}


def test_a_dead_daemon_is_back_without_a_command(line: Line) -> None:
    """The guardian starts another, which takes over what runs."""
    line.do("deploy", ref="digits@1")
    line.do("deploy", ref="digits@2")
    old = line.daemon
    os.kill(old, signal.SIGKILL)
    settled(line, old)
    assert line.weights() == {"digits@1": 90, "digits@2": 10}


def test_a_hung_daemon_is_replaced(line: Line) -> None:
    """One that does not renew its lease is killed."""
    line.do("deploy", ref="digits@1")
    old = line.daemon
    os.kill(old, signal.SIGSTOP)
    settled(line, old)
    assert not psutil.pid_exists(old) or psutil.Process(old).status() == psutil.STATUS_ZOMBIE
    assert line.weights() == {"digits@1": 100}


def test_a_daemon_that_is_told_to_end_takes_only_its_guardian_along(line: Line) -> None:
    """SIGTERM is no `down`: versions and split stay, and the next command goes on from there."""
    line.do("deploy", ref="digits@1")
    os.kill(line.daemon, signal.SIGTERM)
    until(lambda: line.processes() == [])
    assert not (line.root / ".turnout" / LEASE).exists()
    assert line.weights() == {"digits@1": 100}
    assert line.client.history("digits")[0]["action"] == "deploy"


def test_after_guardian_and_daemon_are_killed_the_next_command_recovers(line: Line) -> None:
    """In the middle of a canary, with a stale socket left."""
    line.do("deploy", ref="digits@1")
    line.do("deploy", ref="digits@2")
    line.kill()
    assert line.do("promote")["phase"] == "baking"
    assert len(line.processes()) == 2


def test_a_dead_guardian_is_replaced_by_the_daemon(line: Line) -> None:
    """Without a command; the daemon goes on, and the new guardian watches over it."""
    line.do("deploy", ref="digits@1")
    old, first = line.daemon, line.guardian
    first.kill()
    first.wait(20)
    until(lambda: [one.status() for one in line.guardians()] == [psutil.STATUS_SLEEPING])
    assert line.daemon == old
    os.kill(old, signal.SIGKILL)
    settled(line, old)
    assert line.weights() == {"digits@1": 100}


def test_a_guardian_that_came_later_leaves_with_the_daemon(line: Line) -> None:
    """It is no child of the daemon's parent, and must not start another one when everything is stopped on purpose."""
    line.do("deploy", ref="digits@1")
    first = line.guardian
    first.kill()
    first.wait(20)
    until(lambda: len(line.guardians()) == 1)
    line.client.down(line.steps.append)
    until(lambda: line.processes() == [])
    assert not (line.root / ".turnout" / LEASE).exists()


def test_there_is_one_daemon(line: Line) -> None:
    """Another one finds the lock held and ends, and so does another guardian."""
    line.do("deploy", ref="digits@1")
    old = line.daemon
    for command in (
        ["tests.local.daemon_entry", str(line.root)],
        ["pipelines.local.guardian", str(line.root), str(line.root / ".turnout"), "a", "b", "false"],
    ):
        second = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, timeout=20, check=False)
        assert second.returncode == 0
    assert line.daemon == old
    assert line.weights() == {"digits@1": 100}


def test_an_older_daemon_is_replaced(line: Line) -> None:
    """Its versions stay; a newer one is left alone, and the client says so."""
    line.do("deploy", ref="digits@1")
    old = line.daemon
    address = line.root / ".turnout" / ADDRESS
    said = json.loads(address.read_text())
    address.write_text(json.dumps({**said, "protocol": 0}))
    assert line.do("deploy", ref="digits@2")["versions"]["digits@2"]["weight"] == 10
    assert line.daemon != old
    said = json.loads(address.read_text())
    address.write_text(json.dumps({**said, "protocol": 99}))
    with pytest.raises(Refused, match="newer Turnout"):
        line.do("promote")
    address.write_text(json.dumps(said))


def test_a_daemon_that_cannot_start_says_why(line: Line) -> None:
    """Its own error reaches the client; when the cause is gone the same command works."""
    (line.root / "no-port").touch()
    with pytest.raises(ServeFailed, match="port 3000 is taken by somebody"):
        line.do("deploy", ref="digits@1")
    until(lambda: line.processes() == [])
    (line.root / "no-port").unlink()
    assert line.do("deploy", ref="digits@1")["phase"] == "live"


def test_a_broken_journal_is_a_clear_error(line: Line) -> None:
    """It is not overwritten."""
    (line.root / ".turnout").mkdir()
    (line.root / ".turnout" / "state.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(StorageFailed, match="Move the file away"):
        line.do("deploy", ref="digits@1")


def test_a_state_folder_that_cannot_be_is_a_clear_error(line: Line) -> None:
    """Where a file stands in the way."""
    (line.root / ".turnout").write_text("")
    with pytest.raises(StorageFailed):
        line.do("deploy", ref="digits@1")


def test_a_killed_client_cancels_nothing(line: Line) -> None:
    """The operation goes on without anybody who follows it."""
    line.do("deploy", ref="digits@1")
    (line.root / "slow").touch()
    client = line.start_client("deploy", ref="digits@2")
    until(lambda: (line.entry()["operation"] or {}).get("verb") == "deploy")
    client.kill()
    client.communicate()
    (line.root / "slow").unlink()
    until(lambda: line.weights() == {"digits@1": 90, "digits@2": 10})


def test_ctrl_c_undoes(line: Line) -> None:
    """The client asks for cancellation and tells how it ended."""
    line.do("deploy", ref="digits@1")
    (line.root / "slow").touch()
    client = line.start_client("deploy", ref="digits@2")
    until(lambda: "waiting" in str(line.entry()["operation"]))
    client.send_signal(signal.SIGINT)
    out, _ = client.communicate(timeout=20)
    said = json.loads(out.splitlines()[-1])
    assert said["error"]["type"] == "Interrupted"
    assert line.weights() == {"digits@1": 100}
    assert line.entry()["versions"].keys() == {"digits@1"}


def test_a_cancellation_that_overtakes_its_request(line: Line) -> None:
    """An operation that was cancelled before it began never begins."""
    line.do("deploy", ref="digits@1")
    line.client._cancel("/operations/late")
    body = {"id": "late", "verb": "deploy", "model": "digits", "arguments": {"ref": "digits@2"}}
    with pytest.raises(Interrupted, match="before it began"):
        line.client._follow("/operations", body, line.steps.append)
    assert line.weights() == {"digits@1": 100}


def test_a_rollback_does_not_wait_for_a_slow_deploy(line: Line) -> None:
    """And the one who deploys is told."""
    line.do("deploy", ref="digits@1")
    line.do("deploy", ref="digits@2")
    (line.root / "slow").touch()
    client = line.start_client("deploy", ref="digits@3")
    until(lambda: "waiting" in str(line.entry()["operation"]))
    with pytest.raises(Busy, match=r"deploy of digits@3 by PID \d+ \(.+\) since .*, step 1 of 4"):
        line.do("deploy", ref="digits@4")
    assert line.do("rollback")["phase"] == "live"
    assert line.weights() == {"digits@1": 100}
    out, _ = client.communicate(timeout=20)
    assert "was rolled back by" in json.loads(out.splitlines()[-1])["error"]["what"]
    (line.root / "slow").unlink()
    until(lambda: line.entry()["versions"].keys() == {"digits@1"})


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_a_daemon_killed_at_any_step(line: Line, verb: str, step: str) -> None:
    """The client is told the outcome all the same, and the state is the old or the new one."""
    line.do("deploy", ref="digits@1")
    line.do("deploy", ref="digits@2")
    line.kill()
    arguments = {"ref": "digits@3", "share": 30} if verb == "deploy" else {"to": "digits@3"}
    client = line.start_client(verb, failpoint=f"{verb}.{step}=kill", **arguments)
    out, _ = client.communicate(timeout=60)
    said = json.loads(out.splitlines()[-1])
    old = {"digits@1": 90, "digits@2": 10}
    new = {"digits@1": 70, "digits@3": 30} if verb == "deploy" else {"digits@3": 100}
    assert line.weights() == (old if "error" in said else new), said
    if "error" in said:
        assert "call again" in said["error"]["next"]
    until(
        lambda: line.entry()["versions"].keys() == set(line.weights()) | ({"digits@1"} if verb == "deploy" else set())
    )


def test_twenty_clients_at_once(line: Line) -> None:
    """They start one daemon; each is served or told that somebody else is at work."""
    outcomes: list[str] = []

    def work(number: int) -> None:
        one = Line(line.root)
        model = "digits" if number % 2 else "credit"
        try:
            one.do("deploy", model=model, ref=f"{model}@{1 + number % 4}", share=1 + number, wait=number % 3 == 0)
        except (Busy, Refused) as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("done")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 20
    assert outcomes.count("done") >= 2
    until(lambda: len(line.processes()) == 2)
    for entry in line.client.status()["models"].values():
        assert sum(one["weight"] for one in entry["versions"].values()) == 100


def test_the_registry_is_told_of_the_champion(line: Line) -> None:
    """Some time after, by a process of its own."""
    line.do("deploy", ref="digits@1")
    told = line.root / "champion"
    until(lambda: told.exists() and told.read_text() == "digits@1 ")


def test_logs_are_read_by_version(line: Line) -> None:
    """The last lines, with the name of who wrote them when all are asked for."""
    line.do("deploy", ref="digits@1")
    logs = line.root / ".turnout" / "logs"
    (logs / "digits@1.log").write_text("".join(f"line {number}\n" for number in range(50)))
    assert line.client.logs(VersionRef("digits", 1), 2) == ["line 48", "line 49"]
    assert "digits@1: line 49" in line.client.logs(None, 1)


def test_only_the_owner_can_open_the_door(line: Line) -> None:
    """Folder 0700, socket 0600."""
    line.do("deploy", ref="digits@1")
    socket = Runtime.of(line.root).daemon_socket
    assert socket.stat().st_mode & 0o777 == 0o600
    assert socket.parent.stat().st_mode & 0o777 == 0o700
