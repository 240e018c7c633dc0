"""Drift, end to end: a bento with a reference, a real daemon, requests through the gateway that become others."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import numpy as np
import pytest

from pipelines.local.captures.folder import CaptureFolder
from pipelines.values.monitoring import Monitoring
from tests.e2e.running import RunningLine, running_line, wait_until
from tests.local.receiver import Webhook, webhook
from tests.serving.bentos import tensor_rows

# At a level of 1 % one clean window of a hundred would be found, and which rows make a window is a matter of timing.
WATCHED = """
[tool.turnout.models.digits.capture]
rate = 1.0
[tool.turnout.models.digits.drift]
window_rows = 200
min_minutes = 0
alpha = 0.000001
"""


@pytest.fixture(scope="module")
def hook() -> Iterator[Webhook]:
    """Who is told."""
    with webhook(200) as made:
        yield made


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, hook: Webhook) -> Iterator[RunningLine]:
    """A version with a reference is live, all its requests are kept, and somebody is told of what happens."""
    told = f"[tool.turnout.alerts]\nurls = {json.dumps([hook.url])}\n"
    with running_line(tmp_path_factory.mktemp("drift"), 1, WATCHED + told) as made:
        made.shelf.add(2, reference=360)
        made.deploy(2)
        wait_until(lambda: state(made) == "waiting", "it is watched")
        # From when on each request is kept.
        seeds = count(100)
        wait_until(lambda: send(made, 1, next(seeds)) or watched(made)["rows"] > 0, "the hosts begin to keep")
        yield made


def send(line: RunningLine, rows: int, seed: int, by: float = 0.0) -> None:
    """Ask for so many rows in requests of ten, each number larger by so much."""
    found = np.array(tensor_rows(rows, seed)) + by
    with httpx.Client() as client:
        for start in range(0, rows, 10):
            answer = client.post(line.url(), json={"inputs": found[start : start + 10].tolist()})
            assert answer.status_code == 200, answer.text


def watched(line: RunningLine) -> dict[str, Any]:
    """What `turnout drift` has of the version."""
    found: dict[str, Any] = line.control.operator.ask("drift", model="digits")["versions"].get("digits@2", {})
    return found


def state(line: RunningLine) -> str | None:
    """How it is."""
    return watched(line).get("state")


def settle(line: RunningLine, last: str) -> dict[str, Any]:
    """What the daemon has of the version once it has read all that was asked: nothing of it changes by itself then."""
    folder, ref = CaptureFolder(line.state / "captures"), line.shelf.ref(2)
    answer = httpx.post(line.url(), json={"inputs": tensor_rows(1, 0)}, headers={"x-request-id": last})
    assert answer.status_code == 200, answer.text
    wait_until(lambda: any(one.request_id == last for one in folder.read(ref)), "the last request is kept")
    rows = sum(one.rows for one in folder.read(ref))
    wait_until(lambda: read(watched(line)) == rows, "the daemon has read all that is kept")
    return watched(line)


def read(seen: dict[str, Any]) -> int:
    """So many rows the daemon has read: those of its windows, and those of the next one."""
    return int(seen["rows"] + sum(one["rows"] for one in seen["windows"]))


def window(line: RunningLine, rows: int, seed: int, by: float = 0.0) -> dict[str, Any]:
    """Send rows until they make a window, and what it came to."""
    before = watched(line)["windows_tested"]
    send(line, rows, seed, by)
    wait_until(lambda: watched(line)["windows_tested"] > before, "a window is tested")
    found: dict[str, Any] = watched(line)["windows"][0]
    return found


def test_the_rows_it_was_validated_with_are_no_drift(line: RunningLine) -> None:
    """As real requests, in JSON, by the hot path: each feature and the answers fall into the reference's bins."""
    found = window(line, 400, seed=11)
    assert found["drifted"] == []
    assert {one["rows"] for one in found["features"]} == {found["rows"]}
    assert {"image: mean", "(prediction)", "(confidence)"} <= {one["feature"] for one in found["features"]}
    assert state(line) == "clear"


def test_other_rows_are_found_and_told_once(line: RunningLine, hook: Webhook) -> None:
    """Brighter by half a standard deviation of a pixel: in the command, the history, the status, and at a webhook."""
    window(line, 400, seed=12, by=0.15)
    wait_until(lambda: send(line, 400, seed=13, by=0.15) or state(line) == "drifting", "it is found")
    wait_until(lambda: bool(hook.got), "somebody is told")
    window(line, 400, seed=14, by=0.15)
    assert [one["event"] for one in hook.got] == ["drift"]
    assert hook.got[0]["ref"] == "digits@2"
    assert [one["action"] for one in line.control.operator.history("digits")].count("drift") == 1
    assert line.entry()["drift"]["is_drifting"] is True
    told = line.turnout("drift", "digits").out
    assert "drifting" in told
    assert "image: mean" in told


def test_prometheus_is_told(line: RunningLine) -> None:
    """The sample that the dashboards and the alert rule rest on."""
    port = Monitoring().beside(line.port).port
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert 'turnout_drift_alarm{model="digits"} 1.0' in answer.read().decode().splitlines()


def test_the_next_daemon_knows_what_this_one_knew(line: RunningLine, hook: Webhook) -> None:
    """Killed, it is still drifting, no row counts twice, and nobody is told again."""
    before = settle(line, "the last that this one sees")
    line.kill("daemon")
    wait_until(lambda: state(line) == "drifting", "the next daemon watches")
    assert watched(line) == before
    after = settle(line, "the first that the next one sees")
    assert read(after) == read(before) + 1
    window(line, 400, seed=15, by=0.15)
    assert [one["event"] for one in hook.got] == ["drift"]


def test_a_broken_reference_is_said_and_serving_goes_on(line: RunningLine) -> None:
    """The file is torn while it runs: a state, no error, and each request is answered."""
    (line.state / "bentoml" / "bentos" / "digits" / "2" / "src" / "turnout-reference.json").write_text("{")
    wait_until(lambda: state(line) == "no reference", "it is noticed")
    send(line, 20, seed=16)
    assert "cannot be read" in line.turnout("drift", "digits").out
    assert "digits@2" in line.turnout("status").out
