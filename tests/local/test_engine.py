"""Operations: whole or not at all, one at a time a model, and sound after a crash at any step."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import BadInput, Busy, Interrupted, NoSuchModel, Refused, ServeFailed
from pipelines.local.engine import Request
from pipelines.local.journal import Journal
from pipelines.values import Bento, Phase, Rollout, Split, VersionRef
from tests.local.world import ANNA, A, B, C, Thread, Watch, World, until

D = VersionRef("digits", 4)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty one."""
    return World(tmp_path / "state.db")


def test_a_line_of_operations(world: World) -> None:
    """Deploy, canary, ramp, promote, bake: the target does what is recorded, at each step."""
    world.do("deploy", A)
    assert world.weights() == {A: 100}
    world.do("deploy", B)
    assert world.weights() == {A: 90, B: 10}
    world.do("deploy", B, share=50)
    world.do("promote")
    assert world.weights() == {B: 100}
    assert world.now.phase is Phase.BAKING
    world.clock.advance(9.9)
    world.upkeep.tick()
    assert world.now.phase is Phase.BAKING
    world.clock.advance(0.2)
    world.upkeep.tick()
    assert (world.now.phase, world.now.champion, world.now.standbys) == (Phase.LIVE, B, (A,))
    world.do("rollback")
    assert world.weights() == {A: 100}
    assert frozenset(world.target.health()) == {A}


def test_a_second_rollback_at_once_is_the_same_one(world: World) -> None:
    """Two have seen the same harm: the champion, which has done none, stays. A minute later it means the champion."""
    world.do("deploy", A, share=100)
    for ref in (B, C):
        world.do("deploy", ref)
        world.do("promote")
        world.clock.advance(11)
        world.upkeep.tick()
    world.do("deploy", D)
    world.do("rollback")
    first = world.now
    assert (first.champion, list(first.quarantined)) == (C, [D])
    watch = Watch(world.target.calls)
    done = world.engine.operate(Request("again", "rollback", "digits", {}), watch)
    assert (done.changed, world.now) == (False, first)
    assert "nothing to do: digits@3 serves; --to REF goes further back" in [step.says for step in watch.steps]
    world.do("rollback", to=str(B))
    assert world.now.champion == B
    world.do("deploy", C, share=100, force=True, reason="it was good")
    world.clock.advance(11)
    world.upkeep.tick()
    world.do("rollback")
    assert world.now.champion == B, "what was promoted since is left, however soon"


def test_a_rollback_later_leaves_the_champion(world: World) -> None:
    """What was gone back to an hour ago may be what does harm now."""
    world.do("deploy", A, share=100)
    world.do("deploy", B)
    world.do("promote")
    world.clock.advance(11)
    world.upkeep.tick()
    world.do("deploy", C)
    world.do("rollback")
    world.clock.advance(2)
    world.do("rollback")
    assert world.now.champion == A
    assert set(world.now.quarantined) == {B, C}


def test_the_order_is_start_route_stop(world: World) -> None:
    """A version is up before it gets traffic, and has none before it is stopped."""
    world.do("deploy", A)
    world.do("deploy", B)
    world.target.calls.clear()
    world.do("deploy", C)
    assert world.target.calls == ["start digits@3", "route digits", "stop digits@2"]


def test_progress_and_the_answer_come_before_the_draining(world: World) -> None:
    """Whoever waits is told when the traffic has moved, not when the last old request was answered."""
    world.do("deploy", A)
    world.do("deploy", B)
    watch = Watch(world.target.calls)
    world.engine.operate(Request("x", "deploy", "digits", {"ref": "digits@3"}), watch)
    assert [step.says for step in watch.steps] == [
        "start digits@3",
        "start digits@3: starting",
        "route digits: digits@1 90 %, digits@3 10 %",
    ]
    assert "stop digits@2" not in watch.calls_at_done
    assert "stop digits@2" in world.target.calls


def test_the_same_id_is_the_same_operation(world: World) -> None:
    """A client that asks again after its connection broke changes nothing, and is told the outcome."""
    request = Request("same", "deploy", "digits", {"ref": "digits@1"}, ANNA)
    world.engine.operate(request)
    calls = list(world.target.calls)
    assert world.engine.operate(request).deployment.champion == A
    assert world.target.calls == calls
    bad = Request("bad", "deploy", "digits", {"ref": "digits@2"}, ANNA)
    world.target.broken.add(B)
    for _ in range(2):
        with pytest.raises(ServeFailed, match="broken"):
            world.engine.operate(bad)
    assert world.target.calls.count("start digits@2") == 1


def test_a_dry_run_changes_nothing(world: World) -> None:
    """It says the steps."""
    world.do("deploy", A)
    calls = list(world.target.calls)
    done = world.do("deploy", B, dry_run=True)
    assert done.steps == ("start digits@2", "route digits: digits@1 90 %, digits@2 10 %", "record it")
    assert world.do("deploy", A, dry_run=True).steps == ()
    assert world.target.calls == calls
    assert world.now.candidate is None


