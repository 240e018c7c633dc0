"""A watch: what is shipped after which change, when, and never twice."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import NotebookRaised
from pipelines.stages.look import look, places
from pipelines.stages.triggers import CIRCLES, LOUD_SECONDS, QUIET_SECONDS
from pipelines.values import Threshold
from pipelines.values.automation import Automation
from pipelines.values.gates import Gates
from pipelines.values.watching import Kind
from tests.stages.yard import Yard, nothing


def test_what_was_never_watched_is_shipped_once(tmp_path: Path) -> None:
    """`ship` itself skips what has not changed; then there is quiet, however often everything is looked at."""
    yard = Yard(tmp_path)
    assert yard.run(600) == ["digits"]
    assert yard.crew.asked == [("ship", "--", "digits")]
    assert "it has not been watched before" in yard.said(Kind.BEGUN)[0]


def test_a_share_is_passed_on(tmp_path: Path) -> None:
    """What `turnout ship` is to do with it."""
    yard = Yard(tmp_path)
    yard.run(words=("--canary", "10"))
    assert yard.crew.asked == [("ship", "--canary", "10", "--", "digits")]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("digits-train.ipynb", "cell 1 changed"),
        ("digits-validate.ipynb", "digits-validate.ipynb changed"),
        ("digits.csv", "digits.csv changed"),
        ("requirements.lock", "requirements.lock changed"),
        ("features.py", "module features.py changed"),
    ],
)
def test_each_kind_of_change_is_shipped_once_and_named(tmp_path: Path, name: str, said: str) -> None:
    """Code, data, a module, the environment's lock: one shipment, with the reason."""
    yard = Yard(tmp_path)
    (tmp_path / "requirements.lock").write_text("")
    yard.digests.modules.append("features.py")
    yard.run()
    assert yard.run(300, restarted=yard.at(20, lambda: yard.change(name))) == ["digits"]
    assert yard.said(Kind.BEGUN)[-1] == f"digits is shipped: {said}"


def test_a_change_of_the_models_table_is_shipped(tmp_path: Path) -> None:
    """A gate, or a parameter; not the schedule, which changes no version."""
    yard = Yard(tmp_path)
    yard.run()
    model = yard.models["digits"]
    yard.models["digits"] = replace(model, automation=Automation("0 3 * * *"))
    assert yard.run() == []
    yard.models["digits"] = replace(model, gates=Gates((Threshold("accuracy", min=0.5),)))
    assert yard.run() == ["digits"]
    assert "the model's table in the project file changed" in yard.said(Kind.BEGUN)[-1]


def test_nothing_is_shipped_twice_after_a_restart(tmp_path: Path) -> None:
    """Neither what was shipped before, nor a change while nobody watched more than once."""
    yard = Yard(tmp_path)
    yard.run()
    assert yard.run() == []
    yard.change("digits.csv", told=False)
    assert yard.run() == ["digits"]
    assert yard.run() == []


def test_many_changes_in_a_row_are_one(tmp_path: Path) -> None:
    """It waits until there is quiet: who saves one file often saves several."""
    yard = Yard(tmp_path)
    yard.run()
    begun = yard.seconds
    counted: list[float] = []
    yard.during = lambda _: counted.append(yard.seconds - begun)

    def busy() -> None:
        if yard.seconds - begun < 8:
            yard.change("digits.csv", str(yard.seconds))

    assert yard.run(60, restarted=busy) == ["digits"]
    assert counted[0] >= 8


def test_what_never_becomes_quiet_is_looked_at_all_the_same(tmp_path: Path) -> None:
    """A log that grows beside the data keeps no change back for ever."""
    yard = Yard(tmp_path)
    yard.run()
    begun = yard.seconds

    def noise() -> None:
        yard.changes.touch()
        if yard.seconds - begun == 5:
            yard.digests.contents["digits.csv"] = "changed"

    seen: list[float] = []
    yard.during = lambda _: seen.append(yard.seconds - begun)
    assert yard.run(LOUD_SECONDS + 10, restarted=noise, every=1000.0) == ["digits"]
    assert 5 + QUIET_SECONDS < seen[0] <= LOUD_SECONDS + 5


