"""A working folder for each version, locked, empty at the start and gone at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines.values import VersionRef

_PREFIX = "package-"
_ELSEWHERE = "elsewhere"


@contextmanager
def working_folder(folder: Path, ref: VersionRef) -> Iterator[Path]:
    """The version's working folder below `folder`; a second caller waits until the first is done.

    What killed processes left there, of any version, is removed first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / f"{_PREFIX}{ref.model}-{ref.number}"
    with FileLock(f"{work}.lock"):
        _remove_abandoned(folder)
        _remove(work)
        work.mkdir()
        try:
            yield work
        finally:
            _remove(work)


def remember_elsewhere(work: Path, place: Path) -> None:
    """Note a folder outside of `work` that has to go with it."""
    (work / _ELSEWHERE).symlink_to(place)


def _remove_abandoned(folder: Path) -> None:
    for left in folder.glob(f"{_PREFIX}*"):
        if left.is_dir():
            try:
                # Whoever works in a folder holds its lock; a dead process holds none.
                with FileLock(f"{left}.lock", timeout=0):
                    _remove(left)
            except Timeout:
                continue


def _remove(work: Path) -> None:
    elsewhere = work / _ELSEWHERE
    if elsewhere.is_symlink():
        shutil.rmtree(elsewhere.readlink(), ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
