"""One server process at a time: started, waited for, weighed and stopped with everything it has started itself."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.errors import NotMeasured

START_SECONDS = 120.0
STOP_SECONDS = 5.0
_TRY_SECONDS = 10.0
_PAUSE_SECONDS = 0.01


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on."""
    taken = [socket.socket() for _ in range(count)]
    try:
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]
    finally:
        for each in taken:
            each.close()


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started.

    Args:
        command: The program and its arguments.
        port: Where it will listen on 127.0.0.1.
        path: Where predictions are asked for.
        folder: Its working directory.
        environment: Variables over those of this process.
    """

    command: Sequence[str]
    port: int
    path: str
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where predictions are asked for, in full."""
        return f"http://127.0.0.1:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process and its descendants, in 10^6 bytes.

    Args:
        mb: As `kind` has it.
        kind: `PSS`, which shares out a page among the processes that use it; or `RSS` where the system does not tell.
        rss_mb: `RSS`, which counts such a page for each of them.
    """

    mb: float
    kind: str
    rss_mb: float


class Server:
    """A running server; leaving the `with` block stops it and all its descendants.

    Args:
        launch: How to start it.
        log: Where its output goes.
        grace: Seconds for a gentle stop.
    """

    def __init__(self, launch: Launch, log: Path, grace: float = STOP_SECONDS) -> None:
        self._launch = launch
        self._log = log
        self._grace = grace

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self._launch.command,
                    cwd=self._launch.folder,
                    env={**os.environ, **self._launch.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise NotMeasured(f"it cannot be started: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tree = self._tree()
        self._process.send_signal(signal.SIGTERM)
        alive = _still_alive(tree, self._grace, self._process)
        # Whatever a descendant has started since is found through it.
        stubborn = {*alive, *(child for each in alive for child in _children(each))}
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _still_alive(stubborn, STOP_SECONDS, self._process)

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    def ask(self, body: bytes) -> tuple[int, Any]:
        """POST one body on a connection of its own; the status and the parsed answer.

        Raises:
            OSError, http.client.HTTPException: there is no answer.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._launch.port, timeout=_TRY_SECONDS)
        try:
            connection.request("POST", self._launch.path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(text) if answer.status == 200 else text[:300].decode(errors="replace")

    def ready_seconds(self, body: bytes) -> float:
        """Ask until the first good answer; the seconds since the process was started.

        Raises:
            NotMeasured: it ends before, or gives none in time.
        """
        last: object = "it does not listen"
        while time.monotonic() - self.started < START_SECONDS:
            if self._process.poll() is not None:
                raise NotMeasured(f"it ended with code {self._process.returncode}: {self._last_words()}")
            try:
                status, last = self.ask(body)
            except (OSError, http.client.HTTPException) as error:
                last = error
            else:
                if status == 200:
                    return time.monotonic() - self.started
            time.sleep(_PAUSE_SECONDS)
        raise NotMeasured(f"it gave no answer within {START_SECONDS:.0f} s ({last})")

    def memory(self) -> Memory:
        """What the process and its descendants hold."""
        tree = self._tree()
        rss = sum(process.memory_info().rss for process in tree) / 1e6
        try:
            return Memory(sum(process.memory_full_info().pss for process in tree) / 1e6, "PSS", rss)
        except (AttributeError, psutil.AccessDenied):
            return Memory(rss, "RSS", rss)

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self._process.pid)
        except psutil.NoSuchProcess:
            return []
        return [root, *_children(root)]

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _still_alive(
    processes: Iterable[psutil.Process], seconds: float, ours: subprocess.Popen[bytes]
) -> list[psutil.Process]:
    """Wait for processes to end; those that have not. `ours` is our own child, which we have to collect."""
    deadline = time.monotonic() + seconds
    alive = list(processes)
    while alive and time.monotonic() < deadline:
        ours.poll()
        alive = [process for process in alive if _is_alive(process)]
        time.sleep(_PAUSE_SECONDS)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