def test_a_change_that_nobody_told_is_found(tmp_path: Path) -> None:
    """Folders of other machines tell nothing: from time to time everything is looked at."""
    yard = Yard(tmp_path)
    yard.run()
    silent = yard.at(20, lambda: yard.change("digits.csv", told=False))
    assert yard.run(50, restarted=silent, every=60.0) == []
    yard.digests.contents.clear()
    silent = yard.at(20, lambda: yard.change("digits.csv", told=False))
    assert yard.run(100, restarted=silent, every=60.0) == ["digits"]


@pytest.mark.parametrize("outcome", [False, NotebookRaised("train.ipynb raised ValueError: no")])
def test_what_failed_is_told_and_not_repeated(tmp_path: Path, outcome: bool | Exception) -> None:
    """A failed gate or a notebook that raises: once, also after a restart; the next change is shipped again."""
    yard = Yard(tmp_path)
    yard.outcomes["digits"] = outcome
    assert yard.run(600) == ["digits"]
    (said,) = yard.said(Kind.FAILED)
    assert "accuracy FAIL" in said or "ValueError" in said
    assert yard.run(600) == []
    assert "turnout ship digits" in yard.said(Kind.FAILED)[-1]
    yard.outcomes.clear()
    assert yard.run(60, restarted=yard.at(5, lambda: yard.change("digits.csv"))) == ["digits"]
    assert yard.run() == []
    assert len(yard.said(Kind.FAILED)) == 3


def test_a_change_during_a_shipment_leads_to_one_more(tmp_path: Path) -> None:
    """However many there are; and never two shipments of a model at once."""
    yard = Yard(tmp_path)
    left = [3]

    def during(model: str) -> None:
        del model
        if left[0]:
            left[0] = 0
            for number in range(3):
                yard.change("digits.csv", str(number))

    yard.during = during
    assert yard.run(60) == ["digits", "digits"]
    assert yard.crew.at_once == 1
    assert yard.said(Kind.AGAIN) == ["digits changed meanwhile: digits.csv changed"]


def test_a_model_that_writes_its_own_inputs_is_not_shipped_for_ever(tmp_path: Path) -> None:
    """After a few times in a row it is said, and the next change is shipped again."""
    yard = Yard(tmp_path)
    count = [0]

    def during(model: str) -> None:
        del model
        count[0] += 1
        yard.change("digits.csv", str(count[0]))

    yard.during = during
    assert len(yard.run(600)) == CIRCLES
    assert "do its notebooks write what is declared as their input?" in yard.said(Kind.TROUBLE)[-1]
    yard.during = nothing
    assert yard.run(60, restarted=yard.at(5, lambda: yard.change("digits-train.ipynb"))) == ["digits"]


def test_what_builds_on_others_comes_after_them(tmp_path: Path) -> None:
    """Both have changed: the second begins when the first is through; a third that depends on none runs beside them."""
    yard = Yard(tmp_path, {"scores": ("features",), "features": (), "digits": ()})
    order: list[str] = []
    gate = threading.Barrier(2)

    def during(model: str) -> None:
        if model != "scores":
            gate.wait(20)
        order.append(model)

    yard.during = during
    yard.run(60)
    assert order[-1] == "scores"
    assert yard.crew.at_once == 2


def test_a_promotion_ships_what_builds_on_it(tmp_path: Path) -> None:
    """Another champion of the model before, wherever it was promoted: one shipment, and its name in the reason."""
    yard = Yard(tmp_path, {"scores": ("features",), "features": ()})
    yard.run(60)
    promote = yard.at(20, lambda: yard.champions.update(features="features@2"))
    assert yard.run(120, restarted=promote, every=1000.0) == ["scores"]
    assert yard.said(Kind.BEGUN)[-1] == "scores is shipped: the champion of features is new"
    assert yard.run(120) == []


def test_a_failed_model_keeps_no_other_waiting(tmp_path: Path) -> None:
    """What builds on it is shipped on its champion of before."""
    yard = Yard(tmp_path, {"scores": ("features",), "features": ()})
    yard.outcomes["features"] = False
    assert yard.run(60) == ["features", "scores"]


def test_a_schedule_ships_at_its_time_and_trains_anew(tmp_path: Path) -> None:
    """Once each time, forced: for what changes where no digest can see it."""
    yard = Yard(tmp_path, schedule="0 4 * * *")
    yard.run()
    at_night = yard.at(20, lambda: yard.clock.advance(hours=1))
    assert yard.run(600, restarted=at_night) == ["digits"]
    assert yard.crew.asked == [("ship", "--force", "--", "digits")]
    assert yard.said(Kind.BEGUN)[-1] == "digits is shipped: its schedule, 2026-01-02 04:00"
    assert yard.run(600, restarted=yard.at(20, lambda: yard.clock.advance(days=1))) == ["digits"]


