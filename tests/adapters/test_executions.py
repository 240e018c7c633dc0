"""Notes of executions: what is taken over, and what never is. The contract, then what only files can show."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.adapters.executions import ExecutionFolder
from pipelines.ports import Attempt, Executions
from tests.fakes import FakeClock, FakeExecutions


@dataclass
class World:
    """A place for executed notebooks.

    Args:
        executions: It.
        abandon: Makes an attempt the work of a process that has ended.
    """

    executions: Executions
    abandon: Callable[[Attempt], None]

    def attempt(self, key: str = "key", *, is_done: bool = True) -> Attempt:
        """One that was begun, and came to its end."""
        made = Attempt("digits", "train", key, f"tag of {key}", self.executions.place("digits", "train"))
        self.executions.begin(made)
        if is_done:
            made.notebook.write_text(json.dumps({"metadata": {"papermill": {"duration": 1.5, "exception": None}}}))
        return made


def real(tmp_path: Path) -> World:
    """Files, and a process that ends."""
    folder = ExecutionFolder(tmp_path / "runs", FakeClock())

    def abandon(attempt: Attempt) -> None:
        with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
            pass
        for note in (tmp_path / "runs" / attempt.model).glob(f".{attempt.verb}-*.json"):
            said = json.loads(note.read_text())
            if said["tag"] == attempt.tag:
                note.write_text(json.dumps({**said, "pid": gone.pid}))

    return World(folder, abandon)


def fake(tmp_path: Path) -> World:
    """The fake."""
    executions = FakeExecutions(tmp_path / "runs")
    return World(executions, lambda attempt: executions.gone.add(attempt.tag))


@pytest.fixture(params=[real, fake], ids=lambda make: make.__name__)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each in turn."""
    make: Callable[[Path], World] = request.param
    return make(tmp_path)


def test_what_a_dead_process_finished_is_found(world: World) -> None:
    """By its model, verb and key; with its tag, its notebook and its seconds."""
    attempt = world.attempt()
    world.abandon(attempt)
    assert world.executions.finished("digits", "train", "key") == (attempt, 1.5)
    assert world.executions.finished("digits", "train", "other") is None
    assert world.executions.finished("digits", "validate", "key") is None
    assert world.executions.finished("credit", "train", "key") is None


def test_what_a_living_process_is_at_is_left_to_it(world: World) -> None:
    """It is about to record the outcome itself: two versions of one run must not come of it."""
    world.attempt()
    assert world.executions.finished("digits", "train", "key") is None


def test_what_did_not_come_to_its_end_is_none(world: World) -> None:
    """A notebook that was killed in the middle runs again."""
    world.abandon(world.attempt(is_done=False))
    assert world.executions.finished("digits", "train", "key") is None


def test_what_is_settled_is_forgotten(world: World) -> None:
    """And only that; to settle what is not there is no mistake."""
    first, second = world.attempt("one"), world.attempt("two")
    for attempt in (first, second):
        world.abandon(attempt)
    for _ in range(2):
        world.executions.settle("digits", "train", "one")
    assert world.executions.finished("digits", "train", "one") is None
    assert world.executions.finished("digits", "train", "two") == (second, 1.5)


def test_a_later_attempt_takes_the_place_of_an_earlier_one(world: World) -> None:
    """With the same key, there is one note."""
    world.abandon(world.attempt())
    second = world.attempt()
    world.abandon(second)
    found = world.executions.finished("digits", "train", "key")
    assert found is not None
    assert found[0].notebook == second.notebook


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"key": 3}'])
def test_a_broken_note_is_none(tmp_path: Path, content: str) -> None:
    """The notebook runs, and nobody is bothered with it."""
    world = real(tmp_path)
    world.abandon(world.attempt())
    (note,) = (tmp_path / "runs" / "digits").glob(".train-*.json")
    note.write_text(content)
    assert world.executions.finished("digits", "train", "key") is None


def test_a_notebook_that_failed_is_not_taken_over(tmp_path: Path) -> None:
    """papermill notes the exception in it."""
    world = real(tmp_path)
    attempt = world.attempt()
    world.abandon(attempt)
    attempt.notebook.write_text(json.dumps({"metadata": {"papermill": {"duration": 1.5, "exception": True}}}))
    assert world.executions.finished("digits", "train", "key") is None
