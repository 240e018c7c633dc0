"""Who carries out commands, the fake among them: one suite of promises, and what is special about processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from pipelines.adapters.crew import LocalCrew, machine
from pipelines.adapters.crew.cluster import RayCrew
from pipelines.adapters.notes import FileNotes
from pipelines.crews import Crew, Notes
from pipelines.errors import BadInput, Busy, Interrupted, NoSuchModel, Refused, StorageFailed, TurnoutError
from pipelines.values.work import Task
from pipelines.views import ErrorView, View
from pipelines.views.lists import VersionsView
from tests.adapters.ray_nodes import two_nodes
from tests.fakes import FakeCrew, FakeNotes

PROJECT = """
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
"""
VERSIONS = Task("a", ("versions", "digits"))


def make_project(folder: Path) -> Path:
    """A project with a model and no version."""
    (folder / "pyproject.toml").write_text(PROJECT)
    for name in ("train.ipynb", "validate.ipynb"):
        (folder / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    return folder


def fake(folder: Path) -> Crew:
    """The fake, with the two commands of the suite."""
    del folder

    def do(words: object) -> View:
        if words == ("versions", "nobody"):
            raise NoSuchModel("the project has no model 'nobody'")
        if words == ("unheard-of",):
            raise BadInput("No such command")
        return VersionsView("digits", []) if words == VERSIONS.words else ErrorView(BadInput("x"))

    return FakeCrew(do)


def ignore(said: object) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray cluster of two nodes, each with one core; its address."""
    with two_nodes() as address:
        yield address


@pytest.fixture(params=["fake", "local", "ray"])
def crew(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crew]:
    """Each implementation over a project without versions."""
    project = make_project(tmp_path)
    if request.param == "ray":
        made: Crew = RayCrew(project, request.getfixturevalue("cluster"))
    else:
        made = fake(project) if request.param == "fake" else LocalCrew(project)
    yield made
    made.close()


def test_a_command_comes_back_with_its_document(crew: Crew) -> None:
    """What `--json` prints, and how long it took."""
    done = crew.carry_out(VERSIONS, ignore)
    assert done.document == {"model": "digits", "versions": []}
    assert done.ok
    assert done.seconds > 0
    assert done.memory_mb > 0


def test_an_error_is_the_commands_own(crew: Crew) -> None:
    """Of the same class, and the next command is carried out all the same."""
    with pytest.raises(NoSuchModel, match="nobody"):
        crew.carry_out(Task("b", ("versions", "nobody")), ignore)
    with pytest.raises(BadInput):
        crew.carry_out(Task("b", ("unheard-of",)), ignore)
    assert crew.carry_out(VERSIONS, ignore).ok


def test_nothing_begins_after_a_stop(crew: Crew) -> None:
    """Whoever still asks is told that it was interrupted."""
    crew.stop()
    with pytest.raises(Interrupted):
        crew.carry_out(VERSIONS, ignore)
    crew.close()


def test_there_is_room_where_nothing_runs(crew: Crew) -> None:
    """At least one core, some memory, and nothing taken."""
    assert crew.most >= 1
    assert crew.room().available_mb > 0
    assert list(crew.room().used_mb) == []


def children() -> set[int]:
    """The worker processes of this test."""
    found = psutil.Process().children(recursive=True)
    return {child.pid for child in found if "pipelines.worker" in " ".join(child.cmdline())}


def test_a_worker_takes_one_command_after_another_and_goes_with_the_crew(tmp_path: Path) -> None:
    """What it has imported serves the next one; nothing is left after the end."""
    before = children()
    crew = LocalCrew(make_project(tmp_path))
    crew.carry_out(VERSIONS, ignore)
    first = children() - before
    crew.carry_out(VERSIONS, ignore)
    assert children() - before == first
    assert len(first) == 1
    crew.close()
    assert children() == before


