"""The guardian, a look at a time, with a clock moved by hand and daemons of one line."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.local.guardian import Guardian
from tests.local.world import until

DYING = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(3)"


class Watched:
    """A guardian's folder and clock."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 100.0
        self.lease = folder / "daemon.lease"
        self.safe, self.routes, self.starts = folder / "safe", folder / "routes", folder / "starts"
        self.safe.write_text("safe")
        self.routes.write_text("canary")

    def guardian(self, program: str) -> Guardian:
        """One whose daemon runs the program, with the file of starts as its argument."""
        command = [sys.executable, "-c", program, str(self.starts), str(self.lease)]
        return Guardian(str(self.folder), str(self.safe), str(self.routes), command, lambda: self.now)

    def count(self) -> int:
        """How many daemons were started."""
        return len(self.starts.read_text()) if self.starts.exists() else 0


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """A fresh one."""
    return Watched(tmp_path)


def looks(guardian: Guardian, is_so: Callable[[int | None], bool]) -> None:
    """Look until something is so of what it returned."""
    until(lambda: is_so(guardian.look()))


def test_a_daemon_that_never_answered_is_not_tried_for_ever(watched: Watched) -> None:
    """The client that waits for it gets the daemon's own error."""
    guardian = watched.guardian(DYING)
    looks(guardian, lambda code: code == 1)
    assert watched.count() == 1


def test_a_daemon_that_dies_is_started_again(watched: Watched) -> None:
    """As often as it takes, once it had answered."""
    program = DYING.replace("sys.exit", "open(sys.argv[2], 'a').write('x'); sys.exit")
    guardian = watched.guardian(program)
    looks(guardian, lambda code: code is not None or watched.count() >= 3)
    assert watched.count() >= 3


def test_a_daemon_that_ends_on_purpose_ends_the_watch(watched: Watched) -> None:
    """Exit code 0."""
    guardian = watched.guardian("open(__import__('sys').argv[1], 'a').write('x')")
    looks(guardian, lambda code: code == 0)
    assert watched.count() == 1


def test_one_that_adopts_starts_nothing_when_the_daemon_has_left(watched: Watched) -> None:
    """No lease and no lock: it left on purpose, before this guardian's first look."""
    command = [sys.executable, "-c", "pass"]
    guardian = Guardian(str(watched.folder), "safe", "routes", command, lambda: watched.now, adopts=True)
    assert guardian.look() == 0


def test_one_that_adopts_starts_a_daemon_that_died(watched: Watched) -> None:
    """The lease is still there."""
    watched.lease.touch()
    program = "open(__import__('sys').argv[1], 'a').write('x')"
    command = [sys.executable, "-c", program, str(watched.starts)]
    guardian = Guardian(str(watched.folder), "safe", "routes", command, lambda: watched.now, adopts=True)
    looks(guardian, lambda code: code == 0)
    assert watched.count() == 1


def test_without_a_daemon_the_safe_routes_take_over(watched: Watched) -> None:
    """30 seconds after the lease was last renewed, by whichever daemon; a rename, and so done once."""
    guardian = watched.guardian("import time; time.sleep(0.2)\n" + DYING)
    watched.lease.touch()
    guardian.look()
    watched.now += 29.9
    os.utime(watched.lease, (1, 1))
    guardian.look()
    watched.now += 29.9
    guardian.look()
    assert watched.routes.read_text() == "canary"
    watched.now += 0.2
    guardian.look()
    assert watched.routes.read_text() == "safe"
    assert not watched.safe.exists()


def test_a_hung_daemon_is_killed(watched: Watched) -> None:
    """One that has renewed its lease and does not any more; a jump of the machine's clock is no hang."""
    program = "import sys, time; open(sys.argv[2], 'a').write('x'); open(sys.argv[1], 'a').write('x'); time.sleep(60)"
    guardian = watched.guardian(program)
    looks(guardian, lambda _: watched.count() == 1)
    guardian.look()
    os.utime(watched.lease, (10**9, 10**9))
    guardian.look()
    watched.now += 4.9
    guardian.look()
    assert watched.count() == 1
    watched.now += 0.2
    looks(guardian, lambda _: watched.count() == 2)
    guardian.look()
    watched.now += 6.0
    guardian.look()


def test_it_weighs_next_to_nothing() -> None:
    """None of the heavier modules of the standard library is loaded."""
    program = (
        "import sys, pipelines.local.guardian; pipelines.local.guardian.adopt_orphans();"
        "print(*[name for name in ('json', 'pathlib', 'typing', 're', 'subprocess', 'logging', 'socket') "
        "if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-S", "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.fixture(autouse=True)
def reaped() -> Iterator[None]:
    """Collect the daemons of one line that a test left."""
    yield
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() == psutil.STATUS_ZOMBIE or "-c" in child.cmdline():
                child.kill()
                child.wait(10)
