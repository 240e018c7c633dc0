"""ship: what runs after which change, what is explained, what is forced, and what a killed one leaves to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.ports import Ports
from pipelines.stages.ship import Shipped, explain, ship
from pipelines.values import Comparison, Gates, Threshold, Verdict
from tests.fakes import FakeExecutions, FakeRegistry
from tests.stages.world import World


def shipped(world: World, *, force: bool = False, **texts: str) -> Shipped:
    """Ship the model."""
    return ship(world.project, "digits", texts, world.ports, world.reporter, force=force)


def outcomes(done: Shipped) -> list[str]:
    """What each stage did."""
    return [step.outcome for step in done.steps]


def expected(world: World, *, force: bool = False, **texts: str) -> list[str]:
    """What `explain` says each stage would do."""
    told = explain(world.project, "digits", texts, world.ports, force=force)
    return ["done" if step.outcome == "due" else step.outcome for step in told.steps]


def change(world: World, name: str) -> None:
    """One byte in a file that the fake digests know by its name."""
    world.digests.contents[name] = "changed"


def module(world: World) -> None:
    """An imported module changes."""
    change(world, "features.py")


TABLE: dict[str, tuple[Callable[[World], Any], list[str], str]] = {
    "nothing": (lambda _: None, ["reused", "reused", "reused"], ""),
    "a cell of the training notebook": (
        lambda world: change(world, "train.ipynb"),
        ["done", "done", "done"],
        "cell 1 changed",
    ),
    "a cell of the validation notebook": (
        lambda world: change(world, "validate.ipynb"),
        ["reused", "done", "reused"],
        "cell 1 changed",
    ),
    "an imported module": (module, ["done", "done", "done"], "module features.py changed"),
    "the lock": (
        lambda world: change(world, "requirements.lock"),
        ["done", "done", "done"],
        "requirements.lock changed",
    ),
    "a parameter of the project file": (
        lambda world: setattr(world, "parameters", {"epochs": 9}),
        ["done", "done", "done"],
        "parameter epochs 8 -> 9",
    ),
    "a threshold": (
        lambda world: setattr(world, "gates", Gates((Threshold("accuracy", min=0.8),))),
        ["reused", "reused", "reused"],
        "",
    ),
}


@pytest.mark.parametrize("what", TABLE)
def test_exactly_what_depends_on_a_change_runs(tmp_path: Path, what: str) -> None:
    """And the step says what it was; `explain` says the same beforehand, and does nothing."""
    (tmp_path / "requirements.lock").touch()
    world = World(tmp_path)
    world.digests.modules.append("features.py")
    shipped(world)
    make, stages, reason = TABLE[what]
    make(world)
    before = (world.ports.registry.versions("digits"), list(world.runner.jobs), list(world.reporter.steps))
    assert expected(world) == stages
    assert (world.ports.registry.versions("digits"), world.runner.jobs, world.reporter.steps) == before
    done = shipped(world)
    assert outcomes(done) == stages
    assert reason in ", ".join(word for step in done.steps for word in step.why)
    assert outcomes(shipped(world)) == ["reused", "reused", "reused"]


def test_the_first_shipment_says_why(tmp_path: Path) -> None:
    """Each stage for a reason of its own."""
    world = World(tmp_path)
    assert expected(world) == ["done", "done", "done"]
    assert [step.why for step in shipped(world).steps] == [
        ("there is no version yet",),
        ("digits@1 has not been validated yet",),
        ("digits@1 is not packaged yet",),
    ]


def test_a_verdict_that_depended_on_the_same_stands(tmp_path: Path) -> None:
    """Nothing is read, judged or recorded: that takes MLflow's import, and the answer is known."""
    world = World(tmp_path)
    shipped(world)
    registry = world.ports.registry
    assert isinstance(registry, FakeRegistry)
    silent = replace(world.ports, registry=_Silent(registry))
    done = ship(world.project, "digits", {}, silent, world.reporter)
    assert outcomes(done) == ["reused", "reused", "reused"]


