"""What was live when, as the journal has it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import BadInput, ServeFailed
from pipelines.local.journal import Journal
from pipelines.local.past import Past
from pipelines.values import Rollout
from tests.local.memory_target import BEGINNING
from tests.local.world import A, B, C, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A model whose promoted versions bake for an hour."""
    return World(tmp_path / "state.db", Rollout(bake_minutes=60))


def live(world: World, minutes: float, model: str = "digits") -> str | None:
    """What was live so many minutes after the beginning."""
    asked = {"model": model, "at": (BEGINNING + timedelta(minutes=minutes)).isoformat()}
    found: dict[str, Any] = Past(world.journal).room.questions["live_at"](asked)
    ref: str | None = found["ref"]
    return ref


def test_each_moment_has_its_version(world: World) -> None:
    """A canary's share makes it not the live one, a promotion does; a rollback and a stop are found too."""
    world.clock.advance(10)
    world.do("deploy", A)
    world.clock.advance(10)
    world.do("deploy", B)
    world.do("deploy", B, share=80)
    world.clock.advance(10)
    world.do("promote")
    world.clock.advance(10)
    world.do("rollback")
    world.clock.advance(10)
    world.do("deploy", C, share=100)
    world.clock.advance(70)
    world.upkeep.tick()
    world.do("down")
    found = [live(world, minutes) for minutes in (9, 10, 15, 25, 31, 41, 51, 119, 121)]
    assert found == [None, str(A), str(A), str(A), str(B), str(A), str(C), str(C), None]
    assert live(world, 15, model="credit") is None


def test_the_beginning_is_told(world: World) -> None:
    """So that who asks for a time before it hears since when there is something."""
    ask = Past(world.journal).room.questions["live_at"]
    asked = {"model": "digits", "at": BEGINNING.isoformat()}
    assert ask(asked) == {"ref": None, "begins": None}
    world.clock.advance(5)
    world.do("deploy", A)
    assert ask(asked) == {"ref": None, "begins": (BEGINNING + timedelta(minutes=5)).isoformat()}


def test_what_failed_was_never_live(world: World) -> None:
    """A deploy that was undone has left what was before."""
    world.do("deploy", A)
    world.clock.advance(5)
    world.target.broken.add(B)
    with pytest.raises(ServeFailed):
        world.do("deploy", B, share=100)
    assert live(world, 6) == str(A)


def test_many_rollouts_later_the_beginning_is_still_known(world: World) -> None:
    """The past does not end where a list of the latest events does."""
    world.settings = Rollout(bake_minutes=0)
    world.do("deploy", A)
    for _ in range(60):
        world.clock.advance(1)
        world.do("deploy", B, share=100)
        world.do("deploy", A, share=100)
    world.do("deploy", C, share=100)
    assert live(world, 0.5) == str(A)
    assert live(world, 61) == str(C)


def test_versions_whose_record_was_lost_have_a_past_from_then_on(world: World, tmp_path: Path) -> None:
    """What serves is recorded anew, and can be gone back to."""
    world.do("deploy", A)
    world.journal.close()
    world.journal = Journal(tmp_path / "new.db")
    world.boot()
    world.clock.advance(5)
    world.upkeep.recover()
    world.clock.advance(5)
    world.do("deploy", B, share=100)
    assert (live(world, 4), live(world, 6), live(world, 11)) == (None, str(A), str(B))


@pytest.mark.parametrize("at", ["", "yesterday", "0001-01-01T00:00:00+23:59"])
def test_a_time_that_is_none_is_told(world: World, at: str) -> None:
    """Not a traceback in the daemon."""
    with pytest.raises(BadInput, match="no time"):
        Past(world.journal).room.questions["live_at"]({"model": "digits", "at": at})