@pytest.mark.parametrize(
    ("verb", "arguments", "error"),
    [
        ("dance", {}, BadInput),
        ("deploy", {}, BadInput),
        ("deploy", {"ref": "digits@latest"}, BadInput),
        ("deploy", {"ref": "credit@1"}, BadInput),
        ("deploy", {"ref": "digits@9"}, Refused),
        ("deploy", {"ref": "digits@1", "share": 0}, BadInput),
        ("deploy", {"ref": "digits@1", "share": "half"}, BadInput),
        ("deploy", {"ref": "digits@1", "force": True}, BadInput),
        ("deploy", {"ref": "digits@1", "sticky": {"kind": "address", "name": "x"}}, BadInput),
        ("rollback", {}, Refused),
        ("promote", {}, Refused),
    ],
)
def test_a_wrong_call_changes_nothing(world: World, verb: str, arguments: Mapping[str, Any], error: type) -> None:
    """It is refused before the intent."""
    with pytest.raises(error):
        world.engine.operate(Request("x", verb, "digits", arguments, ANNA))
    assert world.target.calls == []
    assert world.journal.operation("x") is None
    assert world.engine.turns.active() == []


def test_an_unknown_model_is_named(world: World) -> None:
    """The project decides which there are."""
    with pytest.raises(NoSuchModel):
        world.engine.operate(Request("x", "deploy", "other", {"ref": "other@1"}))


def test_a_version_that_does_not_start_leaves_all_as_it_was(world: World) -> None:
    """The error says that the live version is untouched, and history has it."""
    world.do("deploy", A)
    world.target.broken.add(B)
    before = world.now
    with pytest.raises(ServeFailed, match=r"What was live is untouched: digits@1\."):
        world.do("deploy", B)
    assert world.now == before
    assert frozenset(world.target.health()) == {A}
    assert [line.action for line in world.journal.history("digits")] == ["deploy failed", "deploy"]


def test_a_split_that_is_refused_is_undone(world: World) -> None:
    """What was started for it is stopped again."""
    world.do("deploy", A)
    world.target.rejects = True
    with pytest.raises(ServeFailed):
        world.do("deploy", B)
    world.target.rejects = False
    world.upkeep.recover()
    assert world.weights() == {A: 100}
    assert frozenset(world.target.health()) == {A}
    assert world.journal.unfinished() == []


def test_a_target_that_reports_another_split_is_not_believed(world: World) -> None:
    """What was asked for is compared with what the target says."""
    world.do("deploy", A)
    world.target.reports = Split("digits", {A: 100})
    with pytest.raises(ServeFailed, match="the gateway reports"):
        world.do("deploy", B)
    assert world.now.candidate is None


def test_a_deploy_that_does_not_fit_is_refused(world: World) -> None:
    """Before anything is started."""
    world.do("deploy", A)
    world.available = 249.0
    with pytest.raises(Refused, match="need 50 MB"):
        world.do("deploy", B)
    world.available = 250.0
    world.do("deploy", B)


def test_a_failed_version_needs_a_reason(world: World) -> None:
    """The reason is in the history."""
    world.catalogue.put(Bento(B, "/b", "d", is_passed=False))
    world.do("deploy", A)
    with pytest.raises(Refused, match="has not passed"):
        world.do("deploy", B)
    world.do("deploy", B, force=True, reason="demo for the board")
    assert world.journal.history("digits")[0].reason == "demo for the board"


def test_the_second_operator_is_told_who_is_at_work(world: World) -> None:
    """At once, with person, time and step; with `wait` it comes after."""
    world.do("deploy", A)
    gate = world.target.gates[B] = threading.Event()
    first = Thread(lambda: world.do("deploy", B))
    until(lambda: "start digits@2" in world.target.calls)
    with pytest.raises(Busy, match=r"busy: deploy of digits@2 by PID 123 \(anna\) since \d\d:\d\d:\d\d, step 1 of 3"):
        world.do("deploy", C)
    waiting = Thread(lambda: world.do("deploy", C, wait=True))
    gate.set()
    assert first.ended() is None
    assert waiting.ended() is None
    assert world.now.candidate == C


def test_a_rollback_does_not_wait_for_a_start(world: World) -> None:
    """It takes over while the deploy is still waiting for its version; the deploy is told by whom."""
    world.do("deploy", A)
    world.do("deploy", B)
    gate = world.target.gates[C] = threading.Event()
    deploying = Thread(lambda: world.do("deploy", C))
    until(lambda: "start digits@3" in world.target.calls)
    world.do("rollback")
    assert world.weights() == {A: 100}
    assert set(world.now.quarantined) == {B, C}
    gate.set()
    error = deploying.ended()
    assert isinstance(error, Refused)
    assert "was rolled back by PID 123 (anna)" in str(error)
    assert frozenset(world.target.health()) == {A}
    assert world.journal.unfinished() == []


