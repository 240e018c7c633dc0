"""Load from wrk: one client process, keep-alive, the next request of a connection as soon as the last is answered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import NotMeasured
from pipelines.errors import TurnoutError

SCRIPT = Path(__file__).with_name("post.lua")
ANSWER_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """What one press of load saw.

    Args:
        connections: How many there were.
        rate: Answers with a status below 400, per second.
        p50_ms: Median latency of all answers, in milliseconds.
        p99_ms: 99th percentile.
        failed: Answers with a status of 400 or more, broken connections and requests without an answer within 10 s.
    """

    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    failed: int

    def as_dict(self) -> dict[str, Any]:
        """The sample as JSON."""
        return asdict(self)


def wrk_version() -> str:
    """The version of wrk.

    Raises:
        TurnoutError: it is not installed.
    """
    if shutil.which("wrk") is None:
        raise TurnoutError(
            "wrk, which makes the load, is not installed",
            then="Install it with your package manager (Debian: `apt-get install wrk`) and call again.",
        )
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).split(" [")[0].removeprefix("wrk ")


def press(url: str, body: Path, connections: int, seconds: float, script: Path = SCRIPT) -> Sample:
    """POST `body` to `url` over `connections` connections for `seconds`, rounded to full ones, at least 1.

    Args:
        url: Where to.
        body: The file with it.
        connections: How many at a time.
        seconds: How long.
        script: What wrk sends and prints.

    Raises:
        NotMeasured: wrk does not end well.
    """
    whole = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", f"--timeout={ANSWER_TIMEOUT_SECONDS}s"]
    environment = {**os.environ, "BENCHMARK_BODY": str(body), "BENCHMARK_SCRIPTS": str(SCRIPT.parent)}
    try:
        run = subprocess.run(
            [*command, "-s", str(script), url],
            env=environment,
            capture_output=True,
            text=True,
            timeout=whole + 3 * ANSWER_TIMEOUT_SECONDS,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotMeasured(f"wrk did not end well: {error}; {error.stderr!r}") from error
    return read(run.stdout, connections)


def read(output: str, connections: int) -> Sample:
    """The last line that `post.lua` prints, as a sample."""
    seen = json.loads(output.strip().splitlines()[-1])
    return Sample(
        connections=connections,
        rate=(seen["requests"] - seen["status"]) / (seen["microseconds"] / 1e6),
        p50_ms=seen["p50"] / 1000,
        p99_ms=seen["p99"] / 1000,
        failed=sum(seen[kind] for kind in ("status", "connect", "read", "write", "timeout")),
    )
