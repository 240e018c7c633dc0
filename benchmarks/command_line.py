"""`python -m benchmarks.command_line`, or `make bench`: how long a command takes to be under way.

A rollback from the shell is in a hurry: what counts is the time from the start of its process until its request
leaves. A stand-in for the daemon notes that moment and answers at once. Every command is run once a round, each round
beginning with another one, since the machine is never equally quiet. A round before all others, which is not counted,
compiles the modules, as the first call on a new machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import pipelines
from benchmarks.machine import QUIET_PERCENT, busy_percent
from benchmarks.material import ROOT
from benchmarks.report import tell
from pipelines.local.protocol import ADDRESS, PROTOCOL

ROUNDS = 30
SCRIPTS = Path(sys.executable).parent
DOCS = ROOT / "docs" / "performance.md"
MARKS = ("<!-- command line: begin -->", "<!-- command line: end -->")
PROJECT = """[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
"""


@dataclass
class Contender:
    """One command line, with the milliseconds it took, round by round.

    Args:
        title: As a person types it.
        command: As it is run.
        until_asked: Whether the time ends when its request arrives; else when the process has ended.
    """

    title: str
    command: Sequence[str]
    until_asked: bool = False
    took: list[float] = field(default_factory=list)


class Daemon:
    """Stands in for a project's daemon: it answers every request with one and the same entry, and does nothing.

    Args:
        root: The project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(root / "s"))
        self._listening.listen()
        self.asked = 0.0
        """When the last request came, by the monotonic clock."""
        state = root / ".turnout"
        state.mkdir()
        address = {"protocol": PROTOCOL, "version": pipelines.__version__, "pid": os.getpid()}
        (state / ADDRESS).write_text(json.dumps({**address, "socket": str(root / "s")}), encoding="utf-8")
        threading.Thread(target=self._answer, daemon=True).start()

    def close(self) -> None:
        """Hear no more."""
        self._listening.close()

    def _answer(self) -> None:
        said = json.dumps({"done": _entry()}).encode()
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                self.asked = time.monotonic()
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + said + b"\n")


def contenders() -> list[Contender]:
    """Python alone, ours, and what people use instead."""
    turnout = str(SCRIPTS / "turnout")
    rollback = [turnout, "rollback", "digits"]
    return [
        Contender("`python -I -S -c pass`: the bare interpreter", [sys.executable, "-I", "-S", "-c", "pass"]),
        Contender("`python -c pass`: with the environment's start-up files", [sys.executable, "-c", "pass"]),
        Contender("`turnout rollback digits`, until its request leaves", rollback, until_asked=True),
        Contender("`turnout rollback digits`, to its end", rollback),
        Contender("`turnout --help`", [turnout, "--help"]),
        Contender("`bentoml --help`", [str(SCRIPTS / "bentoml"), "--help"]),
        Contender("`mlflow --help`", [str(SCRIPTS / "mlflow"), "--help"]),
    ]


def measure(found: Sequence[Contender], rounds: int) -> None:
    """Run each in every round."""
    with _project() as (root, daemon):
        for number in range(-1, rounds):
            first = number % len(found)
            for contender in (*found[first:], *found[:first]):
                took = _run(contender, root, daemon)
                if number >= 0:
                    contender.took.append(took * 1000)


def page(found: Sequence[Contender], busy: float) -> str:
    """The table, with what is needed to judge it."""
    said = f"{time.strftime('%Y-%m-%d')}, {len(found[0].took)} rounds."
    if busy > QUIET_PERCENT:
        said += f" The machine was not quiet: others used {busy:.0f} % of it."
    rows = [said, "", "| | median ms | p99 ms |", "|---|---:|---:|"]
    for contender in found:
        slowest = quantiles(contender.took, n=100, method="inclusive")[-1]
        rows.append(f"| {contender.title} | {median(contender.took):,.0f} | {slowest:,.0f} |")
    return "\n".join(rows)


def _run(contender: Contender, root: Path, daemon: Daemon) -> float:
    # Whatever the caller's environment says: compiled modules, as everybody has them from the second call on.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(root / "compiled")
    started = time.monotonic()
    subprocess.run(
        contender.command, cwd=root, env=environment, check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    return (daemon.asked if contender.until_asked else time.monotonic()) - started


@contextmanager
def _project() -> Iterator[tuple[Path, Daemon]]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
        daemon = Daemon(root)
        try:
            yield root, daemon
        finally:
            daemon.close()


def _entry() -> dict[str, object]:
    version = {
        "weight": 100,
        "role": "champion",
        "health": "ready",
        "age_seconds": 60.0,
        "requests": 1000,
        "failures": 0,
    }
    version |= {"replicas": 1, "memory_mb": 48.0, "restarts": 0}
    entry = {"url": "http://127.0.0.1:3000/digits", "phase": "live", "champion": "digits@1", "bake_until": None}
    return {**entry, "versions": {"digits@1": version}, "quarantined": {"digits@2": "rolled back"}, "operation": None}


def main() -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.command_line", description="How long a command takes to be under way."
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is run; {ROUNDS} unless given")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into docs/{DOCS.name}")
    options = parser.parse_args()
    busy = busy_percent()
    found = contenders()
    measure(found, options.rounds)
    tell(page(found, busy), DOCS, MARKS, is_kept=options.write_docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
