"""The process that kernels are forked from. It imports installed packages, runs nothing else, and has one thread.

    python -m pipelines.adapters.warm.nursery SOCKET    with a JSON object on stdin: root, modules, idle_seconds

A client connects, sends one message with two descriptors (the kernel's stdout and stderr), and gets the kernel's
process id with a descriptor of the process. The connection is the kernel's leash: when it is closed, the kernel is
killed with all it started; when the kernel ends, its exit code is sent. The kernels of a nursery that is killed end
with it.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import sys
import time
import types
import warnings
from dataclasses import dataclass, field
from typing import Any

from pipelines.adapters.warm.packages import Exits, import_packages

LOOK_SECONDS = 5.0
KERNEL_NAME = "warm-"
"""How the name of a kernel's process begins; the number of the process that asked for it follows."""
EXITS = "_turnout_exits"
"""The module through which a kernel gets the exit handlers of the packages that it found imported."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_MESSAGE_BYTES = 4_000_000
_REFUSAL_BYTES = 400


@dataclass
class Kernel:
    """A kernel that was forked.

    Args:
        pid: Its process id, its process group's too.
        handle: A descriptor of the process.
        leash: The connection of whoever asked for it.
    """

    pid: int
    handle: int
    leash: socket.socket


@dataclass
class Order:
    """What a client wants: the kernel's environment, whole, its folder, its arguments and its descriptors."""

    environment: dict[str, str]
    folder: str
    arguments: list[str]
    umask: int
    descriptors: list[int] = field(default_factory=list)


class Nursery:
    """Serves until it has been idle for long, its socket is gone, or it is told to end.

    Args:
        listener: The socket.
        lock: The descriptor of the lock that says whose it is.
        path: Its path.
        root: The project's folder.
        idle_seconds: How long it may be idle.
        refusal: Why no kernel may be forked; empty when nothing speaks against it.
    """

    def __init__(
        self, listener: socket.socket, lock: int, path: str, root: str, idle_seconds: float, refusal: str
    ) -> None:
        self._listener = listener
        self._lock = lock
        self._path = path
        self._root = root
        self._idle_seconds = idle_seconds
        self._inode = os.stat(path).st_ino
        self._refusal = refusal
        self._kernels: dict[int, Kernel] = {}
        self._is_ending = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def serve(self) -> Order | None:
        """Until the end, and then None; in a fork, what that one is to be."""
        idle_since = time.monotonic()
        while True:
            for key, _ in self._selector.select(min(LOOK_SECONDS, self._idle_seconds)):
                order = key.data(key.fileobj)
                if order is not None:
                    return order  # type: ignore[no-any-return]
            if self._kernels:
                idle_since = time.monotonic()
            elif (
                self._is_ending
                or self._refusal
                or time.monotonic() - idle_since > self._idle_seconds
                or self._is_replaced()
            ):
                return None

    def _is_replaced(self) -> bool:
        try:
            os.stat(self._root)  # a project that is gone needs none
            return os.stat(self._path).st_ino != self._inode
        except OSError:
            return True

    def _accept(self, listener: socket.socket) -> Order | None:
        connection, _ = listener.accept()
        connection.settimeout(5.0)
        order: Order | None = None
        try:
            order = _receive(connection)
            if order is not None and not self._refusal:
                return self._fork(order, connection)
            if order is None:
                self._is_ending = True
            _say(connection, {"refused": self._refusal or "it is ending"})
        except (OSError, ValueError, KeyError, TypeError):
            pass
        finally:
            for descriptor in order.descriptors if order is not None else ():
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        connection.close()
        return None

    def _fork(self, order: Order, connection: socket.socket) -> Order | None:
        nursery = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            # Python warns of threads: those that a numerical library keeps for later are started anew after a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            try:
                _become(order, nursery)
                _set_name(f"{KERNEL_NAME}{_peer(connection)}")
                self._leave(connection)
            except BaseException as error:  # noqa: BLE001 - it must never go on as a second nursery
                os.write(2, f"the kernel cannot be prepared: {error}\n".encode())
                os._exit(1)
            return order
        handle = os.pidfd_open(pid)
        kernel = self._kernels[handle] = Kernel(pid, handle, connection)
        connection.settimeout(0.0)
        self._selector.register(handle, selectors.EVENT_READ, self._reap)
        self._selector.register(connection, selectors.EVENT_READ, lambda _: self._unleash(kernel))
        try:
            _say(connection, {"pid": pid}, handle)
        except OSError:
            self._unleash(kernel)
        return None

    def _leave(self, connection: socket.socket) -> None:
        """In a fork: close all that is the nursery's."""
        self._selector.close()
        self._listener.close()
        os.close(self._lock)
        connection.close()
        for kernel in self._kernels.values():
            os.close(kernel.handle)
            kernel.leash.close()
        self._kernels.clear()

    def _reap(self, handle: int) -> None:
        """A kernel has ended: tell its exit code, and end what it has left."""
        kernel = self._kernels.pop(handle)
        self._selector.unregister(handle)
        _, status = os.waitpid(kernel.pid, 0)
        _kill_group(kernel.pid)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(kernel.leash)
        with contextlib.suppress(OSError):
            _say(kernel.leash, {"exit": os.waitstatus_to_exitcode(status)})
        kernel.leash.close()
        os.close(handle)

    def _unleash(self, kernel: Kernel) -> None:
        """Whoever asked for the kernel has closed the connection, or is dead."""
        if kernel.handle not in self._kernels:
            return
        with contextlib.suppress(BlockingIOError):
            if kernel.leash.recv(1):
                return
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(kernel.leash)
        _kill_group(kernel.pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)  # it has no group of its own yet


