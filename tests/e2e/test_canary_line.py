"""Rollouts that end by themselves, with real hosts, a real gateway and real load."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.line import post
from tests.e2e.running import BODY, RunningLine, running_line, wait_until
from tests.e2e.versions import row_ending_in

SETTINGS = """
judge = true
steps = [20, 50, 100]
min_requests = 20
min_minutes = 0.01
bake_minutes = 30
on_shift = "rollback"
"""
GENTLE: dict[str, Any] = {"kept": 4, "fresh": 0, "slow": 0, "pause_seconds": 0.005}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[RunningLine]:
    """A judged project whose first version serves."""
    with running_line(tmp_path / "project", versions=1, settings=SETTINGS) as made:
        made.deploy(1)
        yield made


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[RunningLine]:
    """The same with steps of half a minute: nothing is promoted before slow answers could be seen."""
    settings = SETTINGS.replace("min_minutes = 0.01", "min_minutes = 0.5")
    with running_line(tmp_path / "project", versions=1, settings=settings) as made:
        made.deploy(1)
        yield made


def rollout(line: RunningLine) -> dict[str, Any]:
    """What the status says of the rollout."""
    found: dict[str, Any] = line.entry()["rollout"] or {}
    return found


def is_in(line: RunningLine, phase: str) -> bool:
    """Whether the model is in this phase."""
    return bool(line.entry()["phase"] == phase)


def last(line: RunningLine, action: str) -> dict[str, Any]:
    """The latest event of this kind."""
    events = line.control.operator.history("digits")
    return dict(next(event for event in events if event["action"] == action))


@pytest.mark.parametrize(
    ("kind", "mood", "said"),
    [
        ("moody", "tenth", "too many failures"),
        ("moody", "503", "too many failures|failed at each of its first"),
        ("slow", "", "too many stretches of mostly slow answers"),
        ("shifted", "", "answers differently"),
    ],
)
def test_a_bad_canary_is_rolled_back_by_itself(
    patient: RunningLine, tmp_path: Path, kind: str, mood: str, said: str
) -> None:
    """Nobody is asked, the reason is told, the evidence is in the history, and no client sees a failure."""
    line = patient
    ref = line.shelf.add(2, kind)
    with line.load(tmp_path, **GENTLE) as load:
        load.wait_for_more(400)
        begun = time.monotonic()
        line.deploy(2, share=20)
        line.shelf.mood(ref, mood)
        wait_until(lambda: is_in(line, "live"), "the rollback", 60)
        took = time.monotonic() - begun
    found = rollout(line)
    print(f"{kind} {mood}: {took:.1f} s, {found['requests']} requests, {found['failures']} of them failed")  # noqa: T201
    assert line.weights() == {"digits@1": 100}
    assert any(words in found["reason"] for words in said.split("|")), found["reason"]
    assert "digits@2" in line.entry()["quarantined"]
    event = last(line, "rollback")
    assert event["evidence"]["judge"]["verdict"] == "FAIL"
    assert event["reason"] == found["reason"]
    assert all(one["replayed"] for one in line.control.operator.ask("decisions", model="digits"))


def test_a_good_canary_is_promoted_by_itself_and_an_idle_one_is_not(line: RunningLine, tmp_path: Path) -> None:
    """Without traffic it holds; with a few hundred good answers it is ramped and promoted, across a killed daemon."""
    line.shelf.add(2)
    line.deploy(2, share=20)
    wait_until(lambda: rollout(line).get("state") == "holding", "a first look")
    time.sleep(3)
    assert line.weights() == {"digits@1": 80, "digits@2": 20}
    with line.load(tmp_path, **GENTLE) as load:
        wait_until(lambda: rollout(line)["requests"] > 50, "evidence", 60)
        line.kill("daemon")
        wait_until(lambda: rollout(line)["requests"] > 50, "the evidence that was kept", 60)
        wait_until(lambda: is_in(line, "baking"), "the promotion", 90)
        load.wait_for_more(10, version=2)
    promoted = last(line, "promote")
    judged = promoted["evidence"]["judge"]
    assert judged["verdict"] == "PASS"
    assert 300 <= judged["exposure"]["candidate"] <= 2000
    assert load.log.failed == 0


def test_a_canary_whose_process_dies_is_never_promoted(line: RunningLine, tmp_path: Path) -> None:
    """Its host ends under load: it is rolled back, though the gateway saved each request."""
    line.shelf.add(2)
    with line.load(tmp_path, **GENTLE):
        line.deploy(2, share=20)
        wait_until(lambda: rollout(line).get("requests", 0) > 0, "evidence")
        victim = max(line.processes("host"), key=lambda process: process.create_time())
        victim.kill()
        wait_until(lambda: is_in(line, "live"), "the rollback", 60)
    assert "digits@2" in line.entry()["quarantined"]


def test_nobody_judges_where_nobody_shall(line: RunningLine, tmp_path: Path) -> None:
    """`--no-judge` leaves a rollout to a person, however bad the canary."""
    ref = line.shelf.add(2, "moody")
    with line.load(tmp_path, **GENTLE) as load:
        line.turnout("deploy", "digits@2", "--canary", "20", "--no-judge")
        line.shelf.mood(ref, "503")
        load.wait_for_more(1000)
    assert line.weights() == {"digits@1": 80, "digits@2": 20}
    assert rollout(line) == {}


@pytest.mark.parametrize("seldom", [False, True])
def test_a_canary_that_answers_nan_is_rolled_back_by_itself(
    patient: RunningLine, tmp_path: Path, *, seldom: bool
) -> None:
    """To all requests, or to the few that its warm-up had none of: no client gets one, and each is a failure."""
    line, stack = patient, ExitStack()
    rare = json.dumps({"inputs": row_ending_in(2.0)})
    usual = json.dumps({"inputs": row_ending_in(0.0)}) if seldom else rare
    line.shelf.add(2, "overflows")
    (tmp_path / "rare").mkdir()
    with stack:
        often = stack.enter_context(line.load(tmp_path, **GENTLE, body=usual))
        loads = [often]
        if seldom:
            gentle = {**GENTLE, "kept": 1, "pause_seconds": 0.02}
            loads.append(stack.enter_context(line.load(tmp_path / "rare", **gentle, body=rare)))
        often.wait_for_more(400)
        begun = time.monotonic()
        line.deploy(2, share=20)
        wait_until(lambda: is_in(line, "live"), "the rollback", 60)
        took = time.monotonic() - begun
    found = rollout(line)
    kind = "NaN to some" if seldom else "NaN to all"
    print(f"{kind}: {took:.1f} s, {found['requests']} requests, {found['failures']} of them failed")  # noqa: T201
    assert line.weights() == {"digits@1": 100}
    assert "digits@2" in line.entry()["quarantined"]
    event = last(line, "rollback")
    assert event["actor"] == "turnout"
    assert ("too many failures" if seldom else "failed at each of its first") in event["reason"]
    assert 0 < found["failures"] <= found["requests"]
    assert [load.log.failed for load in loads] == [0] * len(loads)


@pytest.mark.parametrize("holdback", [0, 20])
def test_late_harm_is_rolled_back_by_itself(tmp_path: Path, holdback: int) -> None:
    """A promoted version begins to fail at a tenth of its requests, and the daemon is killed over it: it is left."""
    settings = SETTINGS + f"holdback = {holdback}\n"
    with running_line(tmp_path / "project", versions=1, settings=settings) as line:
        line.deploy(1)
        ref = line.shelf.add(2, "moody")
        with line.load(tmp_path, **GENTLE) as load:
            line.deploy(2, share=20)
            line.operate("promote")
            wait_until(lambda: rollout(line).get("kind") == "bake" and rollout(line)["requests"] > 100, "a good start")
            assert line.weights()["digits@2"] == 100 - holdback
            begun = time.monotonic()
            line.shelf.mood(ref, "tenth")
            wait_until(lambda: rollout(line)["failures"] > 0 or is_in(line, "live"), "the first failures")
            line.kill("daemon")
            wait_until(lambda: is_in(line, "live"), "the rollback", 60)
            took = time.monotonic() - begun
        found = rollout(line)
        print(  # noqa: T201
            f"late, holdback {holdback}: {took:.1f} s, {found['requests']} requests, {found['failures']} of them failed"
        )
        assert line.weights() == {"digits@1": 100}
        assert "digits@2" in line.entry()["quarantined"]
        assert last(line, "rollback")["actor"] == "turnout"
        assert load.log.failed == 0


def test_a_bake_without_harm_makes_the_champion(tmp_path: Path) -> None:
    """Its end is the judge's: with its evidence in the history, and after as long as was watched."""
    settings = SETTINGS.replace("bake_minutes = 30", "bake_minutes = 0.1")
    with running_line(tmp_path / "project", versions=1, settings=settings) as line:
        line.deploy(1)
        line.shelf.add(2)
        line.deploy(2)
        line.kill("daemon")
        assert is_in(line, "baking")
        wait_until(lambda: is_in(line, "live"), "the end of the bake")
        assert line.weights() == {"digits@2": 100}
        event = last(line, "bake")
        assert event["actor"] == "turnout"
        assert "has baked for 0.1 min without harm" in event["reason"]
        assert event["evidence"]["judge"]["seconds"] >= 6