TRAIN = Task("t", ("train", "digits"))


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[tuple[LocalCrew, list[TurnoutError], threading.Thread]]:
    """A crew whose command waits for a lock that this test has, so that it never ends by itself."""
    make_project(tmp_path)
    state = tmp_path / ".turnout"
    state.mkdir()
    lock = FileLock(state / "mlflow.lock")
    lock.acquire()
    crew, ended = LocalCrew(tmp_path), []

    def work() -> None:
        try:
            crew.carry_out(TRAIN, ignore)
        except TurnoutError as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield crew, ended, thread
    crew.close()
    thread.join(60)
    lock.release()
    assert not thread.is_alive()


def until(is_so: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stopped_command_says_so(waiting: tuple[LocalCrew, list[TurnoutError], threading.Thread]) -> None:
    """It is interrupted as by Ctrl-C; its memory was seen meanwhile."""
    crew, ended, thread = waiting
    until(lambda: any(used > 20 for used in crew.room().used_mb))
    time.sleep(0.5)  # it has come to the lock, or is still importing: both must end well
    crew.stop()
    thread.join(60)
    (error,) = ended
    assert isinstance(error, Interrupted) or "told nothing" in str(error)


def test_a_killed_worker_fails_its_command_alone(
    waiting: tuple[LocalCrew, list[TurnoutError], threading.Thread],
) -> None:
    """The error names the command and the exit code; another command gets a new worker."""
    crew, ended, thread = waiting
    until(lambda: bool(crew._busy))
    (worker,) = crew._busy
    os.kill(worker._process.pid, signal.SIGKILL)
    thread.join(60)
    (error,) = ended
    assert "turnout train digits" in str(error)
    assert "-9" in str(error)
    assert crew.carry_out(VERSIONS, ignore).ok


def test_workers_end_with_who_has_made_them(tmp_path: Path) -> None:
    """A killed sweep leaves no worker: each sees the end of its orders."""
    make_project(tmp_path)
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from pipelines.adapters.crew import LocalCrew\nfrom pipelines.values.work import Task\n"
        "crew = LocalCrew(Path(sys.argv[1]))\ncrew.carry_out(Task('a', ('versions', 'digits')), lambda said: None)\n"
        "print(crew._idle[0]._process.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    worker = int(done.stdout)
    until(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)


def test_a_container_bounds_cores_and_memory(tmp_path: Path) -> None:
    """A group that may use half a core and 100 MB more is not the whole machine; without a bound it is."""
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("1100000000\n")
    (tmp_path / "memory.current").write_text("1000000000\n")
    assert machine.cores(tmp_path) == 1
    assert machine.available_mb(tmp_path) == 100.0
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.cores(tmp_path) == machine.cores(tmp_path / "absent")
    assert machine.available_mb(tmp_path) > 100.0


def test_a_process_that_is_gone_uses_nothing() -> None:
    """Measured in the moment of its end."""
    assert machine.used_mb(2**22 + 1) == 0.0
    assert machine.used_mb(os.getpid()) > 10


@pytest.fixture(params=["fake", "files"])
def notes(request: pytest.FixtureRequest, tmp_path: Path) -> Notes:
    """Each implementation."""
    return FakeNotes() if request.param == "fake" else FileNotes(tmp_path / "state")


def test_a_note_is_what_was_written_last(notes: Notes) -> None:
    """Nothing before the first; each name its own."""
    assert notes.read("sweeps/digits") is None
    notes.write("sweeps/digits", {"a": [1, None]})
    notes.write("sweeps/digits", {"a": [2]})
    notes.write("watch", {"b": 1})
    assert notes.read("sweeps/digits") == {"a": [2]}


def test_a_note_is_held_by_one(notes: Notes) -> None:
    """The second is told what the first does; afterwards it is free again."""
    with notes.holding("watch", "a watch"), pytest.raises(Busy, match="a watch"), notes.holding("watch", "a watch"):
        pass
    with notes.holding("watch", "a watch"):
        pass


def test_who_waits_for_a_note_is_told_and_gets_it(notes: Notes) -> None:
    """It is told once, what it waits for, and goes on only when the other one has let go."""
    happened: list[str] = []

    def second() -> None:
        with notes.holding("ship/digits", "a ship", happened.append):
            happened.append("second")

    other = threading.Thread(target=second)
    with notes.holding("ship/digits", "a ship", happened.append):
        other.start()
        deadline = time.monotonic() + 30
        while not happened and time.monotonic() < deadline:
            time.sleep(0.01)
        happened.append("first")
    other.join(30)
    assert happened == ["waiting: a ship is under way already", "first", "second"]


def test_a_broken_note_is_none(tmp_path: Path) -> None:
    """Half a file, or something else in it, is not believed."""
    notes = FileNotes(tmp_path)
    for text in ("{", "[]", "\x00"):
        (tmp_path / "watch.json").write_text(text)
        assert notes.read("watch") is None


def test_a_note_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the folder should be: one error that names it, and nothing half is left."""
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StorageFailed):
        FileNotes(tmp_path / "state").write("watch", {})
    with pytest.raises(StorageFailed), FileNotes(tmp_path / "state").holding("watch", "a watch"):
        pass


def test_both_nodes_of_a_cluster_work(cluster: str, tmp_path: Path) -> None:
    """Two commands at once are carried out by two nodes, and a third by one that has a core again."""
    crew = RayCrew(make_project(tmp_path), cluster)
    assert crew.most == 2
    state = tmp_path / ".turnout"
    state.mkdir()
    lock = FileLock(state / "mlflow.lock")
    with lock:  # so that neither ends before both have begun
        threads = [threading.Thread(target=crew.carry_out, args=(VERSIONS, ignore)) for _ in range(2)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while len(crew._busy) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    for thread in threads:
        thread.join(120)
    assert len(set(crew.where())) == 2
    assert crew.carry_out(VERSIONS, ignore).ok
    assert len(crew.where()) == 2
    crew.close()


def test_a_node_without_the_project_is_told(cluster: str, tmp_path: Path) -> None:
    """It would begin a project of its own there."""
    crew = RayCrew(tmp_path / "elsewhere", cluster)
    with pytest.raises(Refused, match=r"does not see .*elsewhere"):
        crew.carry_out(VERSIONS, ignore)
    crew.close()


def test_a_stop_reaches_what_runs_on_the_cluster(cluster: str, tmp_path: Path) -> None:
    """As Ctrl-C does: the command ends, and nothing of it is left."""
    make_project(tmp_path)
    state = tmp_path / ".turnout"
    state.mkdir()
    lock = FileLock(state / "mlflow.lock")
    before = workers()
    crew = RayCrew(tmp_path, cluster)
    ended: list[TurnoutError] = []

    def work() -> None:
        try:
            crew.carry_out(TRAIN, ignore)
        except TurnoutError as error:
            ended.append(error)

    with lock:
        thread = threading.Thread(target=work)
        thread.start()
        deadline = time.monotonic() + 60
        while not workers() - before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        crew.stop()
        thread.join(60)
    assert [type(error) for error in ended] == [Interrupted]
    crew.close()
    deadline = time.monotonic() + 30
    while workers() - before:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def workers() -> set[int]:
    """All worker processes of this machine."""
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        if "pipelines.worker" in " ".join(process.info["cmdline"] or ()):
            found.add(process.pid)
    return found


def test_a_process_that_is_part_of_a_cluster_stays_so(cluster: str, tmp_path: Path) -> None:
    """A notebook that works with Ray goes on to do so after its `%sweep`."""
    import ray

    first = RayCrew(make_project(tmp_path), cluster)
    second = RayCrew(tmp_path, cluster)
    second.close()
    assert ray.is_initialized()
    first.close()
    assert not ray.is_initialized()


def test_without_a_cluster_it_says_how_one_begins(tmp_path: Path) -> None:
    """One line, and what to type."""
    with pytest.raises(Refused, match="ray start --head"):
        RayCrew(make_project(tmp_path), "127.0.0.1:1")
