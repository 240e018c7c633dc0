"""package, promote, serve, ship and prune: what is refused, what is reused, what is spared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import BadInput, NotebookContract, PackageFailed, Refused
from pipelines.stages.package import Packaged, package
from pipelines.stages.promote import promote
from pipelines.stages.prune import plan, prune
from pipelines.stages.serve import serve
from pipelines.stages.ship import Shipped, ship
from pipelines.values import Alias, Gates, ServingGates, Threshold, Verdict, VersionSpec
from tests.fakes import MEASURED, FakePackager
from tests.stages.world import World

FIRST = VersionSpec("digits", 1)


def make(world: World, **options: str | bool | None) -> Packaged:
    """Package the first version."""
    return package(world.project, FIRST, world.ports, world.reporter, **options)  # type: ignore[arg-type]


def shipped(world: World, **texts: str) -> Shipped:
    """Ship the model."""
    return ship(world.project, "digits", texts, world.ports, world.reporter)


def outcomes(done: Shipped) -> list[str]:
    """What each stage did."""
    return [step.outcome for step in done.steps]


def test_a_version_that_was_not_validated_is_not_packaged(tmp_path: Path) -> None:
    """Not even when forced: an export is proved on validation rows."""
    world = World(tmp_path)
    world.train()
    for reason in (None, "in a hurry"):
        with pytest.raises(Refused, match="turnout validate digits@1"):
            make(world, reason=reason)


def test_a_failed_version_is_packaged_only_with_a_reason(tmp_path: Path) -> None:
    """Without one it is refused and the failed gate named; with one the reason is recorded."""
    world = World(tmp_path, accuracy={1: 0.5})
    world.train()
    world.validate(1)
    with pytest.raises(Refused, match=r"FAIL \(accuracy\)"):
        make(world)
    with pytest.raises(BadInput, match="--reason"):
        make(world, reason="  ")
    assert world.packager.jobs == []
    done = make(world, reason="a demonstration")
    assert done.package.forced == "a demonstration"
    assert done.version.package == done.package


def test_a_validation_without_rows_cannot_be_packaged(tmp_path: Path) -> None:
    """Nothing could be proved or measured; the message says which file is missing."""
    world = World(tmp_path, has_rows=False)
    world.train()
    world.validate(1)
    with pytest.raises(NotebookContract, match=r"inputs\.npy"):
        make(world)


def test_a_failed_build_records_nothing(tmp_path: Path) -> None:
    """The version is as it was, and the next attempt works."""
    world = World(tmp_path)
    world.train()
    world.validate(1)
    world.packager.failure = PackageFailed("the disk burned")
    with pytest.raises(PackageFailed):
        make(world)
    assert world.ports.registry.get(FIRST).package is None
    world.packager.failure = None
    assert make(world).version.package is not None


@pytest.mark.parametrize(("latency", "verdict"), [(5.0, Verdict.PASS), (5.001, Verdict.FAIL)])
def test_the_bento_itself_is_judged(tmp_path: Path, latency: float, verdict: Verdict) -> None:
    """A bound on the measured latency decides at its boundary, and its verdict stands with the package."""
    world = World(tmp_path, packager=FakePackager(replace(MEASURED, latency_p95_ms=latency)))
    world.gates = Gates(serving=ServingGates(latency_p95_ms=5.0))
    world.train()
    world.validate(1)
    checks = make(world).package.checks
    assert checks is not None
    assert checks.verdict is verdict


def test_promote_moves_champion_and_previous(tmp_path: Path) -> None:
    """The former champion becomes `previous`; promoting again changes nothing."""
    world = World(tmp_path)
    world.champion()
    world.champion()
    for _ in range(2):
        assert Alias.CHAMPION in promote(world.project, VersionSpec("digits", 2), world.ports).aliases
        assert Alias.PREVIOUS in world.ports.registry.get(FIRST).aliases


def test_promote_refuses_what_could_not_be_served(tmp_path: Path) -> None:
    """Neither an unpackaged version nor one whose bento failed its gates becomes champion."""
    world = World(tmp_path, packager=FakePackager(replace(MEASURED, memory_mb=999.0)))
    world.gates = Gates(serving=ServingGates(memory_mb=300.0))
    world.train()
    world.validate(1)
    with pytest.raises(Refused, match="not packaged"):
        promote(world.project, FIRST, world.ports)
    make(world)
    with pytest.raises(Refused, match="memory_mb"):
        promote(world.project, FIRST, world.ports)
    make(world, reason="there is memory enough")
    assert Alias.CHAMPION in promote(world.project, FIRST, world.ports).aliases


def test_serve_hands_the_bento_to_a_host(tmp_path: Path) -> None:
    """A packaged version is served from its bento; an unpackaged one is refused with the command that helps."""
    world = World(tmp_path)
    world.train()
    with pytest.raises(Refused, match="turnout package digits@1"):
        serve(world.project, FIRST, 3000, world.ports)
    world.validate(1)
    record = make(world).package
    serve(world.project, FIRST, 3000, world.ports)
    assert world.ports.hosts.served == [(Path(record.path), 3000)]  # type: ignore[attr-defined]


def test_ship_does_all_once_and_then_nothing(tmp_path: Path) -> None:
    """The second shipment of the same thing runs no notebook and builds no bento."""
    world = World(tmp_path)
    assert outcomes(shipped(world)) == ["done", "done", "done"]
    world.runner.jobs.clear()
    world.packager.jobs.clear()
    done = shipped(world)
    assert outcomes(done) == ["reused", "reused", "reused"]
    assert str(done.version.ref) == "digits@1"
    assert world.ran() == []
    assert world.packager.jobs == []


@pytest.mark.parametrize("what", ["train.ipynb", "requirements.lock"])
def test_ship_trains_anew_when_something_has_changed(tmp_path: Path, what: str) -> None:
    """A changed notebook or environment makes another version."""
    (tmp_path / "requirements.lock").touch()
    world = World(tmp_path)
    shipped(world)
    world.digests.contents[what] = "changed"
    assert str(shipped(world).version.ref) == "digits@2"


def test_ship_trains_anew_with_other_parameters(tmp_path: Path) -> None:
    """Another value makes another version; the first value again finds the first."""
    world = World(tmp_path)
    shipped(world)
    assert str(shipped(world, epochs="9").version.ref) == "digits@2"
    assert str(shipped(world, epochs="8").version.ref) == "digits@1"


def test_ship_stops_at_a_failed_gate(tmp_path: Path) -> None:
    """Nothing is packaged, the shipment is not done, and its step names the check."""
    world = World(tmp_path, accuracy={1: 0.5})
    done = shipped(world)
    assert outcomes(done) == ["done", "failed"]
    assert "accuracy FAIL" in done.steps[-1].reason
    assert not done.is_done
    assert world.packager.jobs == []


def test_ship_judges_new_gates_on_the_stored_predictions(tmp_path: Path) -> None:
    """A threshold raised since the last shipment stops the next, without running a notebook."""
    world = World(tmp_path)
    shipped(world)
    world.gates = Gates((Threshold("accuracy", min=0.99),))
    world.runner.jobs.clear()
    assert outcomes(shipped(world)) == ["reused", "failed"]
    assert world.ran() == []


def test_ship_packages_again_when_the_bento_is_gone_or_its_gates_changed(tmp_path: Path) -> None:
    """A bento that was deleted is made again; so is one that was never judged by the present gates."""
    world = World(tmp_path)
    shipped(world)
    world.packager.bentos.clear()
    assert outcomes(shipped(world)) == ["reused", "reused", "done"]
    world.gates = replace(world.gates, serving=ServingGates(memory_mb=50.0))
    done = shipped(world)
    assert outcomes(done) == ["reused", "reused", "failed"]
    assert "memory_mb" in done.steps[-1].reason


def test_prune_removes_what_is_not_in_use(tmp_path: Path) -> None:
    """Champion, previous and newest stay; the others go with their bentos, and old executed notebooks with them."""
    world = World(tmp_path)
    for _ in range(3):
        world.champion()
    world.train()
    world.train()
    doomed = plan(world.project, "digits", 0, world.ports)
    assert [str(old.ref) for old in doomed.versions] == ["digits@1", "digits@4"]
    assert doomed.is_dry
    assert len(world.ports.registry.versions("digits")) == 5
    done = prune(doomed, world.ports, world.reporter)
    assert done.freed > 5000
    assert [str(left.ref) for left in world.ports.registry.versions("digits")] == ["digits@5", "digits@3", "digits@2"]
    assert set(world.packager.bentos) == {"digits:2", "digits:3"}
