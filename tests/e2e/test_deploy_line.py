"""Versions change under load and nothing is lost; whatever is killed, what serves is the old or the new, never a mix.

The short form of tests/soak/reliability.py, which counts the same things over many more requests.
"""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.errors import Refused
from tests.e2e.line import post, readme_commands
from tests.e2e.load import Timeline
from tests.e2e.running import BODY, RunningLine, running_line, wait_until


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A project with three versions; a space and a letter beyond ASCII in its path."""
    with running_line(tmp_path_factory.mktemp("Weiche 7 für") / "project", 3, "bake_minutes = 0\nkeep = 2") as line:
        yield line


@pytest.fixture
def live(line: RunningLine) -> RunningLine:
    """The project with digits@1 carrying all the traffic and nothing under way."""
    line.deploy(1)
    if line.entry()["phase"] != "live":
        line.operate("undo")
    assert line.weights() == {"digits@1": 100}
    return line


def answer(line: RunningLine, **headers: str) -> tuple[int, str]:
    """The status and the version of one request."""
    status, _, said = post(line.url(), BODY.encode(), **headers)
    return status, said.get("x-model-version", "")


def test_the_first_version_gets_everything(line: RunningLine) -> None:
    """The first deploy starts the runtime; its JSON is the status entry, and the URL in it answers."""
    done = line.turnout("deploy", "digits@1", "--json")
    entry = done.document
    assert entry["phase"] == "live"
    assert entry["versions"]["digits@1"]["weight"] == 100
    assert entry["versions"]["digits@1"]["role"] == "champion"
    assert entry["versions"]["digits@1"]["health"] == "ready"
    assert done.err.count("\n") >= 3, "each step is said in a line"
    status, body, headers = post(entry["url"] + "/predict", BODY.encode())
    assert (status, body["version"], headers["x-model-version"]) == (200, 1, "digits@1")
    shown = line.turnout("status", "--json").document["models"]["digits"]
    assert shown["versions"].keys() == entry["versions"].keys()
    assert "digits@1" in line.turnout("status").out


def test_a_repeated_deploy_changes_nothing(live: RunningLine) -> None:
    """The same deploy again starts nothing and routes nothing."""
    before = {process.pid for process in live.processes()}
    live.deploy(1)
    assert {process.pid for process in live.processes()} == before


def test_switches_and_ramps_lose_nothing(live: RunningLine, tmp_path: Path) -> None:
    """Under load no request fails, and none that began after a command's answer is served by the version left."""
    line = Timeline()
    with live.load(tmp_path, kept=4, fresh=2, slow=2, slow_seconds=0.3) as load:
        load.wait_for_more(200)
        for number in (2, 3, 1):
            line.do(lambda number=number: live.deploy(number), number)
            load.wait_for_more(150)
        for share in (10, 50):
            line.do(lambda share=share: live.deploy(2, share), 1, 2)
            assert live.weights() == {"digits@1": 100 - share, "digits@2": share}
            load.wait_for_more(30, version=2)
        line.do(lambda: live.operate("promote"), 2)
        load.wait_for_more(150)
    assert load.log.failed == 0, load.log.failures
    assert line.strangers(load.log) == 0
    assert set(load.log.by_version()) == {1, 2, 3}


def test_a_rollback_under_load_loses_nothing(live: RunningLine, tmp_path: Path) -> None:
    """The canary has no traffic when the command has answered; it is quarantined until a reason is given."""
    live.deploy(3, 50)
    with live.load(tmp_path, kept=4, fresh=1, slow=1, slow_seconds=0.3) as load:
        load.wait_for_more(100, version=3)
        line = Timeline()
        line.do(lambda: live.operate("rollback", reason="it lies"), 1)
        load.wait_for_more(200)
    assert load.log.failed == 0, load.log.failures
    assert line.strangers(load.log) == 0
    entry = live.entry()
    assert entry["quarantined"] == {"digits@3": "it lies"}
    assert live.weights() == {"digits@1": 100}
    with pytest.raises(Refused, match="it lies"):
        live.deploy(3, 10)
    live.deploy(3, 10, force=True, reason="it was the data")
    assert live.entry()["quarantined"] == {}