def test_a_daemon_killed_between_decision_and_switch(tmp_path: Path) -> None:
    """It has written down that it rolls back, and is dead: the next one does it, and who watches is told."""
    with running_line(tmp_path / "project", versions=1, settings=SETTINGS) as line:
        line.turnout("deploy", "digits@1", TURNOUT_FAILPOINT="rollback.intended=kill")
        first = line.only("daemon").pid
        ref = line.shelf.add(2, "moody")
        with line.load(tmp_path, **GENTLE) as load:
            watching = line.start("deploy", "digits@2", "--canary", "20", "--watch", "--json")
            wait_until(lambda: rollout(line).get("requests", 0) > 0, "the first answers")
            line.shelf.mood(ref, "503")
            out, said = watching.communicate(timeout=60)
            load.wait_for_more(10)
        assert (watching.returncode, json.loads(out)["outcome"]) == (1, "rolled back"), said
        assert "digits@2 at 20 %" in said, said
        assert is_in(line, "live")
        assert line.only("daemon").pid != first
        assert line.weights() == {"digits@1": 100}
        assert "digits@2" in line.entry()["quarantined"]
        assert [event["action"] for event in line.control.operator.history("digits")].count("rollback") == 1
        assert load.log.failed == 0


def test_one_user_is_one_trial(tmp_path: Path) -> None:
    """Who stays with a bad canary meets it hundreds of times, and is no evidence alone; a few dozen users are."""
    settings = SETTINGS.replace("[20, 50, 100]", "[50, 100]")
    with running_line(tmp_path / "project", versions=1, settings=settings) as line:
        line.deploy(1)
        ref = line.shelf.add(2, "moody")
        line.deploy(2, share=50, sticky={"kind": "header", "name": "x-user"})
        body = BODY.encode()
        # The stable version answers some, or the first failures of the candidate would be all that there is.
        came = [post(line.url(), body, **{"x-user": f"u{number}"})[2]["x-model-version"] for number in range(40)]
        wait_until(lambda: rollout(line).get("requests", 0) > 0, "the first answers")
        anna = f"u{came.index('digits@2')}"
        line.shelf.mood(ref, "503")
        with line.load(tmp_path, **GENTLE, headers={"x-user": anna}) as load:
            wait_until(lambda: rollout(line)["failures"] > 200, "many failures of one user")
        seen = rollout(line)
        assert is_in(line, "canary"), seen
        assert seen["e_harm"]["failures"] < 10
        assert load.log.failed == 0
        for number in range(40, 100):
            post(line.url(), body, **{"x-user": f"u{number}"})
        wait_until(lambda: is_in(line, "live"), "the rollback")
        assert "digits@2" in line.entry()["quarantined"]
