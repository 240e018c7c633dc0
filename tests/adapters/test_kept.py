"""What a project keeps: sizes by kind, and what may be removed without touching a version."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pipelines.adapters.kept import CACHE_PRUNE, OLD_SECONDS, KeptFiles
from pipelines.adapters.warm.client import WarmKernels


@pytest.fixture
def kept(tmp_path: Path) -> KeptFiles:
    """A state folder with some of everything; no warm kernels."""
    state = tmp_path / ".turnout"
    files = ("artifacts/1/model", "mlflow.db", "bentoml/a", "runs/digits/1-train.ipynb", "cache/digests.db", "tmp/new")
    for name in (*files, "tmp/old/part", ended(), ended(os.getpid()), "runs/digits/.train-1a2b3c4d5e6f.json"):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text("12345")
    os.utime(state / "tmp" / "old", (0, 0))
    return KeptFiles(state, WarmKernels(tmp_path / "sockets", tmp_path, tmp_path / "log"))


def ended(pid: int = 0) -> str:
    """The beginning of an executed notebook, of a process that has ended unless one is given."""
    if not pid:
        with subprocess.Popen(["true"]) as process:
            process.wait()
        pid = process.pid
    return f"runs/digits/.20260102-030405-train-1a2b3c.ipynb.{pid}-140000000000000"


def test_all_kinds_have_their_size(kept: KeptFiles) -> None:
    """Bytes and files of each kind, none of them twice."""
    found = {each.name: (each.size, each.count) for each in kept.look()}
    assert found == {
        "results": (10, 2),
        "bentos": (5, 1),
        "executed notebooks": (5, 1),
        "digests": (5, 1),
        "leftovers": (10, 2),
        "warm kernels": (0, 0),
    }


def test_only_what_spares_time_is_removed(kept: KeptFiles) -> None:
    """Versions, notes, and what a running command is at stay; a second call finds nothing more."""
    before = {path for path in kept.state.rglob("*") if path.is_file()}
    assert kept.prune() == 15
    gone = before - {path for path in kept.state.rglob("*") if path.is_file()}
    names = sorted(str(path.relative_to(kept.state)).partition(".ipynb")[0] for path in gone)
    assert names == ["cache/digests.db", "runs/digits/.20260102-030405-train-1a2b3c", "tmp/old/part"]
    assert all(each.size == 0 for each in kept.look() if each.removed_by == CACHE_PRUNE)
    assert kept.prune() == 0


def test_a_file_of_a_number_that_another_process_has_now_goes_when_it_is_old(kept: KeptFiles) -> None:
    """Process numbers come back; no notebook runs for more than a day without being touched."""
    mine = kept.state / ended(os.getpid())
    then = mine.stat().st_mtime - 2 * OLD_SECONDS
    os.utime(mine, (then, then))
    kept.prune()
    assert not mine.exists()


def test_without_a_state_folder_nothing_is_kept(tmp_path: Path) -> None:
    """Before the first command, and nothing is made."""
    kept = KeptFiles(tmp_path / ".turnout", WarmKernels(tmp_path / "sockets", tmp_path, tmp_path / "log"))
    assert {each.size for each in kept.look()} == {0}
    assert kept.prune() == 0
    assert list(tmp_path.iterdir()) == []