def test_a_user_stays_with_a_version_while_the_share_grows(live: RunningLine) -> None:
    """With a sticky header the same user meets the same version; from 20 to 60 % nobody moves back."""
    live.deploy(2, 20, sticky={"kind": "header", "name": "x-user"})
    users = [f"user-{number}" for number in range(120)]
    few = {user for user in users if answer(live, **{"x-user": user}) == (200, "digits@2")}
    assert {user for user in users if answer(live, **{"x-user": user}) == (200, "digits@2")} == few
    live.deploy(2, 60)
    many = {user for user in users if answer(live, **{"x-user": user}) == (200, "digits@2")}
    assert few <= many
    assert 0 < len(few) < len(many) < len(users)


def test_a_shadow_answers_nobody(live: RunningLine, tmp_path: Path) -> None:
    """All answers are the live version's; the override header reaches the shadow, and an unknown version is a 404."""
    live.deploy(2, "shadow")
    with live.load(tmp_path, kept=2, fresh=1, slow=0) as load:
        load.wait_for_more(200)
    assert load.log.by_version() == {1: len(load.log.records)}
    assert answer(live, **{"x-turnout-version": "digits@2"}) == (200, "digits@2")
    assert answer(live, **{"x-turnout-version": "digits@99"})[0] == 404


def test_a_dry_run_changes_nothing(live: RunningLine) -> None:
    """The plan names the start, the split and what is stopped; afterwards all is as it was."""
    before = live.entry()["versions"].keys()
    plan = live.turnout("deploy", "digits@2", "--canary", "10", "--dry-run", "--json").document
    assert plan["dry_run"] is True
    assert any("digits@2" in step for step in plan["steps"])
    assert live.entry()["versions"].keys() == before
    assert live.weights() == {"digits@1": 100}


@pytest.mark.parametrize("mood", ["503", "reset", "hang", "die"])
def test_a_misbehaving_canary_hurts_nobody(live: RunningLine, tmp_path: Path, mood: str) -> None:
    """Each request still gets a good answer, and the failures are counted against the canary."""
    ref = live.shelf.add(8, "moody")
    live.shelf.mood(ref, "")
    live.deploy(8, 30, force=True, reason="a test")
    try:
        with live.load(tmp_path, kept=3, fresh=1, slow=0) as load:
            load.wait_for_more(20, version=8)
            live.shelf.mood(ref, mood)
            load.wait_for_more(200)
            wait_until(lambda: live.entry()["versions"]["digits@8"]["failures"] > 0, f"{mood} is counted")
        assert load.log.failed == 0, load.log.failures
        assert live.entry()["versions"]["digits@1"]["failures"] == 0
    finally:
        live.shelf.mood(ref, "")
        live.operate("undo")


@pytest.mark.parametrize("role", ["daemon", "guardian"])
def test_without_its_keepers_the_line_serves_on(live: RunningLine, tmp_path: Path, role: str) -> None:
    """A killed daemon or guardian costs no request; each is brought back by the other, without a command."""
    hosts = {process.pid for process in live.processes("host")}
    gateway = live.only("gateway").pid
    with live.load(tmp_path, kept=3, fresh=1, slow=1) as load:
        load.wait_for_more(50)
        killed = live.only(role)
        killed.kill()
        wait_until(lambda: [one.pid for one in live.processes(role)] not in ([], [killed.pid]), f"a new {role}")
        wait_until(lambda: live.weights() == {"digits@1": 100}, "the status")
        load.wait_for_more(50)
    assert load.log.failed == 0, load.log.failures
    assert {process.pid for process in live.processes("host")} == hosts
    assert live.only("gateway").pid == gateway


