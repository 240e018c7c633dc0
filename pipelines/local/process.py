"""Processes that outlive the one that started them, known by their id and start time, never by a name."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from pipelines.errors import ServeFailed, StorageFailed

PROJECT_TAG = "TURNOUT_PROJECT"
"""In the environment of every process of a project: the digest of the project's path."""
INSTANCE_TAG = "TURNOUT_INSTANCE"
"""In the environment of a host or gateway and of all it starts: its instance id."""

LOG_BYTES = 4_000_000
"""A log that has grown beyond this is cut; its latest half is kept beside it."""

_LONGEST_LINE = 65_536

_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, and no later one that got the same id.

    Args:
        pid: Its id.
        started: When it was started, in seconds since 1970, as the system says.
        instance: The id that we gave it.
    """

    pid: int
    started: float
    instance: str

    def as_dict(self) -> dict[str, Any]:
        """The identity as JSON."""
        return {"pid": self.pid, "started": self.started, "instance": self.instance}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(int(data["pid"]), float(data["started"]), str(data["instance"]))

    def process(self) -> psutil.Process | None:
        """The process; None when it is gone. A zombie is gone, and is reaped when it is a child of ours."""
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            _children.pop(self.pid, None)
            return None
        try:
            found = psutil.Process(self.pid)
            # The system counts in ticks of 10 ms, from a boot time that a change of the clock may move a little.
            is_same = abs(found.create_time() - self.started) < 1.0
            return found if is_same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    @property
    def is_alive(self) -> bool:
        """Whether it runs still, or is stopped; a zombie does not."""
        return self.process() is not None

    def memory(self) -> int:
        """Bytes of it and its children, shared pages in proportion where the system tells; 0 when it is gone."""
        process = self.process()
        if process is None:
            return 0
        total = 0
        for one in (process, *_offspring(process)):
            with suppress(psutil.Error):
                full = one.memory_full_info()
                total += int(getattr(full, "pss", 0) or full.rss)
        return total


@dataclass(frozen=True, slots=True)
class Command:
    """What is started.

    Args:
        arguments: Program and arguments.
        project: The project's digest.
        instance: The id of this very process.
        log: What it prints is appended here.
        folder: Its working directory.
        environment: Variables over those of this process.
    """

    arguments: Sequence[str]
    project: str
    instance: str
    log: Path
    folder: Path
    environment: Mapping[str, str]


def spawn(command: Command) -> Identity:
    """Start a process in a session of its own; nothing connects it to this one, which may end before it.

    Raises:
        ServeFailed: the program cannot be run.
        StorageFailed: the log cannot be written.
    """
    tags = {PROJECT_TAG: command.project, INSTANCE_TAG: command.instance}
    try:
        command.log.parent.mkdir(parents=True, exist_ok=True)
        log = command.log.open("ab")
    except OSError as error:
        raise StorageFailed.from_os(error, "opening a log") from error
    with log:
        try:
            child = subprocess.Popen(  # noqa: S603 - our own command
                list(command.arguments),
                cwd=command.folder,
                env={**os.environ, **command.environment, **tags},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise ServeFailed(f"{command.arguments[0]} cannot be run: {error}") from error
    _children[child.pid] = child
    try:
        return Identity(child.pid, psutil.Process(child.pid).create_time(), command.instance)
    except psutil.Error:
        return Identity(child.pid, time.time(), command.instance)


def terminate(identities: Iterable[Identity], grace: float) -> None:
    """End processes with all they have started, whatever session that is in: SIGTERM, `grace` seconds, SIGKILL.

    Only the processes themselves get SIGTERM, since they know how to stop their children.
    """
    wanted = list(identities)
    roots = [process for one in wanted if (process := one.process()) is not None]
    family = {process for root in roots for process in (root, *_offspring(root))}
    for root in roots:
        with suppress(psutil.Error):
            root.terminate()
            if root.status() == psutil.STATUS_STOPPED:
                root.resume()  # a stopped process would take the signal only when it goes on
    _wait(roots, grace)
    instances = {one.instance for one in wanted}
    family |= {process for process, instance in _tagged() if instance in instances}
    for process in family:
        with suppress(psutil.Error):
            process.kill()
    _wait(family, 5.0)


def orphans(project: str, known: Iterable[str]) -> list[Identity]:
    """Hosts and gateways of a project (and what they started) whose instance id nobody knows any more.

    Args:
        project: The project's digest.
        known: The instance ids that belong to it.
    """
    expected = set(known)
    found = []
    for process, instance in _tagged(project):
        if instance not in expected and process.pid != os.getpid():
            with suppress(psutil.Error):
                found.append(Identity(process.pid, process.create_time(), instance))
    return found


def _tagged(project: str | None = None) -> list[tuple[psutil.Process, str]]:
    found = []
    own = os.getuid()
    for process in psutil.process_iter():
        try:
            if process.uids().real != own or process.status() == psutil.STATUS_ZOMBIE:
                continue
            variables = process.environ()
        except (psutil.Error, OSError):
            continue
        if variables.get(INSTANCE_TAG) and (project is None or variables.get(PROJECT_TAG) == project):
            found.append((process, variables[INSTANCE_TAG]))
    return found


def _offspring(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _wait(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until all are gone, reaping those that are children of ours."""
    left = list(processes)
    deadline = time.monotonic() + seconds
    while left:
        left = [process for process in left if _is_running(process)]
        if not left or time.monotonic() >= deadline:
            return
        time.sleep(0.01)