def test_times_that_passed_while_nobody_watched_are_one(tmp_path: Path) -> None:
    """A machine that was off for a week trains once."""
    yard = Yard(tmp_path, schedule="0 4 * * *")
    yard.run()
    yard.clock.advance(days=7)
    assert yard.run(600) == ["digits"]
    assert yard.run(600) == []


def test_a_scheduled_shipment_that_failed_waits_for_the_next_time(tmp_path: Path) -> None:
    """Not for the next turn."""
    yard = Yard(tmp_path, schedule="0 4 * * *")
    yard.run()
    yard.outcomes["digits"] = False
    yard.clock.advance(hours=1)
    assert yard.run(600) == ["digits"]
    yard.clock.advance(days=1)
    assert yard.run(600) == ["digits"]


def test_models_come_and_go_with_the_project_file(tmp_path: Path) -> None:
    """A new one is watched, one that went is let go, and may come back; nothing ends the watch."""
    yard = Yard(tmp_path, {"digits": (), "scores": ()})
    scores = yard.models.pop("scores")
    yard.run()

    steps = [
        yard.at(10, lambda: yard.models.update(scores=scores)),
        yard.at(100, lambda: yard.models.pop("scores")),
        yard.at(200, lambda: yard.models.update(scores=scores)),
        yard.at(290, lambda: yard.change("scores.csv")),
    ]

    def turn() -> None:
        for step in steps:
            step()

    assert yard.run(400, restarted=turn, every=10.0) == ["scores", "scores"]
    assert yard.said(Kind.TROUBLE) == []


def test_once_ships_what_is_due_and_ends(tmp_path: Path) -> None:
    """For CI and cron: all models in their order; it is well when all went well, and nothing is watched."""
    yard = Yard(tmp_path, {"scores": ("features",), "features": ()})
    assert yard.watch(is_once=True).run() is True
    assert yard.shipped() == ["features", "scores"]
    assert yard.changes.places is None
    assert yard.watch(is_once=True).run() is True
    assert yard.shipped() == []


def test_once_does_not_end_well_while_something_failed(tmp_path: Path) -> None:
    """Nor the next time, though nothing is repeated: nobody should believe that the model is out."""
    yard = Yard(tmp_path)
    yard.outcomes["digits"] = False
    assert yard.watch(is_once=True).run() is False
    assert yard.watch(is_once=True).run() is False
    assert yard.shipped() == []


@pytest.mark.parametrize(("jobs", "expected"), [(1, 1), (None, 2), (8, 2)])
def test_never_more_at_once_than_asked_and_than_cores(tmp_path: Path, jobs: int | None, expected: int) -> None:
    """Three models are due; as many as allowed really run together."""
    yard = Yard(tmp_path, {"a": (), "b": (), "c": (), "d": ()})
    barrier = threading.Barrier(expected)
    yard.during = lambda _: barrier.wait(20)
    assert sorted(yard.run(60, jobs=jobs)) == ["a", "b", "c", "d"]
    assert yard.crew.at_once == expected


def test_memory_bounds_what_runs_at_once(tmp_path: Path) -> None:
    """The second waits while there is no room for it."""
    yard = Yard(tmp_path, {"a": (), "b": ()})
    watch = yard.watch(is_once=True)
    yard.crew.available_mb = 1000.0
    assert watch.run() is True
    assert yard.crew.at_once == 1


def test_places_cover_all_that_counts(tmp_path: Path) -> None:
    """The project's folder, the notebooks', the data's; a folder in depth; what is not there by its nearest folder."""
    yard = Yard(tmp_path)
    (tmp_path / "images").mkdir()
    inputs = (tmp_path / "images", tmp_path / "raw" / "a.csv", tmp_path / "images" / "2026" / "*.png")
    model = replace(yard.models["digits"], inputs=inputs)
    yard.digests.modules.append("lib/features.py")
    (tmp_path / "lib").mkdir()
    seen = look(yard.project(), model, {}, yard.ports)
    found = places(yard.project(), model, seen)
    assert found.flat == {tmp_path, tmp_path / "digits", tmp_path / "lib"}
    assert found.deep == {tmp_path / "images"}