def test_a_rollback_during_a_deploy_leaves_the_champion(world: World) -> None:
    """What the person rolls back is what was coming."""
    world.settings = Rollout(bake_minutes=0)
    world.do("deploy", A)
    world.do("deploy", B, share=100)
    gate = world.target.gates[C] = threading.Event()
    deploying = Thread(lambda: world.do("deploy", C))
    until(lambda: "start digits@3" in world.target.calls)
    world.do("rollback")
    gate.set()
    deploying.ended()
    assert world.weights() == {B: 100}
    assert set(world.now.quarantined) == {C}


def test_a_cancelled_deploy_is_undone(world: World) -> None:
    """Before the traffic moves; afterwards it is too late."""
    world.do("deploy", A)
    world.target.gates[B] = threading.Event()
    deploying = Thread(lambda: world.engine.operate(Request("x", "deploy", "digits", {"ref": "digits@2"}, ANNA)))
    until(lambda: "start digits@2" in world.target.calls)
    assert world.engine.cancel("x")
    assert isinstance(deploying.ended(), Interrupted)
    assert frozenset(world.target.health()) == {A}
    assert not world.engine.cancel("x")


def test_two_models_do_not_wait_for_each_other(world: World) -> None:
    """Turns are taken by model."""
    other = VersionRef("credit", 1)
    world.catalogue.put(Bento(other, "/c", "d", is_passed=True))
    gate = world.target.gates[A] = threading.Event()
    deploying = Thread(lambda: world.do("deploy", A))
    until(lambda: "start digits@1" in world.target.calls)
    world.engine.operate(Request("c", "deploy", "credit", {"ref": "credit@1"}, ANNA))
    gate.set()
    assert deploying.ended() is None


def test_twenty_operators_at_once(world: World) -> None:
    """One holder at a time; each of the others is told so, or served in turn."""
    world.do("deploy", A)

    def work(number: int) -> None:
        if number % 5 == 0:
            world.engine.operate(Request(f"r{number}", "rollback", "digits", {"quarantine": False}, ANNA))
        ref = f"digits@{2 + number % 3}"
        arguments = {"ref": ref, "share": 5 + number}
        world.engine.operate(Request(f"d{number}", "deploy", "digits", arguments, ANNA, wait=number % 2 == 0))

    threads = [Thread(lambda number=number: work(number)) for number in range(20)]  # type: ignore[misc]
    errors = [thread.ended() for thread in threads]
    assert all(error is None or isinstance(error, (Busy, Refused)) for error in errors), errors
    assert any(error is None for error in errors)
    assert world.target.most_at_once == 1
    world.upkeep.recover()
    assert frozenset(world.target.health()) == world.now.running
    assert sum(world.weights().values()) == 100
    assert world.journal.unfinished() == []


def test_after_a_reboot_what_was_live_is_back(world: World) -> None:
    """Hosts, standbys and split; what does not start leaves its share to the others until it does."""
    world.do("deploy", A)
    world.do("deploy", B)
    world.target.reboot()
    world.target.broken.add(B)
    world.boot()
    world.upkeep.recover()
    assert world.weights() == {A: 100}
    assert world.now.candidate == B
    world.target.broken.clear()
    world.upkeep.keep("digits")
    assert world.weights() == {A: 90, B: 10}


def test_a_lost_journal_stops_nothing(world: World, tmp_path: Path) -> None:
    """What serves is taken for what was recorded."""
    world.do("deploy", A)
    world.do("deploy", B)
    world.journal.close()
    world.journal = Journal(tmp_path / "new.db")
    world.boot()
    world.upkeep.recover()
    assert world.weights() == {A: 90, B: 10}
    assert (world.now.champion, world.now.candidate) == (A, B)


def test_the_champion_is_told_once(world: World) -> None:
    """A message each time another version is champion, and only then."""
    world.settings = Rollout(bake_minutes=0)
    world.do("deploy", A)
    world.do("deploy", B)
    world.do("promote")
    world.do("promote", B)
    world.do("rollback")
    world.do("down")
    world.do("up")
    assert [message.body["ref"] for message in world.journal.undelivered()] == ["digits@1", "digits@2", "digits@1"]


def test_a_bake_waits_for_a_version_that_is_down(world: World) -> None:
    """A version that does not answer has not passed."""
    world.do("deploy", A)
    world.do("deploy", B, share=100)
    world.target.mark(B, "unhealthy")
    world.clock.advance(11)
    world.upkeep.tick()
    assert world.now.phase is Phase.BAKING
    world.target.mark(B, "ready")
    world.upkeep.tick()
    assert world.now.champion == B


def test_a_version_given_up_is_started_again_by_a_deploy(world: World) -> None:
    """The same command that would change nothing brings it back."""
    world.do("deploy", A)
    world.target.mark(A, "failed")
    world.do("deploy", A)
    assert world.target.health()[A].health == "ready"