def _is_running(process: psutil.Process) -> bool:
    child = _children.get(process.pid)
    if child is not None:
        # One of ours is gone when it has been reaped, not when it is a zombie: nobody would ask for it again.
        if child.poll() is None:
            return True
        _children.pop(process.pid, None)
        return False
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def trim_log(path: Path, limit: int = LOG_BYTES) -> None:
    """Keep a log that a process appends to within `limit` bytes; what is cut is kept once, in `NAME.1`."""
    with suppress(OSError):
        size = path.stat().st_size
        if size <= limit:
            return
        with path.open("rb") as log:
            log.seek(size - limit // 2)
            log.readline(_LONGEST_LINE)  # what is kept begins with a whole line
            path.with_name(f"{path.name}.1").write_bytes(log.read())
        os.truncate(path, 0)


def last_lines(path: Path, count: int = 10, *, since: int = 0) -> str:
    """The last lines of a log, of what was written after its first `since` bytes."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(since if since <= size else 0, size - 16_384))
            return "\n".join(log.read().decode(errors="replace").strip().splitlines()[-count:])
    except OSError:
        return ""


def check_port(port: int, patience: float = 1.0) -> None:
    """Make sure that nobody listens on a port of 127.0.0.1.

    Args:
        port: The port.
        patience: Seconds for a process that was killed a moment ago: the system closes its sockets only after it is
            seen to be dead.

    Raises:
        ServeFailed: somebody does; the message names the process where the system tells.
    """
    deadline = time.monotonic() + patience
    while (error := _refusal(port)) is not None:
        who = listener(port)
        if who or error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
            taken = f"port {port} is taken{f' by {who}' if who else ''}"
            raise ServeFailed(
                taken if error.errno == errno.EADDRINUSE else f"port {port} cannot be had: {error.strerror}",
                then="Stop what uses it, or set another `port` in [tool.turnout] of pyproject.toml.",
            ) from error
        time.sleep(0.02)


def _refusal(port: int) -> OSError | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of an earlier process that are being closed do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def listener(port: int) -> str:
    """Who listens on a port, as `name (PID 123)`; empty when the system does not tell."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return ""
    for one in connections:
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
            with suppress(psutil.Error):
                return f"{psutil.Process(one.pid).name()} (PID {one.pid})"
    return ""
