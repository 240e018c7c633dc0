"""Who tells of changes of files, the fake among them: one suite of promises, and what is special about real files."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.adapters.file_changes import FileChanges
from pipelines.crews import Changes
from pipelines.values.watching import Places
from tests.fakes import FakeChanges

LONG, SHORT = 30.0, 0.6
"""Seconds for what must come, and for what must not."""


@dataclass
class Folder:
    """A watched project: `data` counts in depth, the folder itself by its entries.

    Args:
        root: Where it lies.
        changes: Who tells.
        tell: Has the fake know of what was done; the real one sees it.
    """

    root: Path
    changes: Changes
    tell: Callable[[], None]

    def write(self, name: str, text: str = "x") -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.tell()

    def watch(self) -> None:
        """Watch, and let pass what is told of the beginning."""
        self.changes.watch(self.places)
        self.calm()

    def calm(self) -> None:
        """Wait until nothing more is told."""
        while self.changes.wait(SHORT):
            pass

    @property
    def places(self) -> Places:
        """What is watched."""
        return Places(frozenset({self.root / "data"}), frozenset({self.root}))


@pytest.fixture(params=["fake", "files"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    """Each implementation over the same folder."""
    (tmp_path / "data").mkdir()
    fake = FakeChanges()
    is_fake = request.param == "fake"
    made = Folder(tmp_path, fake if is_fake else FileChanges(), fake.touch if is_fake else lambda: None)
    yield made
    made.changes.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Folder]:
    """The real one."""
    (tmp_path / "data").mkdir()
    made = Folder(tmp_path, FileChanges(), lambda: None)
    yield made
    made.changes.close()


@pytest.mark.parametrize("name", ["train.ipynb", "data/a.csv", "data/2026/11/b.csv"])
def test_a_change_is_told_once(folder: Folder, name: str) -> None:
    """A file in the folder, and one at any depth of a folder that counts in depth; then there is quiet."""
    folder.watch()
    folder.write(name)
    assert folder.changes.wait(LONG)
    folder.calm()
    assert not folder.changes.wait(SHORT)


def test_nothing_is_told_of_nothing(folder: Folder) -> None:
    """Who waits in vain waits no longer than he said; there is no trouble."""
    folder.watch()
    assert not folder.changes.wait(SHORT)
    assert folder.changes.trouble == ""


def test_folders_that_are_gone_are_passed_over(folder: Folder) -> None:
    """The others are watched all the same."""
    gone = Places(frozenset({folder.root / "absent"}), frozenset({folder.root, folder.root / "absent2"}))
    folder.changes.watch(gone)
    folder.calm()
    folder.write("train.ipynb")
    assert folder.changes.wait(LONG)
    assert folder.changes.trouble == ""


def test_after_the_end_nothing_is_told(folder: Folder) -> None:
    """And it may be ended twice."""
    folder.watch()
    folder.changes.close()
    folder.changes.close()
    assert not folder.changes.wait(0.01)


def test_whoever_begins_to_listen_says_so(files: Folder) -> None:
    """What changed between the look and the listening was not heard: one look more is asked for."""
    files.changes.watch(files.places)
    assert files.changes.wait(LONG)


def test_a_file_that_is_replaced_by_a_rename_is_told(files: Folder) -> None:
    """As editors and JupyterLab write."""
    files.write("train.ipynb", "a")
    files.watch()
    (files.root / "half").write_text("b")
    files.calm()
    (files.root / "half").replace(files.root / "train.ipynb")
    assert files.changes.wait(LONG)


@pytest.mark.parametrize("name", [".turnout/state.db", "data/.turnout/x", "data/__pycache__/a.pyc", "data/.git/HEAD"])
def test_what_is_no_content_is_not_told(files: Folder, name: str) -> None:
    """What Turnout itself writes must not wake it, at whatever depth."""
    (files.root / name).parent.mkdir(parents=True, exist_ok=True)
    files.watch()
    files.write(name)
    assert not files.changes.wait(SHORT)


def test_a_folder_that_went_and_came_back_is_watched_again(files: Folder) -> None:
    """The next look at the same places finds it, though nothing was told in between."""
    files.watch()
    shutil.rmtree(files.root / "data")
    files.calm()
    files.changes.watch(files.places)
    (files.root / "data").mkdir()
    files.changes.watch(Places(flat=frozenset({files.root})))
    files.watch()
    files.write("data/a.csv")
    assert files.changes.wait(LONG)


def test_the_same_places_are_not_begun_anew(files: Folder) -> None:
    """A look that finds nothing new costs no watcher."""
    files.watch()
    before = list(files.changes._threads)  # type: ignore[attr-defined]
    files.changes.watch(files.places)
    assert files.changes._threads == before  # type: ignore[attr-defined]


def test_no_thread_is_left(files: Folder) -> None:
    """Each end and each change of places takes its threads along."""
    before = threading.active_count()
    files.watch()
    files.changes.watch(Places(flat=frozenset({files.root})))
    files.changes.close()
    assert threading.active_count() == before
