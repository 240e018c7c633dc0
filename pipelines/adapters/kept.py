"""What a project keeps below `.turnout/` so that work need not be done again: its size, and removing some of it."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.adapters.warm.client import WarmKernels
from pipelines.values.stock import Stock

PRUNE, CACHE_PRUNE = "turnout prune", "turnout cache --prune"
OLD_SECONDS = 86_400.0
"""A file that a command was killed over is left alone for so long: it may still be at work."""

_HALF = re.compile(r"^\..*\.ipynb\.(\d+)-\d+$")


@dataclass(frozen=True)
class KeptFiles:
    """What one project keeps.

    Args:
        state: Its `.turnout`.
        warm: Its processes that kernels are forked from.
    """

    state: Path
    warm: WarmKernels

    def look(self) -> list[Stock]:
        """All kinds, the results first."""
        state, processes = self.state, self.warm.processes()
        executed = (state / "runs").glob("*/*.ipynb")
        return [
            _kept("results", [state / "artifacts", state / "mlflow.db"], "models, metrics and verdicts", PRUNE),
            _kept("bentos", [state / "bentoml", state / "packages"], "packaged versions", PRUNE),
            _kept("executed notebooks", executed, "a killed ship goes on behind them", PRUNE),
            _kept("digests", [state / "cache"], "large inputs are not read again", CACHE_PRUNE),
            _kept("leftovers", self._leftovers(), "nothing: their commands were killed", CACHE_PRUNE),
            Stock("warm kernels", sum(processes.values()), len(processes), "imports, kept in memory", CACHE_PRUNE),
        ]

    def prune(self) -> int:
        """Remove digests and leftovers, and tell the warm processes to end; the bytes freed on the disk."""
        doomed = [self.state / "cache", *self._leftovers()]
        freed = sum(file.stat().st_size for file in _files(doomed))
        for path in doomed:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        self.warm.end()
        return freed

    def _leftovers(self) -> list[Path]:
        halves = [path for path in (self.state / "runs").glob("*/.*") if _is_left(path)]
        return [*halves, *(path for path in (self.state / "tmp").glob("*") if _is_old(path))]


def _is_left(path: Path) -> bool:
    """Whether it is the beginning of an executed notebook of a process that has ended."""
    found = _HALF.match(path.name)
    if found is None:
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return _is_old(path)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > OLD_SECONDS
    except OSError:
        return False


def _files(places: Iterable[Path]) -> Iterable[Path]:
    for place in places:
        for path in place.rglob("*") if place.is_dir() else [place]:
            if path.is_file() and not path.is_symlink():
                yield path


def _kept(name: str, places: Iterable[Path], purpose: str, removed_by: str) -> Stock:
    sizes = []
    for file in _files(places):
        with suppress(OSError):
            sizes.append(file.stat().st_size)
    return Stock(name, sum(sizes), len(sizes), purpose, removed_by)
