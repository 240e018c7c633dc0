"""What a bento needs and how fast it answers, alone on this machine."""

from __future__ import annotations

import http.client
import json
import math
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from pipelines.adapters.packaging.process import blame, clean_environment, stop_tree
from pipelines.errors import PackageFailed
from pipelines.values import WARMUP_NAME, ServingMeasure

REQUESTS = 300
"""How many one-row requests a percentile rests on."""
START_DEADLINE_SECONDS = 180.0
_HOST = "pipelines.serving.host"
_TETHERED = Path(__file__).with_name("tethered.py")
_SLOWEST_RUN_SECONDS = 60.0
_ANSWER_SECONDS = 60.0
_POLL_SECONDS = 0.01
_OK = 200


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def measure(sources: Path, name: str, log: Path) -> ServingMeasure:
    """Start the bento's own copy of the host, send it real rows one at a time, stop it.

    Args:
        sources: The bento's source folder.
        name: For messages.
        log: Gets what the host prints.

    Raises:
        PackageFailed: it does not start, or answers with a failure or a number that is not finite.
    """
    rows = json.loads((sources / WARMUP_NAME).read_text(encoding="utf-8"))["inputs"]
    bodies = [json.dumps({"inputs": [row]}).encode() for row in rows]
    with _running(sources, log) as (host, address, began):
        _first_answer(host, address, bodies[0], name, log)
        start_seconds = time.perf_counter() - began
        latencies = _latencies(address, bodies, name)
        memory = _resident(host.pid)
    # The nearest-rank percentile: a time that was really seen.
    p95 = sorted(latencies)[math.ceil(0.95 * len(latencies)) - 1]
    return ServingMeasure(
        latency_p95_ms=p95 * 1e3, start_seconds=start_seconds, memory_mb=memory / 1e6, requests=len(latencies)
    )


@contextmanager
def _running(sources: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, float]]:
    # Paths of sockets have about 100 bytes: a project's own folder may be too deep.
    folder = Path(tempfile.mkdtemp(prefix="turnout-", dir="/tmp" if Path("/tmp").is_dir() else None))  # noqa: S108
    address = folder / "host.sock"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as output:
            began = time.perf_counter()
            host = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", str(_TETHERED), _HOST, "--bento", str(sources), "--uds", str(address)],
                cwd=sources,
                env=clean_environment({"PYTHONPATH": str(sources)}),
                stdin=subprocess.PIPE,  # its end tells the host that nobody measures any more
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield host, address, began
        finally:
            stop_tree(host)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _first_answer(host: subprocess.Popen[bytes], address: Path, body: bytes, name: str, log: Path) -> None:
    deadline = time.perf_counter() + START_DEADLINE_SECONDS
    said = ""
    while time.perf_counter() < deadline:
        if host.poll() is not None:
            raise PackageFailed(
                f"the host of {name} ended while starting, with code {host.returncode}: {blame(log)}",
                then=f"All it printed is in {log}.",
            )
        if address.exists():
            connection = UnixConnection(address, _ANSWER_SECONDS)
            try:
                status, answer = _ask(connection, body)
            except (OSError, http.client.HTTPException) as error:
                said = str(error)
            else:
                if status == _OK:
                    _check(status, answer, name)
                    return
                said = f"HTTP {status}: {answer[:300].decode(errors='replace')}"
                if status != http.HTTPStatus.SERVICE_UNAVAILABLE:
                    raise PackageFailed(f"the bento {name} refuses its own warm-up row: {said}")
            finally:
                connection.close()
        time.sleep(_POLL_SECONDS)
    raise PackageFailed(
        f"the host of {name} was not ready after {START_DEADLINE_SECONDS:.0f} seconds ({said or 'no answer'})",
        then=f"All it printed is in {log}.",
    )


def _latencies(address: Path, bodies: list[bytes], name: str) -> list[float]:
    """Seconds of up to REQUESTS requests over one connection; a slow model gets as many as fit into a minute."""
    connection = UnixConnection(address, _ANSWER_SECONDS)
    latencies: list[float] = []
    finish = time.perf_counter() + _SLOWEST_RUN_SECONDS
    try:
        while len(latencies) < REQUESTS and (time.perf_counter() < finish or len(latencies) < len(bodies)):
            began = time.perf_counter()
            status, answer = _ask(connection, bodies[len(latencies) % len(bodies)])
            latencies.append(time.perf_counter() - began)
            _check(status, answer, name)
    except (OSError, http.client.HTTPException) as error:
        raise PackageFailed(f"the host of {name} broke off request {len(latencies) + 1}: {error}") from error
    finally:
        connection.close()
    return latencies


def _ask(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def _check(status: int, answer: bytes, name: str) -> None:
    said = answer[:300].decode(errors="replace")
    if status != _OK:
        raise PackageFailed(f"the bento {name} answers a real row with HTTP {status}: {said}")
    try:
        outputs = json.loads(answer)["outputs"]
    except (ValueError, KeyError, TypeError) as error:
        raise PackageFailed(f"the bento {name} answers a real row with no outputs: {said}") from error
    if len(outputs) != 1 or not _finite(outputs):
        raise PackageFailed(f"the bento {name} answers one real row with {said}", instead="one row, all of it finite")


def _finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_finite, value))
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return value is not None and (not isinstance(value, float) or math.isfinite(value))


def _resident(pid: int) -> int:
    """Bytes of resident memory of a process and its children."""
    root = psutil.Process(pid)
    return sum(process.memory_info().rss for process in (root, *root.children(recursive=True)))
