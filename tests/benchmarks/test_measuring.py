"""Servers are started, asked, pressed and stopped for real: tiny ones, written here."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.errors import NotMeasured
from benchmarks.field import Contender
from benchmarks.load import press, read
from benchmarks.material import Material
from benchmarks.server import Launch, Server, free_ports
from benchmarks.visit import Outcome, largest_difference
from pipelines.values import Parity

SERVER = """
import json, subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleep, start_new_session=True)  # as the worker of `bentoml serve` is

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = json.dumps({"child": child.pid, "sums": [sum(row) for row in json.loads(body)]}).encode()
        self.send_response(200 if self.path == "/good" else 418)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def _launch(path: str = "/good", program: str = SERVER) -> Launch:
    (port,) = free_ports(1)
    return Launch([sys.executable, "-c", program, str(port)], port, path, Path.cwd())


def _contender(launch: Launch) -> Contender:
    return Contender(
        "tiny",
        "a tiny server",
        "",
        frozenset({0}),
        lambda _: launch,
        lambda rows: rows,
        lambda answer: [answer["sums"]],
    )


def _material(folder: Path, expected: float) -> Material:
    rows, answers = np.ones((2, 3), np.float32), np.full((2, 1), expected, np.float32)
    return Material(folder, folder, folder, folder, folder, Parity(2, 0.0, None, 1e-4), rows, answers)


def test_a_stopped_server_leaves_no_process(tmp_path: Path) -> None:
    """Also a child in a session of its own is gone, and the memory counted both."""
    launch = _launch()
    with Server(launch, tmp_path / "log", grace=0.2) as server:
        seconds = server.ready_seconds(b"[[1, 2]]")
        _, answer = server.ask(b"[[1, 2]]")
        child = psutil.Process(answer["child"])
        alone = psutil.Process(child.pid).memory_info().rss / 1e6
        memory = server.memory()
    assert answer["sums"] == [3]
    assert seconds > 0
    assert memory.rss_mb > alone
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_server_that_ends_is_not_measured(tmp_path: Path) -> None:
    """The reason has its exit code and its last words."""
    launch = _launch(program="print('no such model'); raise SystemExit(3)")
    with (
        Server(launch, tmp_path / "log", grace=0.2) as server,
        pytest.raises(NotMeasured, match="code 3: no such model"),
    ):
        server.ready_seconds(b"[]")


def test_a_program_that_is_missing_is_not_measured(tmp_path: Path) -> None:
    """It is a reason like any other."""
    launch = Launch([str(tmp_path / "nothing")], 1, "/", tmp_path)
    with pytest.raises(NotMeasured, match="cannot be started"), Server(launch, tmp_path / "log", grace=0.2):
        pass


@pytest.mark.parametrize(("expected", "fits"), [(3.0, True), (3.00005, True), (3.001, False)])
def test_answers_are_compared_with_keras(tmp_path: Path, expected: float, fits: bool) -> None:
    """A difference of 1e-4 is the most that passes."""
    launch = _launch()
    with Server(launch, tmp_path / "log", grace=0.2) as server:
        server.ready_seconds(b"[[1]]")
        if fits:
            assert largest_difference(_contender(launch), server, _material(tmp_path, expected)) <= 1e-4
        else:
            with pytest.raises(NotMeasured, match=r"differ from Keras' by 0\.001"):
                largest_difference(_contender(launch), server, _material(tmp_path, expected))


def test_one_that_fails_is_left_out_of_the_next_rounds(tmp_path: Path) -> None:
    """Its reason is kept, and it is not started again."""
    launches = iter([_launch(program="raise SystemExit('broken')")])
    contender = Contender("tiny", "a tiny server", "", frozenset({0, 1}), lambda _: next(launches), list, list)
    outcome, said = Outcome(contender), []
    outcome.visit(0, _material(tmp_path, 3.0), 1.0, said.append)
    outcome.visit(1, _material(tmp_path, 3.0), 1.0, said.append)
    assert outcome.visits == []
    assert "broken" in outcome.not_measured
    assert len(said) == 1


@pytest.mark.apt
@pytest.mark.skipif(not shutil.which("wrk"), reason="needs wrk (`apt-get install wrk`)")
def test_refusals_are_no_answers(tmp_path: Path) -> None:
    """Pressed on a path that it refuses, a server has a rate of 0 and as many failures as it gave answers."""
    launch = _launch()
    body = tmp_path / "body.json"
    body.write_text("[[1, 2]]")
    with Server(launch, tmp_path / "log", grace=0.2) as server:
        server.ready_seconds(b"[[1]]")
        good = press(launch.url, body, 2, 1.0)
        bad = press(launch.url.replace("/good", "/bad"), body, 2, 1.0)
    assert good.failed == 0
    assert good.rate > 0
    assert good.p99_ms >= good.p50_ms > 0
    assert bad.failed > 0
    assert bad.rate == 0


def test_the_line_of_wrk_is_read() -> None:
    """Rates are of good answers; latencies come in microseconds; every kind of failure counts."""
    seen = {"requests": 1000, "microseconds": 2_000_000, "p50": 1500, "p99": 9000, "max": 9999}
    line = json.dumps({**seen, "status": 100, "connect": 1, "read": 2, "write": 3, "timeout": 4})
    sample = read(f"Running 2s test\n{line}\n", 16)
    assert (sample.rate, sample.p50_ms, sample.p99_ms, sample.failed) == (450.0, 1.5, 9.0, 110)
