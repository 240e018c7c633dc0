"""Asks a nursery for a kernel, and starts it where there is none.

    warm = WarmKernels(folder=runtime_folder, root=project_root, lock=lock_file, log=log_file)
    process = warm.kernel(Order...)     # raises Cold where an ordinary kernel is due

`process` has the interface of `subprocess.Popen` as far as jupyter_client uses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.adapters.warm.identity import identity, steady, wanted
from pipelines.errors import TurnoutError

LONGEST = 2
"""So many nurseries of a project are kept; the one that was used least lately ends for another."""
WAIT_SECONDS = 90.0
"""A nursery has so long to import everything and fork; then the kernel is an ordinary one."""
PROGRESS_SECONDS = 30.0
IDLE_SECONDS = 900.0
_START_SECONDS = 10.0
_LOG_BYTES = 1_000_000
_REFUSED_SECONDS = 3600.0
_FREE_MB = 700


class Cold(Exception):
    """There is no warm kernel, for the reason given."""


class ForkedProcess:
    """A kernel forked by a nursery, with the interface of `subprocess.Popen`.

    Args:
        pid: Its process id.
        handle: A descriptor of the process, which is readable when it has ended.
        leash: The connection to the nursery; the kernel is killed when it is closed.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, handle: int, leash: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._handle = handle
        self._leash = leash

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self.returncode is None and select.select([self._handle], [], [], 0)[0]:
            self.returncode = self._exit_code()
            self.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it runs still.
        """
        if self.returncode is None and not select.select([self._handle], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
        code = self.poll()
        return code if code is not None else -1

    def send_signal(self, number: int) -> None:
        """Send it a signal; one that has ended gets none."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Let go of it: what runs still is killed, with all it started."""
        with suppress(OSError):
            self._leash.close()
        if self._handle >= 0:
            with suppress(OSError):
                os.close(self._handle)
            self._handle = -1
            if self.returncode is None:
                self.returncode = -signal.SIGKILL

    def _exit_code(self) -> int:
        try:
            self._leash.settimeout(1.0)
            return int(json.loads(self._leash.recv(4096))["exit"])
        except (OSError, ValueError, KeyError):
            return -1


@dataclass(frozen=True)
class Request:
    """A kernel that is wanted.

    Args:
        environment: Its environment, whole.
        folder: Where it runs.
        arguments: Those of `ipykernel_launcher`.
        streams: Descriptors for its stdout and stderr.
        notebook: The notebook that it shall run.
    """

    environment: Mapping[str, str]
    folder: str
    arguments: tuple[str, ...]
    streams: tuple[int, int]
    notebook: Path | None = None


