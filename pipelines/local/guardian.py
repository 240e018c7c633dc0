"""The smallest process there is: keeps a daemon running, and brings the traffic to safety when that is impossible.

    python -S -P -m pipelines.local.guardian ROOT STATE SAFE_ROUTES ROUTES COMMAND...

It imports next to nothing, since it never ends and shall never fail. A daemon that dies is started again at once, and
ever more slowly when it keeps dying; one that hangs is killed first. When no daemon has renewed its lease for 30 s, the
file SAFE_ROUTES is renamed to ROUTES: no canary runs unjudged. A daemon that ends on purpose takes the guardian along.
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: each module weighs.
    from collections.abc import Callable
    from types import FrameType

LOOK_SECONDS = 0.2
FIRST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 5.0
CALM_SECONDS = 30.0
"""A daemon that lived so long is started again without a wait."""
START_SECONDS = 30.0
"""A daemon that has not answered so long after its start hangs."""
STALE_SECONDS = 5.0
UNJUDGED_SECONDS = 30.0


class Guardian:
    """Watches one project's daemon.

    Args:
        state: The project's state folder.
        safe: The file with the safe routes.
        routes: The file the gateway watches.
        command: The daemon's program and arguments.
        adopts: Whether the daemon runs already, and was started by another guardian.
        monotonic: Seconds that only go forward.
    """

    def __init__(
        self,
        state: str,
        safe: str,
        routes: str,
        command: list[str],
        monotonic: Callable[[], float] = time.monotonic,
        *,
        adopts: bool = False,
    ) -> None:
        self._monotonic = monotonic
        self._lock = os.path.join(state, "daemon.lock")
        self._lease = os.path.join(state, "daemon.lease")
        self._log = os.path.join(state, "logs", "daemon.log")
        self._safe, self._routes, self._command = safe, routes, command
        self._child = 0
        self._wait = 0.0
        self._born = self._renewed = self._monotonic()
        self._seen = self._lease_time()
        self._has_answered = adopts
        self._is_leaving = False

    def watch(self) -> int:
        """Keep watch until the daemon ends on purpose; return the exit code, 1 when it could never be started."""
        signal.signal(signal.SIGTERM, self._leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        while (code := self.look()) is None:
            time.sleep(LOOK_SECONDS)
        return code

    def look(self) -> int | None:
        """One look, and what has to be done after it; the exit code when the watch is over."""
        ended = self._reap()
        self._look_at_lease()
        if ended == 0 or (self._is_leaving and not self._child):
            return 0
        if ended is not None and not self._has_answered:
            return 1
        if not self._child and not self._is_held():
            # Read again: it may have left between the first look and the second.
            if self._has_answered and self._lease_time() is None:
                return 0
            self._start()
        elif self._hangs():
            self._end_a_hung_one()
        if self._monotonic() - self._renewed > UNJUDGED_SECONDS:
            self._go_safe()
        return None

    def _start(self) -> None:
        if self._monotonic() - self._born > CALM_SECONDS:
            self._wait = 0.0
        time.sleep(self._wait)
        self._wait = min(max(self._wait * 2, FIRST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)
        self._born = self._monotonic()
        os.makedirs(os.path.dirname(self._log), exist_ok=True)
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
            self._child = os.posix_spawn(self._command[0], self._command, os.environ, file_actions=actions, setpgroup=0)
        finally:
            os.close(log)
        # A failpoint is for one daemon: the next one must get past it.
        os.environ.pop("TURNOUT_FAILPOINT", None)

    def _hangs(self) -> bool:
        now = self._monotonic()
        if self._renewed < self._born:
            return now - self._born > START_SECONDS
        return now - self._renewed > STALE_SECONDS

    def _reap(self) -> int | None:
        """Collect whatever has ended, adopted processes too; the daemon's exit code when it is among them."""
        ended = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            if pid == self._child:
                self._child, ended = 0, os.waitstatus_to_exitcode(status)

    def _look_at_lease(self) -> None:
        # Not its age counts but whether it moves: the machine's clock may jump.
        seen = self._lease_time()
        if seen is not None and seen != self._seen:
            self._renewed, self._has_answered = self._monotonic(), True
        self._seen = seen

    def _lease_time(self) -> int | None:
        try:
            return os.stat(self._lease).st_mtime_ns
        except OSError:
            return None

    def _is_held(self) -> bool:
        """Whether a daemon lives that is no child of ours: an earlier guardian's."""
        import fcntl

        try:
            file = os.open(self._lock, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(file)
        return False

    def _end_a_hung_one(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        """Send the daemon a signal, also one that another guardian has started."""
        pid = self._child
        if not pid and self._is_held():
            try:
                with open(self._lease) as lease:
                    pid = int(lease.read())
            except (OSError, ValueError):
                return
        if pid:
            try:
                os.kill(pid, number)
            except OSError:
                return

    def _go_safe(self) -> None:
        try:
            os.rename(self._safe, self._routes)
        except OSError:
            return

    def _leave(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._is_leaving = True
        self._signal(signal.SIGTERM)


def adopt_orphans() -> None:
    """Become the parent of what a dead daemon leaves behind, so that no zombie stays (Linux)."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return


def main() -> int:
    """Watch, unless another guardian does already."""
    import fcntl

    root, state, safe, routes, *command = sys.argv[1:]
    # Whatever files the client had open are none of ours.
    os.closerange(3, 65536)
    os.chdir(root)
    lock = os.open(os.path.join(state, "guardian.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(25):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            # Somebody may only be looking whether it is held.
            time.sleep(0.02)
    else:
        return 0
    if sys.platform == "linux":
        adopt_orphans()
    adopts = os.environ.pop("TURNOUT_GUARDIAN_ADOPTS", "") == "1"
    return Guardian(state, safe, routes, command, adopts=adopts).watch()


if __name__ == "__main__":
    sys.exit(main())
