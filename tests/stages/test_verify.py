"""train --verify: two trainings from the same, compared to the last digit."""

from __future__ import annotations

from pathlib import Path

from pipelines.stages.verify import Verified, verify
from pipelines.views import VerifyView
from tests.fakes import FakeNotebook, FakeRun
from tests.stages.world import World


def verified(world: World, *losses: float) -> Verified:
    """Trainings that log those losses one after the other."""
    left = iter(losses)
    world.runner.notebooks["train.ipynb"] = FakeNotebook(
        {"epochs": 8}, runs=lambda _: [FakeRun({"loss": next(left), "epochs": 8.0}, models=world.models)]
    )
    return verify(world.project, "digits", {"epochs": "4"}, world.ports, world.reporter)


def test_equal_metrics_are_a_training_that_can_be_repeated(tmp_path: Path) -> None:
    """Both are versions with the same parameters and origin, and the command succeeds."""
    done = verified(World(tmp_path), 0.25, 0.25)
    assert (done.is_repeatable, VerifyView(done).ok) == (True, True)
    assert (str(done.first.ref), str(done.second.ref)) == ("digits@1", "digits@2")
    assert done.first.parameters == done.second.parameters == {"epochs": 4}


def test_the_last_digit_counts(tmp_path: Path) -> None:
    """The metric that differs is named with both values, and the command does not succeed."""
    done = verified(World(tmp_path), 0.25, 0.25000000000000006)
    assert VerifyView(done).document()["differing"] == {"loss": [0.25, 0.25000000000000006]}
    assert (VerifyView(done).ok, done.metrics.equal) == (False, 1)


def test_not_a_number_twice_is_equal(tmp_path: Path) -> None:
    """Such a training is bad, and can be repeated."""
    assert verified(World(tmp_path), float("nan"), float("nan")).is_repeatable


def test_without_metrics_nothing_is_claimed(tmp_path: Path) -> None:
    """A notebook that logs no metric is not called repeatable."""
    world = World(tmp_path)
    world.runner.notebooks["train.ipynb"] = FakeNotebook({"epochs": 8}, runs=[FakeRun({}, models=world.models)])
    view = VerifyView(verify(world.project, "digits", {}, world.ports, world.reporter))
    assert not view.ok
    assert "no metric" in view.text()


def test_a_change_in_between_is_told(tmp_path: Path) -> None:
    """Equal metrics of different code say nothing."""
    world = World(tmp_path)
    runs = iter((False, True))

    def changing(_: object) -> list[FakeRun]:
        if next(runs):
            world.digests.contents["train.ipynb"] = "changed"
        return [FakeRun({"loss": 0.25}, models=world.models)]

    world.runner.notebooks["train.ipynb"] = FakeNotebook({"epochs": 8}, runs=changing)
    view = VerifyView(verify(world.project, "digits", {}, world.ports, world.reporter))
    assert not view.ok
    assert "changed in between" in view.text()
