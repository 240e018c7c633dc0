"""A load client that counts exactly: when each request began and ended, which version answered it, what failed.

Closed loop: a connection sends its next request when it has the whole answer to the one before. It runs in a process
of its own (`python -m tests.e2e.load`), so that the measured command never waits for it, and ends by itself: after
`seconds`, after `requests`, or when the process that started it is gone. Times are CLOCK_MONOTONIC, which all processes
of a machine share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO
from urllib.parse import urlsplit

import numpy as np

RECORD = np.dtype([("start", "f8"), ("end", "f8"), ("version", "i4"), ("status", "i4"), ("kind", "i1")])
KEPT, FRESH, SLOW = 0, 1, 2
FAILED = 0
"""The status of a request that got no whole answer."""

# Turnout answers at once, or fails over after 0.8 s: one that takes this long is lost.
PATIENCE_SECONDS = 15.0
_MOST_REQUESTS = 5_000_000


@dataclass(frozen=True)
class Plan:
    """What load to make.

    Args:
        url: Where to POST.
        body: The request's body.
        kept: Connections that are kept alive.
        fresh: Loops that connect anew for each request.
        slow: Connections whose requests take `slow_seconds` to send their body.
        slow_seconds: As said.
        seconds: The longest it runs.
        requests: The most requests it makes.
        pause_seconds: What a connection waits between two requests.
        model: Whose versions answer.
        headers: Further headers.
    """

    url: str
    body: str
    kept: int = 8
    fresh: int = 2
    slow: int = 1
    slow_seconds: float = 0.5
    seconds: float = 600.0
    requests: int = _MOST_REQUESTS
    pause_seconds: float = 0.0
    model: str = "digits"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Log:
    """What happened.

    Args:
        records: A row a request, dtype `RECORD`.
        failures: The first failures, in words.
    """

    records: np.ndarray
    failures: list[str]

    @property
    def failed(self) -> int:
        """How many requests did not get a 200 with the answer of one version."""
        return int((self.records["status"] != 200).sum())

    def by_version(self) -> dict[int, int]:
        """How many good answers each version gave."""
        good = self.records[self.records["status"] == 200]
        return dict(zip(*(part.tolist() for part in np.unique(good["version"], return_counts=True)), strict=True))

    def strangers(self, begun: float, over: float, allowed: set[int]) -> int:
        """How many requests that began in (begun, over] were served by a version that is not allowed."""
        seen = self.records
        within = (seen["start"] > begun) & (seen["start"] <= over) & (seen["status"] == 200)
        return int((within & ~np.isin(seen["version"], list(allowed))).sum())

    def last_start(self, version: int, before: float = float("inf")) -> float:
        """When the last request began that this version served; -inf when it served none."""
        seen = self.records[(self.records["version"] == version) & (self.records["start"] <= before)]
        return float(seen["start"].max()) if len(seen) else float("-inf")

    def last_end(self, version: int, before: float = float("inf")) -> float:
        """When the last answer of this version was whole, among those requests that began before."""
        seen = self.records[(self.records["version"] == version) & (self.records["start"] <= before)]
        return float(seen["end"].max()) if len(seen) else float("-inf")

    def seconds(self, kind: int = KEPT) -> np.ndarray:
        """How long each good answer took."""
        good = self.records[(self.records["status"] == 200) & (self.records["kind"] == kind)]
        return np.asarray(good["end"] - good["start"])


@dataclass
class Timeline:
    """When commands were given and answered, and who may serve what begins between two of them."""

    spans: list[tuple[float, float, set[int]]] = field(default_factory=list)

    def do(self, command: Callable[[], object], *allowed: int) -> float:
        """Give a command, after whose answer only `allowed` versions may serve; the seconds it took."""
        begun = time.monotonic()
        command()
        over = time.monotonic()
        self.spans.append((begun, over, set(allowed)))
        return over - begun

    def strangers(self, log: Log) -> int:
        """Requests that began after an answer, before the next command, and were served by another version."""
        nexts = [begun for begun, _, _ in self.spans[1:]] + [float("inf")]
        return sum(
            log.strangers(over, until, allowed) for (_, over, allowed), until in zip(self.spans, nexts, strict=True)
        )


class Load:
    """A running load client; leaving the context stops it and leaves `log`."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._file = folder / f"load-{time.monotonic_ns()}.npy"
        self._process: subprocess.Popen[str] | None = None
        self.log = Log(np.empty(0, RECORD), [])

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.e2e.load", str(self._file)]
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            command,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(json.dumps(asdict(self._plan)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def counts(self) -> dict[str, int]:
        """Answers so far: `all`, `failed`, and by version number."""
        self._say("count")
        return {str(name): int(count) for name, count in json.loads(self._hear()).items()}

    def wait_for(self, is_enough: Callable[[dict[str, int]], bool], seconds: float = 60.0) -> dict[str, int]:
        """Return the counts as soon as they are enough; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            counts = self.counts()
            if is_enough(counts):
                return counts
            assert time.monotonic() < deadline, f"not within {seconds} s: {counts}"
            time.sleep(0.02)

    def wait_for_more(self, count: int, version: int | str = "all", seconds: float = 60.0) -> None:
        """Return when so many further answers came, of one version or of all."""
        aim = self.counts().get(str(version), 0) + count
        self.wait_for(lambda counts: counts.get(str(version), 0) >= aim, seconds)

    def stop(self) -> Log:
        """End the load, when every request under way has its answer; return what happened."""
        process = self._process
        if process is None:
            return self.log
        self._process = None
        try:
            assert process.stdin is not None
            process.stdin.close()
            assert process.stdout is not None
            said = [line for line in process.stdout if line.startswith("{")]
            process.stdout.close()
            assert process.wait(PATIENCE_SECONDS * 2) == 0, "the load client itself failed"
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        records = np.load(self._file)
        self._file.unlink()
        self.log = Log(records, json.loads(said[-1])["failures"])
        return self.log

    def _say(self, text: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class _Client:
    """The loops of one process."""

    def __init__(self, plan: Plan) -> None:
        place = urlsplit(plan.url)
        self._host, self._port = place.hostname or "127.0.0.1", place.port or 80
        self._plan = plan
        body = plan.body.encode()
        extra = "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
        head = (
            f"POST {place.path} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{extra}"
        )
        self._kept = f"{head}\r\n".encode() + body
        self._fresh = f"{head}connection: close\r\n\r\n".encode() + body
        self._half = len(self._kept) - len(body) // 2
        self._model = f"{plan.model}@".encode()
        self.records: list[tuple[float, float, int, int, int]] = []
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.is_over = False

    async def run(self) -> None:
        plan = self._plan
        kinds = [KEPT] * plan.kept + [FRESH] * plan.fresh + [SLOW] * plan.slow
        await asyncio.gather(*(self._loop(kind) for kind in kinds))

    async def _loop(self, kind: int) -> None:
        link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self.is_over and len(self.records) < self._plan.requests:
            start = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    link = link or await asyncio.open_connection(self._host, self._port)
                    version, status, keeps, problem = await self._ask(*link, kind)
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                version, status, keeps, problem = 0, FAILED, False, f"{type(error).__name__}: {error}"
            self._note(start, version, status, kind, problem)
            if not keeps or kind == FRESH:
                _close(link)
                link = None
            if status != 200:
                await asyncio.sleep(0.01)  # a refused connection must not become a busy loop
            if self._plan.pause_seconds:
                await asyncio.sleep(self._plan.pause_seconds)
        _close(link)

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: int
    ) -> tuple[int, int, bool, str]:
        if kind == SLOW:
            writer.write(self._kept[: self._half])
            await asyncio.sleep(self._plan.slow_seconds)
            writer.write(self._kept[self._half :])
        else:
            writer.write(self._fresh if kind == FRESH else self._kept)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        length = _header(head, b"content-length")
        if not length:
            raise ValueError(f"an answer without a length: {head[:200]!r}")
        body = await reader.readexactly(int(length))
        keeps = _header(head, b"connection") != b"close"
        said = _header(head, b"x-model-version")
        if status != 200:
            return _number(said), status, keeps, f"{status}: {body[:200]!r}"
        number = said.removeprefix(self._model)
        if b'"version":' + number not in body.replace(b" ", b"") or b'"outputs"' not in body:
            return _number(said), FAILED, keeps, f"the header says {said!r}, the body {body[:200]!r}"
        return int(number), status, keeps, ""

    def _note(self, start: float, version: int, status: int, kind: int, problem: str) -> None:
        self.records.append((start, time.monotonic(), version, status, kind))
        self.counts["all"] += 1
        if status == 200:
            self.counts[str(version)] += 1
            return
        self.counts["failed"] += 1
        if len(self.failures) < 50:
            self.failures.append(f"{problem} ({('kept', 'fresh', 'slow')[kind]}, at {start:.3f})")


def _header(head: bytes, name: bytes) -> bytes:
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    return head[at + len(name) + 3 : head.index(b"\r\n", at + 2)].strip()


def _number(said: bytes) -> int:
    number = said.rpartition(b"@")[2]
    return int(number) if number.isdigit() else 0


def _close(link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
    if link is not None:
        link[1].close()


async def _serve(client: _Client, commands: TextIO, seconds: float) -> None:
    """Run the load until it is over, stdin closes or the time is up; answer each `count` meanwhile."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), commands)
    work = asyncio.create_task(client.run())
    loop.call_later(seconds, lambda: setattr(client, "is_over", True))
    while line := await reader.readline():
        if line.strip() == b"count":
            _tell(client.counts)
    client.is_over = True
    await work


def _tell(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the plan from stdin, make the load, write the records to the given file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    plan = Plan(**json.loads(sys.stdin.buffer.raw.readline()))  # type: ignore[attr-defined]
    client = _Client(plan)
    import uvloop

    uvloop.run(_serve(client, sys.stdin, plan.seconds))
    np.save(file, np.array(client.records, RECORD))
    _tell({"failures": client.failures})


if __name__ == "__main__":
    main()
