"""Killed at any step, an operation leaves the old state or the new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import StorageFailed, TurnoutError
from pipelines.local.engine import Request
from pipelines.local.failpoints import NAMES, STEPS, VERBS, failpoint
from pipelines.local.journal import Journal
from pipelines.values import Rollout, Split
from tests.local.world import ANNA, A, B, C, Crash, World


def nothing(world: World) -> None:
    """No version yet."""
    del world


def live(world: World) -> None:
    """One version."""
    world.do("deploy", A)


def canary(world: World) -> None:
    """One version and a canary."""
    live(world)
    world.do("deploy", B)


def stopped(world: World) -> None:
    """One version, stopped."""
    live(world)
    world.do("down")


def baked(world: World) -> None:
    """A version whose bake is over."""
    live(world)
    world.do("deploy", B, share=100)
    world.clock.advance(11)


@dataclass(frozen=True)
class Scene:
    """What was before, and what is done."""

    before: Callable[[World], None]
    act: Callable[[World], Any]


SCENES = {
    "deploy": Scene(canary, lambda world: world.do("deploy", C, share=30)),
    "promote": Scene(canary, lambda world: world.do("promote")),
    "rollback": Scene(canary, lambda world: world.do("rollback", to="digits@3")),
    "undo": Scene(canary, lambda world: world.do("undo")),
    "down": Scene(live, lambda world: world.do("down")),
    "up": Scene(stopped, lambda world: world.do("up")),
    "bake": Scene(baked, lambda world: world.upkeep.tick()),
}
FIRST = Scene(nothing, lambda world: world.do("deploy", A))
# These start nothing, or stop nothing: they never come there.
NEVER = {
    *(f"{verb}.{step}" for verb in ("promote", "undo", "down", "bake") for step in ("starting", "started")),
    *(f"{verb}.{step}" for verb in ("promote", "up") for step in ("stopping", "stopped")),
}


def crash(tmp_path: Path, name: str, scene: Scene) -> None:
    """Crash there, and compare what a new daemon makes of it with what was and what would have been."""
    fine, world = World(tmp_path / "fine.db"), World(tmp_path / "state.db")
    for one in (fine, world):
        one.settings = Rollout(keep=0)
        scene.before(one)
    before, served = world.now, bool(world.weights())
    scene.act(fine)
    world.crash_at = name
    with pytest.raises(Crash):
        scene.act(world)
    assert bool(world.weights()) or not served or name.startswith("down"), "what serves goes on without a daemon"
    world.boot()
    world.upkeep.recover()
    assert world.now in (before, fine.now)
    assert frozenset(world.target.health()) == world.now.running
    recorded = world.now.split or Split("digits")
    assert world.weights() == {ref: weight for ref, weight in recorded.weights.items() if weight}
    assert world.journal.unfinished() == []
    if name.startswith("rollback") and not name.endswith("accepted"):
        assert world.now == fine.now, "a rollback that was begun is finished"


@pytest.mark.parametrize("name", sorted(NAMES - NEVER))
def test_a_crash_at_any_step_leaves_the_old_state_or_the_new(tmp_path: Path, name: str) -> None:
    """A new daemon finishes or undoes what it finds, without a mix, an orphan or an open intent."""
    crash(tmp_path, name, SCENES[name.partition(".")[0]])


@pytest.mark.parametrize("step", [step for step in STEPS if step not in {"accepted", "stopping", "stopped"}])
def test_who_asks_again_before_recovery_is_told_how_it_ended(tmp_path: Path, step: str) -> None:
    """The same request to the next daemon, which has not looked yet at what was left: done or undone, and so it is."""
    world = World(tmp_path / "state.db")
    canary(world)
    before, request = world.now, Request("the same", "deploy", "digits", {"ref": str(C), "share": 30}, ANNA)
    world.crash_at = f"deploy.{step}"
    with pytest.raises(Crash):
        world.engine.operate(request)
    world.boot()
    if step in {"routed", "recorded"}:
        assert world.engine.operate(request).deployment == world.now
        assert world.weights() == {A: 70, C: 30}
    else:
        with pytest.raises(TurnoutError, match="was undone"):
            world.engine.operate(request)
        assert world.now == before
    assert world.journal.unfinished() == []


@pytest.mark.parametrize("step", [step for step in STEPS if not step.startswith("stop")])
def test_a_crash_in_a_first_deploy(tmp_path: Path, step: str) -> None:
    """Where nothing served, the version serves or nothing does."""
    crash(tmp_path, f"deploy.{step}", FIRST)


def test_each_step_is_reached_or_known_not_to_be(tmp_path: Path) -> None:
    """A new step, or a new verb, without a crash test fails here."""
    reached = set()
    for verb, scene in SCENES.items():
        world = World(tmp_path / f"{verb}.db")
        world.settings = Rollout(keep=0)
        scene.before(world)
        world.reached.clear()
        scene.act(world)
        reached |= {name for name in world.reached if name.startswith(verb)}
    assert reached == NAMES - NEVER
    assert set(SCENES) == set(VERBS)
    assert len(NAMES) == len(VERBS) * len(STEPS)


def test_an_unregistered_failpoint_is_a_mistake() -> None:
    """So that no step escapes the crash tests."""
    with pytest.raises(LookupError):
        failpoint("deploy.somewhere")


@pytest.mark.parametrize("step", ["intended", "started", "routing", "routed"])
def test_an_unexpected_exception_is_undone_like_any_other(tmp_path: Path, step: str) -> None:
    """And told with its type."""
    world = World(tmp_path / "state.db", real_reach=lambda name: failpoint(name, f"deploy.{step}=raise"))
    with pytest.raises(TurnoutError, match="RuntimeError: failpoint"):
        world.do("deploy", A)
    assert world.weights() == {}
    assert not world.target.health()
    assert world.journal.unfinished() == []


class Full(Journal):
    """A journal that cannot record an outcome."""

    is_full = False

    def finish(self, *arguments: Any, **rest: Any) -> None:
        """Refuse."""
        if self.is_full:
            raise StorageFailed("the disk is full")
        super().finish(*arguments, **rest)


def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path) -> None:
    """The live version is untouched; a rollback stays where it went, and is recorded when there is room."""
    world = World(tmp_path / "old.db")
    world.journal.close()
    full = world.journal = Full(tmp_path / "state.db")
    world.boot()
    world.do("deploy", A)
    full.is_full = True
    with pytest.raises(StorageFailed):
        world.do("deploy", B)
    assert world.weights() == {A: 100}
    full.is_full = False
    world.upkeep.recover()
    assert world.now.candidate is None
    world.do("deploy", B)
    full.is_full = True
    with pytest.raises(StorageFailed, match="finished as soon as there is room"):
        world.do("rollback")
    assert world.weights() == {A: 100}
    full.is_full = False
    world.upkeep.recover()
    assert world.now.quarantined.keys() == {B}
    assert frozenset(world.target.health()) == {A}