def _receive(connection: socket.socket) -> Order | None:
    """One message; None for the one that tells the nursery to end."""
    data, descriptors, _, _ = socket.recv_fds(connection, 65536, 2)
    while not data.endswith(b"\n") and len(data) < _MESSAGE_BYTES:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    said = json.loads(data)
    if said.get("end"):
        return None
    return Order(said["environment"], said["folder"], said["arguments"], said["umask"], list(descriptors))


def _say(connection: socket.socket, message: dict[str, Any], descriptor: int | None = None) -> None:
    data = json.dumps(message).encode() + b"\n"
    passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))] if descriptor is not None else []
    connection.sendmsg([data], passed)


def _become(order: Order, nursery: int) -> None:
    """In a fork: turn into a fresh process, as far as what was imported allows."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != nursery:
        os._exit(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    for target, source in zip((1, 2), order.descriptors, strict=True):
        os.dup2(source, target)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(order.umask)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update({**order.environment, "JPY_PARENT_PID": str(nursery)})
    _reseed()


def _peer(connection: socket.socket) -> int:
    """The process at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def _set_name(name: str) -> None:
    """By its name, whoever asked for a kernel finds it: it is nobody's child but the nursery's."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def _reseed() -> None:
    """Two forks would draw the same numbers. Python's own generator sees to that by itself."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()


def _listen(path: str) -> tuple[socket.socket, int] | None:
    """The socket and its lock; None when another nursery has it."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(64)
    return listener, lock


def _run_kernel(order: Order, exits: Exits) -> None:
    """Be the kernel; the process ends when this returns."""
    exits.forget()
    keeper = types.ModuleType(EXITS)
    keeper.again = exits.again  # type: ignore[attr-defined]
    sys.modules[EXITS] = keeper
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipelines"]:
        del sys.modules[name]
    sys.argv = ["ipykernel_launcher", *order.arguments]
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)


def main() -> int:
    """Serve, or be the kernel that was asked for."""
    path = sys.argv[1]
    job = json.loads(sys.stdin.buffer.read())
    # Nobody's child: others take kernels from it too, when whoever started it has ended with all its children.
    if os.fork() != 0:
        os._exit(0)
    here = os.getcwd()
    sys.path[:] = [place for place in sys.path if place not in ("", here)]
    found = _listen(path)
    if found is None:
        return 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    exits, refusal = import_packages(job["modules"])
    # Nothing of what was imported is looked at by the collector again: a kernel would copy all of it.
    import gc

    gc.collect()
    gc.freeze()
    order = Nursery(*found, path, job["root"], float(job["idle_seconds"]), refusal[:_REFUSAL_BYTES]).serve()
    if order is not None:
        _run_kernel(order, exits)
        return 0
    # Unless another one has taken the place already.
    for each in (path, f"{path}.lock"):
        with contextlib.suppress(OSError):
            os.unlink(each)
    return 0


if __name__ == "__main__":
    sys.exit(main())
