"""The daemon with a target in memory, as a process of its own: `python -m tests.local.daemon_entry ROOT`.

A file `ROOT/slow` makes every start wait until it is gone; the target's state lies in `ROOT/target.pickle`, so that it
outlives the daemon as processes do.
"""

from __future__ import annotations

import pickle
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipelines.adapters.clock import SystemClock
from pipelines.errors import NoSuchModel, ServeFailed
from pipelines.local.daemon import Parts, run
from pipelines.values import Bento, Rollout, Split, VersionRef
from tests.local.memory_target import MemoryTarget, packaged


class LastingTarget(MemoryTarget):
    """Hosts and splits in a file."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        self._file = root / "target.pickle"
        self._kept = threading.Lock()

    def adopt(self) -> None:
        """Read what the last daemon's target had."""
        if (self._root / "no-port").exists():
            raise ServeFailed("port 3000 is taken by somebody")
        if self._file.exists():
            self._hosts, self._splits = pickle.loads(self._file.read_bytes())  # noqa: S301 - our own file

    def open(self) -> None:
        """There is no gateway."""

    def tick(self) -> None:
        """Nothing dies here."""

    def down(self) -> None:
        """Everything is gone."""
        self.reboot()
        self._keep()

    def start(self, bento: Bento, replicas: int, progress: Callable[[str], None]) -> None:
        """Start, as slowly as the test wants."""
        while (self._root / "slow").exists():
            progress("waiting")
            time.sleep(0.005)
        super().start(bento, replicas, progress)
        self._keep()

    def route(self, split: Split, warm: frozenset[VersionRef]) -> Split:
        """Route, and remember it."""
        seen = super().route(split, warm)
        self._keep()
        return seen

    def stop(self, ref: VersionRef) -> None:
        """Stop, and remember it."""
        super().stop(ref)
        self._keep()

    def _keep(self) -> None:
        with self._kept:
            temporary = self._file.with_suffix(".new")
            temporary.write_bytes(pickle.dumps((self._hosts, self._splits)))
            temporary.replace(self._file)


def parts(root: Path) -> Parts:
    """Four packaged versions of `digits` and of `credit`."""
    catalogue = packaged("digits", 4)
    for number in range(1, 5):
        ref = VersionRef("credit", number)
        catalogue.put(Bento(ref, f"/bentos/{ref}", "digest", is_passed=True))

    def rollout(model: str) -> Rollout:
        if model not in ("digits", "credit"):
            raise NoSuchModel(f"the project has no model {model!r}", instead="it has digits and credit")
        return Rollout()

    def courier(kind: str, body: Mapping[str, Any]) -> list[str]:
        program = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + ' ')"
        return [sys.executable, "-c", program, str(root / kind), str(body["ref"])]

    return Parts(
        target=LastingTarget(root),
        catalogue=catalogue,
        clock=SystemClock(),
        rollout=rollout,
        url=lambda model: f"http://127.0.0.1:3000/{model}",
        courier=courier,
        available_mb=lambda: 10_000.0,
        logs=root / ".turnout" / "logs",
    )


if __name__ == "__main__":
    project = Path(sys.argv[1])
    sys.exit(run(project, project / ".turnout", lambda: parts(project)))