class _Silent:
    """A registry that may be asked for versions and nothing else."""

    def __init__(self, registry: FakeRegistry) -> None:
        self.versions = registry.versions
        self.get = registry.get

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


def test_a_new_champion_is_reason_enough_to_judge_again(tmp_path: Path) -> None:
    """The verdict of a comparison depends on whom it is with: no notebook runs for it."""
    world = World(tmp_path, accuracy={1: 0.95, 2: 0.95}, gates=Gates((), (Comparison("accuracy", 0.02),)))
    shipped(world)
    shipped(world, epochs="9")
    first = world.ports.registry.get(world.ports.registry.versions("digits")[1].ref)
    world.ports.registry.set_champion(first.ref)
    world.runner.jobs.clear()
    done = shipped(world, epochs="9")
    assert done.version.report is not None
    assert done.version.report.champion == first.ref
    assert world.ran() == []


def test_force_runs_everything_and_keeps_the_gates(tmp_path: Path) -> None:
    """A new number is made of the same; a version that fails is not packaged by it."""
    world = World(tmp_path, accuracy={2: 0.5})
    shipped(world)
    assert expected(world, force=True) == ["done", "done", "done"]
    done = shipped(world, force=True)
    assert str(done.version.ref) == "digits@2"
    assert outcomes(done) == ["done", "failed"]
    assert done.version.verdict is Verdict.FAIL
    assert done.steps[0].why == ("asked for with --force",)


def test_explain_tells_of_a_version_that_failed(tmp_path: Path) -> None:
    """Nothing would run, and nothing would be packaged."""
    world = World(tmp_path, accuracy={1: 0.5})
    shipped(world)
    told = explain(world.project, "digits", {}, world.ports)
    assert [step.outcome for step in told.steps] == ["reused", "reused", "reused"]
    assert "FAIL" in told.steps[-1].reason


class Killed(BaseException):
    """The process is gone: nobody cleans up."""


class _Deadly:
    """Stands before a port, counts the calls to it and ends the process at one of them, before or after it."""

    def __init__(self, port: Any, count: Callable[[str], None]) -> None:
        self._port, self._count = port, count

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._count(f"before {name}")
            answer = found(*args, **kwargs)
            self._count(f"after {name}")
            return answer

        return call


DEADLY = ("registry", "runner", "packager", "executions", "catalogue")


def deadly(ports: Ports, at: int) -> tuple[Ports, list[str]]:
    """The ports, of which the call number `at` kills; and where that is."""
    seen: list[str] = []

    def count(where: str) -> None:
        seen.append(where)
        if len(seen) == at:
            raise Killed(where)

    return replace(ports, **{name: _Deadly(getattr(ports, name), count) for name in DEADLY}), seen


def abandon(world: World) -> None:
    """Whatever was begun is the work of a process that has ended."""
    assert isinstance(world.ports.executions, FakeExecutions)
    world.ports.executions.gone |= {note.tag for note in world.ports.executions.notes.values()}


def test_killed_anywhere_the_next_call_goes_on_where_it_was(tmp_path: Path) -> None:
    """For every call to the world, before and after it: no notebook that came to its end runs twice, no number is given
    twice, the bento is built again only where it was not recorded, and all is shipped in the end.
    """
    total, at = 1, 0
    while at < total:
        at += 1
        world = World(tmp_path / str(at))
        ports, seen = deadly(world.ports, at)
        try:
            ship(world.project, "digits", {}, ports, world.reporter)
        except Killed:
            finished = [job.notebook.name for job in world.runner.jobs]
            abandon(world)
            done = shipped(world)
            assert outcomes(done)[-1] in ("done", "reused"), seen[-1]
            ran = [job.notebook.name for job in world.runner.jobs]
            assert sorted(ran) == ["train.ipynb", "validate.ipynb"], (seen[-1], finished)
            assert [str(each.ref) for each in world.ports.registry.versions("digits")] == ["digits@1"], seen[-1]
            assert len(world.packager.jobs) <= 2, seen[-1]
            assert outcomes(shipped(world)) == ["reused", "reused", "reused"], seen[-1]
            total = at + 1
    assert at > 40, "every call was a place to die"
