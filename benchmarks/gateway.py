"""`python -m benchmarks.gateway`, or `make bench`: what the gateway costs. The same bento is asked both ways.

In each round the host on its own port and the gateway in front of an equal host are pressed in turn, each time in the
other order; the medians of the rounds are compared. Both share the machine's cores with the client.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.load import Sample, press, wrk_version
from benchmarks.machine import QUIET_PERCENT, busy_percent
from benchmarks.material import ROOT, prepare
from benchmarks.report import tell
from benchmarks.serving import WORK
from benchmarks.visit import CONNECTIONS
from pipelines.adapters.packaging.digest import bento_digest
from pipelines.errors import TurnoutError
from pipelines.values import Bento
from tests.e2e.running import running_line
from tests.serving.bentos import running_host

ROUNDS = 5
SECONDS = 4.0
SHARE_AIM = 0.75
"""Of the direct requests a second, at more than one connection."""
MORE_AIM_MS = 0.3
"""At the median of one connection."""
DOCS = ROOT / "docs" / "performance.md"
MARKS = ("<!-- gateway: begin -->", "<!-- gateway: end -->")


@dataclass
class Way:
    """One way to the model, with what was seen on it, by number of connections."""

    url: str
    samples: dict[int, list[Sample]] = field(default_factory=dict)

    def press(self, body: Path, connections: int, seconds: float) -> None:
        """Ask for a while."""
        self.samples.setdefault(connections, []).append(press(self.url, body, connections, seconds))

    def rate(self, connections: int) -> float:
        """Requests a second, the median of the rounds."""
        return median(sample.rate for sample in self.samples[connections])

    def p50_ms(self, connections: int) -> float:
        """Median latency, the median of the rounds."""
        return median(sample.p50_ms for sample in self.samples[connections])

    @property
    def failed(self) -> int:
        """How many requests failed, in all."""
        return sum(sample.failed for samples in self.samples.values() for sample in samples)


def measure(folder: Path, rounds: int, seconds: float) -> dict[str, Way]:
    """Press both ways in turn, with the network that the other servers are measured with."""
    material = prepare(WORK)
    body = folder / "body.json"
    body.write_text(json.dumps({"inputs": material.rows[:1].tolist()}))
    with running_line(folder / "project", 0) as line:
        digest = bento_digest(material.bento)
        line.shelf.catalogue.put(Bento(line.shelf.ref(1), str(material.bento), digest, is_passed=True))
        line.deploy(1)
        with running_host(material.bento) as host:
            ways = {"directly": Way(f"{host.url}/predict"), "through the gateway": Way(line.url())}
            for number in range(rounds):
                for connections in CONNECTIONS:
                    order = list(ways.values())[:: 1 if number % 2 else -1]
                    for way in order:
                        way.press(body, connections, seconds)
    return ways


def page(ways: Mapping[str, Way]) -> str:
    """The table, and whether the aims were met."""
    rows = [
        "| connections | req/s, directly | req/s, gateway | share | p50 ms, directly | p50 ms, gateway | more |",
        "|---|---|---|---|---|---|---|",
    ]
    direct, behind = ways["directly"], ways["through the gateway"]
    for count in CONNECTIONS:
        share = behind.rate(count) / direct.rate(count)
        more = behind.p50_ms(count) - direct.p50_ms(count)
        rows.append(
            f"| {count} | {direct.rate(count):,.0f} | {behind.rate(count):,.0f} | {share:.0%} "
            f"| {direct.p50_ms(count):.2f} | {behind.p50_ms(count):.2f} | {more:+.2f} |"
        )
    return "\n".join([*rows, "", f"Failed requests: {direct.failed + behind.failed}. {_aims(direct, behind)}"])


def _aims(direct: Way, behind: Way) -> str:
    first, *others = CONNECTIONS
    missed = [
        f"{behind.rate(count) / direct.rate(count):.0%} of the direct rate at {count} connections"
        for count in others
        if behind.rate(count) < SHARE_AIM * direct.rate(count)
    ]
    more = behind.p50_ms(first) - direct.p50_ms(first)
    missed += [f"{more:.2f} ms more at {first}"] if more > MORE_AIM_MS else []
    many = " and ".join(map(str, others))
    aims = f"at least {SHARE_AIM:.0%} of the direct rate at {many}, at most {MORE_AIM_MS} ms more at {first}"
    return f"Aims ({aims}): {'missed: ' + ', '.join(missed) if missed else 'met'}."


def main() -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description="What the gateway costs.")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into docs/{DOCS.name}")
    options = parser.parse_args()
    try:
        wrk_version()
        busy = busy_percent()
        if busy > QUIET_PERCENT:
            print(f"{busy:.0f} % of this machine is in use by others", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            ways = measure(Path(folder), 1 if options.quick else ROUNDS, 1.0 if options.quick else SECONDS)
        tell(page(ways), DOCS, MARKS, is_kept=options.write_docs)
    except TurnoutError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
