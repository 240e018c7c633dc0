"""`python -m benchmarks.watched`, or `make bench`: what it costs a host that it counts, is scraped and keeps a sample.

Four hosts of the same bento are pressed in turn, each round in another order: one that neither counts nor keeps; one
that counts, and whose metrics are read each second; one that keeps a tenth of its requests besides; and one whose
requests the judge of a canary looks at, too. All get the headers that the gateway writes; the mark of the version that
was chosen comes only with those that are judged. They are started anew many times: two processes of the very same code
differ by some per cent for as long as they live.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import comb
from pathlib import Path
from statistics import median

import psutil

from benchmarks.load import SCRIPT, Sample, press, wrk_version
from benchmarks.machine import QUIET_PERCENT, busy_percent
from benchmarks.material import ROOT, Material, prepare
from benchmarks.report import tell
from benchmarks.server import Launch, Server, free_ports
from benchmarks.serving import WORK
from benchmarks.visit import CONNECTIONS, WARM_UP_SECONDS
from pipelines.errors import TurnoutError
from pipelines.local.captures.folder import CaptureFolder
from pipelines.serving.capture import CAPTURES
from pipelines.values import CaptureSettings

DOCS = ROOT / "docs" / "performance.md"
STARTS = 30
"""So often all four are started anew, and pressed once."""
SECONDS = 1.0
RATE = 0.1
LOST_AIM = 0.05
"""Of the requests a second."""
LEVEL = 0.95
SCRAPE_SECONDS = 1.0
UNCOUNTED = Path(__file__).with_name("uncounted.py")
KNOWN, MARKED = SCRIPT.with_name("known.lua"), SCRIPT.with_name("marked.lua")
PLAIN, COUNTED, KEPT, JUDGED = "neither", "counted and scraped", "a tenth kept, too", "and all of them judged"
MARKS = ("<!-- watched: begin -->", "<!-- watched: end -->")


@dataclass
class Watched:
    """One of the four.

    Args:
        script: What is sent.
        url: Where it is asked, at present.
        pid: Its process, at present.
        samples: What was seen, by number of connections.
        cpu: Microseconds of processor that a request took it, beside each of these; others disturb that less.
    """

    script: Path = KNOWN
    url: str = ""
    pid: int = 0
    samples: dict[int, list[Sample]] = field(default_factory=dict)
    cpu: dict[int, list[float]] = field(default_factory=dict)

    def press(self, body: Path, connections: int, seconds: float) -> None:
        """Ask for a while."""
        process = psutil.Process(self.pid)
        before = process.cpu_times()
        sample = press(f"{self.url}/predict", body, connections, seconds, self.script)
        after = process.cpu_times()
        took = after.user + after.system - before.user - before.system
        self.samples.setdefault(connections, []).append(sample)
        self.cpu.setdefault(connections, []).append(1e6 * took / (sample.rate * seconds))

    @property
    def failed(self) -> int:
        """How many requests failed, in all."""
        return sum(sample.failed for samples in self.samples.values() for sample in samples)


@dataclass(frozen=True)
class Cost:
    """A share of the requests a second.

    Args:
        median: Of the starts, each compared with itself.
        low: Lower end of the median's 95 % interval.
        high: Upper end.
    """

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """In per cent, with its interval."""
        return f"{self.median:.1%} ({self.low:.1%} to {self.high:.1%})"


def lost(one: Watched, plain: Watched, connections: int) -> Cost:
    """What it costs, with the interval that the order statistics give; of fewer than six starts that is their range."""
    pairs = zip(one.samples[connections], plain.samples[connections], strict=True)
    shares = sorted(1 - sample.rate / other.rate for sample, other in pairs)
    count, outside = len(shares), 0
    # P(at most `outside` of so many fair coins show heads), twice: how often the interval misses the median.
    while 2 * sum(comb(count, heads) for heads in range(outside + 1)) / 2**count <= 1 - LEVEL:
        outside += 1
    outside = max(0, outside - 1)
    return Cost(median(shares), shares[outside], shares[-1 - outside])


def measure(folder: Path, starts: int, seconds: float) -> tuple[dict[str, Watched], int]:
    """Press all four in turn; also how many requests were kept."""
    material = prepare(WORK)
    body = folder / "body.json"
    body.write_text(json.dumps({"inputs": material.rows[:1].tolist()}))
    captures = CaptureFolder(folder / "captures")
    captures.set("digits", CaptureSettings(rate=RATE, max_mb=100_000))
    ways = {PLAIN: Watched(), COUNTED: Watched(), KEPT: Watched(), JUDGED: Watched(MARKED)}
    for start in range(starts):
        with contextlib.ExitStack() as stack:
            for name, way in ways.items():
                path = captures.path if name in (KEPT, JUDGED) else None
                stack.enter_context(_host(way, folder, material, body, path, is_counted=name != PLAIN))
            for name in (COUNTED, KEPT, JUDGED):
                stack.enter_context(_scraping(ways[name].url))
            _press_all(ways, body, seconds, turn=start % len(ways))
            time.sleep(SCRAPE_SECONDS)  # what waits is written
    kept = sum(1 for ref in captures.versions("digits") for _ in captures.read(ref))
    return ways, kept


def _press_all(ways: Mapping[str, Watched], body: Path, seconds: float, turn: int) -> None:
    names = list(ways)
    for connections in CONNECTIONS:
        for name in names[turn:] + names[:turn]:
            ways[name].press(body, connections, seconds)


@contextlib.contextmanager
def _host(
    way: Watched, folder: Path, material: Material, body: Path, captures: Path | None, *, is_counted: bool
) -> Iterator[None]:
    (port,) = free_ports(1)
    module = ["-m", "pipelines.serving.host"] if is_counted else [str(UNCOUNTED)]
    command = [sys.executable, "-P", *module, "--bento", str(material.bento), "--port", str(port)]
    environment = {"PYTHONPATH": str(material.bento)} | ({CAPTURES: str(captures)} if captures else {})
    launch = Launch(command, port, "/predict", folder, environment)
    with Server(launch, folder / f"{port}.log") as server:
        server.ready_seconds(body.read_bytes())
        press(launch.url, body, max(CONNECTIONS), WARM_UP_SECONDS, way.script)
        way.url, way.pid = launch.url.removesuffix(launch.path), server.pid
        yield


@contextlib.contextmanager
def _scraping(url: str) -> Iterator[None]:
    """Read its metrics and what the judge asks for, each second."""
    leaves = threading.Event()

    def scrape() -> None:
        while not leaves.wait(SCRAPE_SECONDS):
            for path in ("metrics", "arms"):
                with urllib.request.urlopen(f"{url}/{path}", timeout=10) as answer:
                    answer.read()

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaves.set()
        thread.join(10)


def page(ways: Mapping[str, Watched], kept: int, busy: float) -> str:
    """The table, and whether the aim was met."""
    starts = len(ways[PLAIN].samples[CONNECTIONS[0]])
    said = f"{time.strftime('%Y-%m-%d')}, {starts} starts of each, {os.cpu_count()} cores."
    if busy > QUIET_PERCENT:
        said += f" The machine was not quiet: others used {busy:.0f} % of it."
    columns = [*(f"req/s, {name}" for name in ways), "cost of counting and keeping", "of judging, too"]
    rows = [said, "", f"| connections | {' | '.join(columns)} |", "|---:" * (len(columns) + 1) + "|"]
    costs = {count: lost(ways[KEPT], ways[PLAIN], count) for count in CONNECTIONS}
    for count, cost in costs.items():
        rates = [f"{median(sample.rate for sample in way.samples[count]):,.0f}" for way in ways.values()]
        rows.append(f"| {count} | {' | '.join(rates)} | {cost} | {lost(ways[JUDGED], ways[PLAIN], count)} |")
    spent = [f"{median(way.cpu[CONNECTIONS[1]]):.1f}" for way in ways.values()]
    rows.append(f"\nAt {CONNECTIONS[1]} connections a request took {', '.join(spent)} microseconds of the processor.")
    failed = sum(way.failed for way in ways.values())
    aim = f"Aim (counting and keeping at most {LOST_AIM:.0%} of the requests a second): {verdict(costs)}."
    return "\n".join([*rows, "", f"{kept:,} requests were kept, {failed} failed. {aim}"])


def verdict(costs: Mapping[int, Cost]) -> str:
    """Whether the aim was met, by numbers of connections; an interval with the aim in it cannot say."""
    missed = [str(count) for count, cost in costs.items() if cost.low > LOST_AIM]
    open_ = [str(count) for count, cost in costs.items() if cost.low <= LOST_AIM < cost.high]
    if not missed and not open_:
        return "met"
    told = ("missed at", missed), ("cannot be told at", open_)
    return "; ".join(f"{word} {' and '.join(counts)}" for word, counts in told if counts)


def main() -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watched", description="What being watched costs.")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    try:
        wrk_version()
        busy = busy_percent()
        if busy > QUIET_PERCENT:
            print(f"{busy:.0f} % of this machine is in use by others", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), 1 if options.quick else STARTS, SECONDS)
        tell(page(*found, busy), DOCS, MARKS, is_kept=options.write_docs)
    except TurnoutError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