@pytest.mark.parametrize("role", ["gateway", "host"])
def test_what_serves_comes_back(live: RunningLine, role: str) -> None:
    """A killed gateway or host is replaced without any command, and the same version serves."""
    killed = live.processes(role)
    for process in killed:
        process.kill()
    wait_until(lambda: answer(live) == (200, "digits@1"), f"an answer after the {role} was killed")
    wait_until(lambda: len(live.processes(role)) == len(killed), "as many processes as before")


def test_a_hung_host_is_replaced(live: RunningLine) -> None:
    """A stopped process is out of rotation, killed and replaced; no orphan stays."""
    # One that is loading has two minutes for it, hung or not: the test before may have left a standby that is.
    wait_until(lambda: {one["health"] for one in live.entry()["versions"].values()} == {"ready"}, "all to be ready")
    hung = live.processes("host")
    for process in hung:
        process.send_signal(signal.SIGSTOP)
    wait_until(lambda: answer(live) == (200, "digits@1"), "an answer after the hang", 30)
    wait_until(lambda: not any(process.is_running() for process in hung), "the end of the hung ones", 30)


def test_after_a_reboot_up_brings_back_what_was_live(live: RunningLine) -> None:
    """Everything killed in mid-canary: `turnout up` restores the same split."""
    live.deploy(2, 25)
    live.kill()
    entry = live.turnout("up", "--json").document["models"]["digits"]
    assert {ref: one["weight"] for ref, one in entry["versions"].items() if one["weight"]} == {
        "digits@1": 75,
        "digits@2": 25,
    }
    assert {answer(live)[0] for _ in range(20)} == {200}


@pytest.mark.parametrize(
    ("kind", "says"),
    [("crashes", "this version crashes at its start"), ("nan", "finite")],
)
def test_a_bad_version_leaves_the_live_one_untouched(live: RunningLine, tmp_path: Path, kind: str, says: str) -> None:
    """A version that does not start, or answers NaN, is refused with its own words; the old one answers all."""
    number = {"crashes": 11, "nan": 12}[kind]
    live.shelf.add(number, kind)
    with live.load(tmp_path, kept=2, fresh=1, slow=0) as load:
        done = live.turnout("deploy", f"digits@{number}", "--json", code=1)
        load.wait_for_more(20)
    assert says in done.document["error"]["message"]
    assert load.log.failed == 0, load.log.failures
    assert live.weights() == {"digits@1": 100}
    assert f"digits@{number}" not in live.entry()["versions"]


def test_a_changed_bento_is_not_started(live: RunningLine) -> None:
    """A bento that was changed or deleted after packaging is refused, and the cure named."""
    ref = live.shelf.add(13)
    bento = live.shelf.catalogue.get(ref)
    assert bento is not None
    warmup = Path(bento.sources) / "warmup.json"
    warmup.write_text(warmup.read_text() + " ")
    done = live.turnout("deploy", "digits@13", "--json", code=1)
    assert "turnout package digits@13" in done.document["error"]["message"]
    assert live.weights() == {"digits@1": 100}


def test_versions_that_may_not_run_are_refused(live: RunningLine) -> None:
    """An unpackaged and a failed version are refused with exit code 1; a reason overrides the latter, on record."""
    live.shelf.add(14, is_passed=False)
    assert live.turnout("deploy", "digits@99", "--json", code=1).document["error"]["type"] == "Refused"
    assert live.turnout("deploy", "digits@14", "--json", code=1).document["error"]["type"] == "Refused"
    live.turnout("deploy", "digits@14", "--canary", "10", "--force", "--reason", "a try", "--yes")
    assert "a try" in json.dumps(live.turnout("history", "digits", "--json").document)
    live.operate("undo")