@dataclass(frozen=True)
class WarmKernels:
    """The nurseries of one project.

    Args:
        folder: For their sockets; mode 0700, and a short path.
        root: The project's folder: nothing below it is imported.
        log: Takes what they print.
        lock: The environment's lock, when the project has one.
        families: Notebooks that share a nursery, such as those of one model.
        wait_seconds: How long a kernel is waited for.
        progress_seconds: How long it may take to answer; then it is killed, and an ordinary one takes its place.
        idle_seconds: A nursery without kernels ends after that.
        make: Makes the folder, and checks that it is nobody else's.
    """

    folder: Path
    root: Path
    log: Path
    lock: Path | None = None
    families: tuple[tuple[Path, ...], ...] = ()
    wait_seconds: float = WAIT_SECONDS
    progress_seconds: float = PROGRESS_SECONDS
    idle_seconds: float = IDLE_SECONDS
    make: Callable[[], object] = object

    def kernel(self, request: Request, hold: Callable[[socket.socket], None] = lambda _: None) -> ForkedProcess:
        """A kernel forked for the request.

        Args:
            request: What it shall be.
            hold: Told the connection before anything is asked: shutting it down from another thread calls the wait off.

        Raises:
            Cold: an ordinary kernel is due.
        """
        modules, environment = self._wanted(request)
        name = identity(modules, environment, self._lock_digest())
        path = self.folder / f"warm-{name}"
        try:
            self.make()
            self._refuse_if_known(path)
            connection = self._connect(path, modules, environment)
            hold(connection)
            return self._ask(connection, request, path)
        except (OSError, TurnoutError) as error:
            raise Cold(f"no nursery can be reached: {error}") from error

    def note(self, notebook: str, why: str) -> None:
        """Write down why a kernel is an ordinary one."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S")
        with suppress(OSError):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"{moment} an ordinary kernel for {notebook or 'a notebook'}: {why}\n")

    def end(self) -> int:
        """Tell all nurseries of the project to end when their last kernel has; return how many there were."""
        told = 0
        for path in self._nurseries():
            told += _tell_to_end(path)
        return told

    def processes(self) -> dict[int, int]:
        """The process ids of the nurseries that run, with the bytes of memory that each has for itself."""
        import psutil

        found = {}
        for path in self._nurseries():
            connection = _connected(path)
            if connection is None:
                continue
            with connection, suppress(psutil.Error):
                credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                pid = struct.unpack("3i", credentials)[0]
                found[pid] = int(psutil.Process(pid).memory_info().rss)
        return found

    def _wanted(self, request: Request) -> tuple[tuple[str, ...], dict[str, str]]:
        if request.notebook is None:
            return (), dict(request.environment)
        family = next((each for each in self.families if request.notebook in each), ())
        found = wanted(family, request.notebook, self.root)
        if found.is_open:
            raise Cold("the notebook sets a variable that packages read at import, in a way that cannot be read off")
        return found.modules, found.over(request.environment)

    def _lock_digest(self) -> str:
        if self.lock is None:
            return ""
        try:
            return hashlib.sha256(self.lock.read_bytes()).hexdigest()
        except OSError:
            return ""

    def _refuse_if_known(self, path: Path) -> None:
        refusal = path.with_name(f"{path.name}.no")
        try:
            if time.time() - refusal.stat().st_mtime < _REFUSED_SECONDS:
                raise Cold(refusal.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return

    def _connect(self, path: Path, modules: tuple[str, ...], environment: Mapping[str, str]) -> socket.socket:
        connection = _connected(path)
        if connection is not None:
            return connection
        self._make_room(path)
        child = self._start(path, modules, environment)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if (connection := _connected(path)) is not None:
                return connection
            if child.poll() not in (None, 0):
                break
            time.sleep(0.01)
        raise Cold("a nursery could not be started; the log has its words")

    def _start(self, path: Path, modules: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            if log.tell() > _LOG_BYTES:
                log.truncate(0)
            child = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "pipelines.adapters.warm.nursery", str(path)],
                cwd=self.folder,
                env=steady(environment),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        job = {"root": str(self.root.resolve()), "modules": list(modules), "idle_seconds": self.idle_seconds}
        assert child.stdin is not None  # noqa: S101 - it was asked for
        with suppress(BrokenPipeError), child.stdin:
            child.stdin.write(json.dumps(job).encode())
        # The nursery itself is a child of this one, which ends at once.
        child.wait()
        return child

    def _make_room(self, path: Path) -> None:
        """End the nurseries of other packages than now, and the one used least lately of too many.

        Raises:
            Cold: there is too little memory for one more process.
        """
        import psutil

        if psutil.virtual_memory().available < _FREE_MB * 1e6:
            raise Cold("there is too little free memory")
        packages = path.name[: len("warm-") + 8]
        others = sorted((each for each in self._nurseries() if each != path), key=_used, reverse=True)
        current = [each for each in others if each.name.startswith(packages)]
        for each in (*(each for each in others if each not in current), *current[LONGEST - 1 :]):
            _tell_to_end(each)

    def _nurseries(self) -> Iterable[Path]:
        return [each for each in self.folder.glob("warm-*") if not each.suffix]

    def _ask(self, connection: socket.socket, request: Request, path: Path) -> ForkedProcess:
        said = {
            "environment": dict(request.environment),
            "folder": request.folder,
            "arguments": list(request.arguments),
            "umask": _umask(),
        }
        connection.settimeout(self.wait_seconds)
        try:
            # The first few bytes carry the descriptors: the rest may come in pieces.
            data = json.dumps(said).encode() + b"\n"
            sent = socket.send_fds(connection, [data], list(request.streams))
            connection.sendall(data[sent:])
            answer, handles, _, _ = socket.recv_fds(connection, 65536, 1)
            told: dict[str, Any] = json.loads(answer)
        except (ConnectionError, ValueError):
            connection.close()
            raise Cold("the nursery ended before it answered") from None
        except OSError as error:
            connection.close()
            raise Cold(f"the nursery did not answer: {error}") from error
        if "pid" not in told or not handles:
            connection.close()
            why = str(told.get("refused", "the nursery answers something else"))
            if told.get("refused") and "ending" not in why:
                path.with_name(f"{path.name}.no").write_text(why, encoding="utf-8")
            raise Cold(why)
        with suppress(OSError):
            os.utime(path)
        return ForkedProcess(int(told["pid"]), handles[0], connection)


def _connected(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    return connection


def _tell_to_end(path: Path) -> bool:
    connection = _connected(path)
    if connection is None:
        path.unlink(missing_ok=True)  # of one that was killed
        return False
    with connection, suppress(OSError):
        connection.sendall(b'{"end": true}\n')
    return True


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _umask() -> int:
    # Read from the system: setting it to learn it would disturb other threads.
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    return 0o022
