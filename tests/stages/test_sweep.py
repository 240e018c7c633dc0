"""A sweep: many trainings of one model, the best of them judged."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import BadInput, BadParameter, Busy, Interrupted, NotebookRaised, Refused
from pipelines.ports import CellProgress, NotebookJob
from pipelines.stages.sweep import Asked, Swept, attempt, sweep, unfinished
from pipelines.stages.together import Happening, carry_out_all
from pipelines.values import ServingGates, Threshold
from pipelines.values.gates import Gates
from pipelines.values.sweeps import RunStatus, Sweep
from pipelines.values.work import Carried, Task
from pipelines.views import DownView, SweepView, View
from tests.cli.test_cli import call
from tests.fakes import FakeCrew, FakeNotebook, FakeNotes, FakeRun
from tests.stages.world import World

GATES = Gates((Threshold("accuracy", min=0.9),), (), ServingGates())


@dataclass
class Field:
    """A world with a training notebook whose loss is as far from 0.3 as its rate.

    Args:
        folder: A temporary folder.
        broken: Rates whose training fails.
    """

    folder: Path
    broken: set[float] = field(default_factory=set)
    notes: FakeNotes = field(default_factory=FakeNotes)
    shown: list[Sweep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(self.folder, gates=GATES)
        defaults = {"epochs": 8, "rate": 0.1}
        self.world.runner.notebooks["train.ipynb"] = FakeNotebook(defaults, runs=self._train)
        self.crew = FakeCrew(self._do)
        self._one_at_a_time = threading.Lock()

    def sweep(self, *rates: str, **changes: Any) -> Swept:
        """Sweep over rates."""
        asked = Asked("digits", [{"rate": rate} for rate in rates], **{"by": "val_loss", **changes})
        return self.run(asked)

    def run(self, asked: Asked) -> Swept:
        """Run what is asked for."""
        world = self.world
        return sweep(world.project, asked, world.ports, self.crew, self.notes, world.reporter, self.shown.append)

    def trained(self) -> int:
        """How many trainings there were."""
        return self.world.ran().count("train.ipynb")

    def _do(self, words: Sequence[str]) -> View:
        # The fakes are not made for threads.
        with self._one_at_a_time:
            view = call(self.world, *words)
        assert isinstance(view, View)
        return view

    def _train(self, job: NotebookJob) -> list[FakeRun]:
        rate = float(job.parameters.get("rate", 0.1))
        if rate in self.broken:
            raise NotebookRaised(f"train.ipynb raised ValueError: {rate}")
        return [FakeRun({"val_loss": abs(rate - 0.3)})]


def test_the_best_is_judged(tmp_path: Path) -> None:
    """Of all versions the one with the lowest loss is validated, and no other."""
    there = Field(tmp_path)
    done = there.sweep("0.1", "0.25", "0.9")
    assert done.best is not None
    assert done.best.parameters["rate"] == 0.25
    assert done.is_passed
    assert done.best.verdict == "PASS"
    assert [version.verdict for version in there.world.ports.registry.versions("digits")].count(None) == 2
    assert SweepView(done).ok
    assert str(SweepView(done)) == str(done.best.ref)


def test_a_best_version_that_fails_its_gates_is_no_success(tmp_path: Path) -> None:
    """The sweep ends with 1, and says which version it was."""
    there = Field(tmp_path)
    there.world.accuracy = {1: 0.5}
    done = there.sweep("0.1")
    assert done.best is not None
    assert not SweepView(done).ok


def test_one_failed_run_stops_no_other(tmp_path: Path) -> None:
    """It is reported with its error, and the best of the others is taken on."""
    there = Field(tmp_path, broken={0.3})
    done = there.sweep("0.3", "0.2", "0.5")
    assert [run.status for run in done.sweep.runs] == [RunStatus.FAILED, RunStatus.DONE, RunStatus.DONE]
    assert "ValueError: 0.3" in done.sweep.runs[0].says
    assert done.best is not None
    assert done.best.parameters["rate"] == 0.2


def test_without_any_success_there_is_no_best(tmp_path: Path) -> None:
    """All runs failed: no version, no success, and no other error over theirs."""
    done = Field(tmp_path, broken={0.3}).sweep("0.3")
    assert done.best is None
    assert not SweepView(done).ok


def test_the_same_call_repeats_nothing(tmp_path: Path) -> None:
    """Versions that are there are taken as they are; a failed run is tried again."""
    there = Field(tmp_path, broken={0.3})
    there.sweep("0.3", "0.2", "0.5")
    assert there.trained() == 3
    there.broken.clear()
    done = there.sweep("0.3", "0.2", "0.5")
    assert there.trained() == 4
    assert [run.status for run in done.sweep.runs] == [RunStatus.DONE, RunStatus.REUSED, RunStatus.REUSED]
    assert done.best is not None
    assert done.best.parameters["rate"] == 0.3


def test_a_sweep_goes_on_without_being_told_its_runs(tmp_path: Path) -> None:
    """After Ctrl-C `--resume` knows the runs, the metric and its direction; what was finished is reused."""
    there = Field(tmp_path)
    there.crew.most = 1
    stopped = there.shown.append

    def stop_after_one(now: Sweep) -> None:
        stopped(now)
        if now.runs[0].status is RunStatus.DONE:
            raise KeyboardInterrupt

    world = there.world
    asked = Asked("digits", [{"rate": rate} for rate in ("0.1", "0.2", "0.5")], "val_loss", "lower")
    with pytest.raises(Interrupted, match="--resume"):
        sweep(world.project, asked, world.ports, there.crew, there.notes, world.reporter, stop_after_one)
    there.crew = FakeCrew(there._do)
    before = there.trained()
    done = there.run(unfinished("digits", there.notes))
    assert done.sweep.runs[0].status is RunStatus.REUSED
    assert done.sweep.by == "val_loss"
    assert all(run.status.is_over for run in done.sweep.runs)
    assert there.trained() == 3
    assert before < 3


def test_a_changed_notebook_makes_the_runs_anew(tmp_path: Path) -> None:
    """What was trained from other code is no result of this sweep."""
    there = Field(tmp_path)
    there.sweep("0.1", "0.2")
    there.world.digests.contents["train.ipynb"] = "changed"
    assert [run.status for run in there.sweep("0.1", "0.2").sweep.runs] == [RunStatus.DONE] * 2


def test_a_metric_of_the_validation_has_every_run_validated(tmp_path: Path) -> None:
    """Where the training does not log it, each version is judged, and the best is not judged twice."""
    there = Field(tmp_path)
    there.world.accuracy = {1: 0.95, 2: 0.97, 3: 0.93}
    there.crew.most = 1
    done = there.sweep("0.1", "0.2", "0.5", by="accuracy")
    assert done.best is not None
    assert done.best.ref.number == 2
    assert there.world.ran().count("validate.ipynb") == 3


def test_without_a_name_the_gates_name_the_metric(tmp_path: Path) -> None:
    """The first gate whose direction is known."""
    assert Field(tmp_path).sweep("0.1", by="").sweep.by == "accuracy"


def test_a_metric_that_nobody_logged_loses_nothing(tmp_path: Path) -> None:
    """The message names what was logged and how to choose by that; no training is repeated then."""
    there = Field(tmp_path)
    with pytest.raises(
        BadInput, match=r"no finite val_accuracy|no run logged a finite val_accuracy.*val_loss.*--resume"
    ):
        there.sweep("0.1", "0.2", by="val_accuracy")
    before = unfinished("digits", there.notes)
    there.crew = FakeCrew(there._do)
    done = there.run(Asked("digits", before.runs, "val_loss"))
    assert done.best is not None
    assert there.trained() == 2


@pytest.mark.parametrize(
    ("texts", "error"),
    [({"rat": "1"}, BadParameter), ({"rate": "much"}, BadParameter), ({"epochs": "1.5"}, BadParameter)],
)
def test_wrong_parameters_run_nothing(tmp_path: Path, texts: dict[str, str], error: type[Exception]) -> None:
    """A name the notebook does not declare, or a value of a wrong type in the last of many runs, is told at once."""
    there = Field(tmp_path)
    with pytest.raises(error):
        there.run(Asked("digits", [{"rate": "0.1"}, texts], "val_loss"))
    assert there.crew.asked == []
    assert there.notes.kept == {}


def test_two_ways_to_write_a_number_are_one_run(tmp_path: Path) -> None:
    """0.1 and .10 are trained once."""
    assert len(Field(tmp_path).sweep("0.1", ".10", "0.2").sweep.runs) == 2


def test_a_model_is_swept_once_at_a_time(tmp_path: Path) -> None:
    """The second one is told so, and starts nothing."""
    there = Field(tmp_path)
    with there.notes.holding("sweeps/digits", "x"), pytest.raises(Busy):
        there.sweep("0.1")


def test_what_was_never_begun_cannot_be_resumed() -> None:
    """The message says how to begin."""
    with pytest.raises(BadInput, match="turnout sweep digits -p"):
        unfinished("digits", FakeNotes())


def test_an_attempt_reuses_a_version_that_came_meanwhile(tmp_path: Path) -> None:
    """A run that was registered by a killed sweep, but not written down, is found by what it was made from."""
    there = Field(tmp_path)
    world = there.world
    first = attempt(world.project, "digits", {"rate": "0.2"}, "val_loss", world.ports, world.reporter)
    assert attempt(world.project, "digits", {"rate": "0.20"}, "val_loss", world.ports, world.reporter) == first


class Gate:
    """A crew whose commands end when the test lets them."""

    def __init__(self, most: int, available_mb: float = 1e6, memory_mb: float = 100.0) -> None:
        self.turn = threading.Semaphore(0)
        self.crew = FakeCrew(self._do, most, memory_mb, available_mb)
        self.begun: list[str] = []

    def _do(self, words: Sequence[str]) -> View:
        self.begun.append(words[0])
        assert self.turn.acquire(timeout=20)
        if words[0].startswith("bad"):
            raise Refused(f"{words[0]} is bad")
        return DownView([])


def run_all(gate: Gate, *tasks: Task, jobs: int | None = None, need_mb: float = 0.0) -> list[tuple[str, Happening]]:
    """Let commands end as soon as no other has begun for a moment; what was heard."""
    heard: list[tuple[str, Happening]] = []

    def hear(task: Task, happening: Happening) -> None:
        heard.append((task.key, happening))
        if isinstance(happening, str):
            gate.turn.release()

    carry_out_all(tasks, gate.crew, hear, jobs=jobs, need_mb=need_mb)
    return heard


def tasks(count: int) -> list[Task]:
    """So many commands."""
    return [Task(str(number), (f"do{number}",)) for number in range(count)]


def at_once(count: int, need_mb: float = 0.0, jobs: int | None = None, **crew: Any) -> int:
    """How many commands were under way together at most, each waiting until `count` of them are."""
    barrier = threading.Barrier(count)

    def do(words: Sequence[str]) -> View:
        del words
        barrier.wait(20)
        return DownView([])

    made = FakeCrew(do, **crew)
    carry_out_all(tasks(2 * count), made, lambda *_: None, jobs=jobs, need_mb=need_mb)
    return made.at_once


@pytest.mark.parametrize(("most", "jobs", "expected"), [(4, 2, 2), (2, 8, 2), (3, None, 3), (1, None, 1)])
def test_never_more_than_cores_and_jobs(most: int, jobs: int | None, expected: int) -> None:
    """Whatever is asked for, the cores bound it; as many as allowed really run at once."""
    assert at_once(expected, jobs=jobs, most=most, available_mb=1e6) == expected


@pytest.mark.parametrize(("available", "expected"), [(5000.0, 3), (3500.0, 2), (2400.0, 1), (0.0, 1)])
def test_never_more_than_the_memory_holds(available: float, expected: int) -> None:
    """A run was measured to need 1000 MB: so many are begun as leave 500 MB free, and one in any case."""
    assert at_once(expected, 1000.0, most=3, memory_mb=1000.0, available_mb=available) == expected


def test_what_failed_takes_along_only_what_comes_after_it() -> None:
    """A command that waits for a failed one is not begun, nor the next behind it; the others are."""
    after = [
        Task("a", ("bad",)),
        Task("b", ("do",), frozenset({"a"})),
        Task("c", ("do",), frozenset({"b"})),
        Task("d", ("do",)),
        Task("e", ("do",), frozenset({"d"})),
    ]
    heard = run_all(Gate(2), *after)
    ends = {key: type(said) for key, said in heard if isinstance(said, Carried | Refused)}
    assert ends == {"a": Refused, "b": Refused, "c": Refused, "d": Carried, "e": Carried}
    assert [key for key, said in heard if isinstance(said, Carried)] == ["d", "e"]


def test_a_listener_that_fails_leaves_nothing_behind() -> None:
    """When what is heard cannot be written down, all are stopped before the error goes on."""
    gate = Gate(2)

    def hear(task: Task, happening: Happening) -> None:
        del task
        if isinstance(happening, str | CellProgress):
            gate.turn.release(2)
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        carry_out_all(tasks(2), gate.crew, hear)
    assert gate.crew._is_stopped
    assert gate.crew._under_way == 0