def test_the_way_back_to_a_time(live: RunningLine) -> None:
    """What was live at a moment is live again, cold or warm; the answer says when that was, and the history why."""
    before = datetime.now(UTC)
    live.deploy(2)
    live.deploy(3)
    live.turnout("rollback", "digits", "--to-time", "2001-01-01", code=1)
    assert live.weights() == {"digits@3": 100}
    done = live.turnout("rollback", "digits", "--to-time", before.isoformat(), "--no-quarantine")
    assert live.weights() == {"digits@1": 100}
    assert "(local time): digits@1" in done.out
    last = live.turnout("history", "digits", "--json").document[0]
    assert {"at", "actor", "action", "from", "to", "reason", "evidence"} <= last.keys()
    assert (last["action"], last["from"], last["to"]) == ("rollback", "digits@3", "digits@1")
    assert "which was live at" in last["reason"]


def test_the_readmes_way_into_production_and_back(tmp_path: Path) -> None:
    """The README's commands, as they stand there: a first version, a canary, all the traffic, and back."""
    first, second = "digits@1", "digits@2"
    steps = {
        "deploy digits@1": ("live", {first: 100}),
        "deploy digits@2 --canary 10": ("canary", {first: 90, second: 10}),
        "status digits": ("canary", {first: 90, second: 10}),
        "promote digits": ("baking", {second: 100}),
        "rollback digits": ("live", {first: 100}),
    }
    assert [" ".join(command) for command in readme_commands(__file__)] == list(steps)
    with running_line(tmp_path / "p", 2) as line:
        for command, (phase, weights) in steps.items():
            shown = line.turnout(*command.split()).out
            assert line.entry()["phase"] == phase, shown
            assert line.weights() == weights, shown
            assert all(ref in shown for ref in weights), shown
        assert answer(line) == (200, first)
        assert second in line.entry()["quarantined"]


def test_a_rollback_with_nowhere_to_go_says_so(tmp_path: Path) -> None:
    """A single version has nothing behind it: exit code 1, and it serves on."""
    with running_line(tmp_path / "p", 1, "bake_minutes = 0") as line:
        line.deploy(1)
        done = line.turnout("rollback", "digits", "--json", code=1)
        assert "nowhere" in done.document["error"]["message"]
        assert line.weights() == {"digits@1": 100}


def test_one_operator_at_a_time(live: RunningLine) -> None:
    """Of many commands at once each ends with 0 or 3, and the state is that of one of them, whole."""
    commands = [("deploy", f"digits@{number}", "--canary", str(share)) for number in (2, 3) for share in (10, 20, 30)]
    started = [live.start(*command, "--json") for command in commands]
    ended = [(process.communicate(timeout=120)[0], process.returncode) for process in started]
    assert {code for _, code in ended} <= {0, 3}, ended
    busy = [json.loads(out)["error"]["message"] for out, code in ended if code == 3]
    assert all("PID" in message and "since" in message for message in busy)
    weights = live.weights()
    assert sum(weights.values()) == 100
    assert set(weights) in ({"digits@1", "digits@2"}, {"digits@1", "digits@3"})


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """When somebody listens on the port already, the command says who, and nothing is left running."""
    with running_line(tmp_path / "p", 1) as line, socket.socket() as stranger:
        stranger.bind(("127.0.0.1", line.port))
        stranger.listen()
        done = line.turnout("deploy", "digits@1", "--json", code=1)
        assert str(line.port) in done.document["error"]["message"]
        assert "PID" in done.document["error"]["message"]


def test_a_long_path_with_spaces_works(tmp_path: Path) -> None:
    """Sockets need short paths, projects do not have them."""
    deep = tmp_path / ("Bahnhof für Weichen " * 5).strip() / ("ü" * 40)
    with running_line(deep, 1) as line:
        assert len(str(line.root)) > 150
        line.deploy(1)
        assert answer(line) == (200, "digits@1")


def test_down_stops_everything(tmp_path: Path) -> None:
    """After `down --yes` no process is left, and the next deploy starts anew."""
    with running_line(tmp_path / "p", 1) as line:
        line.deploy(1)
        line.turnout("down", "--json", code=2)
        assert answer(line) == (200, "digits@1")
        line.turnout("down", "--yes")
        wait_until(lambda: not line.processes(), "the end of all processes", 15)
        line.turnout("up")
        assert answer(line) == (200, "digits@1")
