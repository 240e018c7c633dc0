"""A Prometheus of the project's own, over a real run: it scrapes, records, alerts, answers every panel, and ends."""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import psutil
import pytest

from pipelines.errors import TurnoutError
from pipelines.local.prometheus.panels import BOARDS, Chart
from pipelines.values.monitoring import Monitoring, Ports
from tests.e2e.running import RunningLine, running_line, wait_until
from tests.serving.bentos import tensor_rows

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None,
    reason="Debian's packages prometheus and prometheus-alertmanager are not installed",
)
WATCHED = """
judge = true
[tool.turnout.models.digits.capture]
rate = 1.0
[tool.turnout.models.digits.drift]
window_rows = 50
min_minutes = 0
"""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A project that is looked at each second, whose rollouts are judged and whose first version has a reference."""
    with running_line(tmp_path_factory.mktemp("prometheus"), 2, WATCHED) as made:
        made.shelf.add(1, reference=100)
        with (made.root / "pyproject.toml").open("a") as project:
            project.write("\n[tool.turnout.monitoring]\ninterval_seconds = 1\n")
        yield made


def get(port: int, path: str) -> Any:
    """What a server answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def query(ports: Ports, expr: str) -> list[dict[str, Any]]:
    """What Prometheus has of it now."""
    asked = urllib.parse.urlencode({"query": expr.replace("$model", "digits")})
    found: list[dict[str, Any]] = get(ports.prometheus, f"/api/v1/query?{asked}")["data"]["result"]
    return found


def has_data(ports: Ports, charts: Sequence[Chart]) -> None:
    """Each of them, sooner or later."""
    for chart in charts:
        wait_until(lambda chart=chart: bool(query(ports, chart.query)), f"{chart.title} has data: {chart.query}")


def tell_the_truth(line: RunningLine) -> None:
    """Later labels for a few requests."""
    with httpx.Client() as client:
        asked = [client.post(line.url(), json={"inputs": [row]}) for row in tensor_rows(5, 1)]
        labels = [{"request_id": answer.headers["x-turnout-id"], "label": 1} for answer in asked]
        told = client.post(line.url().replace("/predict", "/labels"), json=labels)
    assert told.json()["accepted"] == 5


def pids(line: RunningLine, *arguments: str) -> dict[str, int | None]:
    """Their processes, as a command says."""
    told = json.loads(line.turnout("monitoring", *arguments, "--json").out)
    return {one["name"]: one["pid"] for one in told["servers"]}


def test_every_panel_shows_a_real_run(line: RunningLine, tmp_path: Any) -> None:
    """A canary, some load, a rollback: each query has data, the alert is there, and Alertmanager knows of it."""
    ports = Monitoring().beside(line.port)
    line.deploy(1)
    started = pids(line, "up")
    assert all(started.values())
    with line.load(tmp_path, kept=2, fresh=0, slow=0, pause_seconds=0.02):
        line.deploy(2, 30)
        two = 'turnout_version_judged_requests_total{model="digits",version="2"} > 20'
        wait_until(lambda: bool(query(ports, two)), "the canary is counted")
        wait_until(lambda: bool(query(ports, "turnout_rollbacks_total == 0")), "no rollback is counted")
        charts = [chart for board in BOARDS for chart in board.charts]
        judged = [chart for chart in charts if chart.query.startswith("turnout_rollout_")]
        assert len(judged) == 3
        # A rollout is told of as long as it is under way.
        has_data(ports, judged)
        tell_the_truth(line)
        line.operate("rollback", reason="worse on sevens")
        has_data(ports, [chart for chart in charts if chart not in judged])
        alerts = query(ports, 'ALERTS{alertname="TurnoutRolledBack",alertstate="firing",model="digits"}')
        assert len(alerts) == 1
        shares = query(ports, 'turnout_version_weight_percent{model="digits",version="1"}')
        assert shares[0]["value"][1] == "100"
    targets = get(ports.prometheus, "/api/v1/targets")["data"]["activeTargets"]
    assert {one["health"] for one in targets} == {"up"}
    assert len(targets) == 3

    def is_told() -> bool:
        told = get(ports.alertmanager, "/api/v2/alerts")
        return "digits was rolled back" in [one["annotations"]["summary"] for one in told]

    wait_until(is_told, "Alertmanager knows of the rollback")


def test_the_daemon_logs_each_operation(line: RunningLine) -> None:
    """What succeeded and what was refused stands in its log by version and operation, and `turnout logs` shows it."""
    with pytest.raises(TurnoutError):
        line.deploy(9)
    told = json.loads(line.turnout("logs", "--json", "-n", "500").out)["records"]
    ours = [one for one in told if one["logger"] == "turnout.daemon" and one["request_id"]]
    assert {"deploy digits: done", "rollback digits: done"} <= {one["message"] for one in ours}
    (refused,) = [one for one in ours if one["level"] == "WARNING"]
    assert refused["version"] == "digits@9"
    assert refused["message"].startswith("deploy digits: ")
    assert len({one["request_id"] for one in ours}) == len(ours)


def test_it_stays_while_daemons_change(line: RunningLine) -> None:
    """A second `up` starts no second one, and the next daemon does not take them for orphans."""
    before = pids(line)
    assert all(before.values())
    assert pids(line, "up") == before
    line.kill("daemon")
    wait_until(lambda: line.processes("daemon") != [] and line.entry()["phase"] == "live", "the next daemon is there")
    assert pids(line) == before


def test_what_was_killed_is_started_again(line: RunningLine) -> None:
    """`status` says that it is stopped, `up` starts it; its neighbour stays."""
    before = pids(line)
    psutil.Process(before["prometheus"]).kill()
    wait_until(lambda: pids(line)["prometheus"] is None, "it is stopped")
    after = pids(line, "up")
    assert after["prometheus"] not in (None, before["prometheus"])
    assert after["alertmanager"] == before["alertmanager"]


def test_down_stops_both_and_keeps_what_they_have(line: RunningLine) -> None:
    """Versions serve on; after the next `up` the past is there."""
    ports = Monitoring().beside(line.port)
    running = [pid for pid in pids(line).values() if pid]
    assert len(running) == 2
    assert set(pids(line, "down").values()) == {None}
    assert not {one.pid for one in line.processes()} & set(running)
    assert line.weights() == {"digits@1": 100}
    assert all(pids(line, "up").values())
    wait_until(lambda: bool(query(ports, "max_over_time(turnout_rollbacks_total[10m]) > 0")), "the past is there")


def test_turnout_down_stops_them_too(line: RunningLine) -> None:
    """Nothing of the project is left."""
    assert all(pids(line, "up").values())
    line.turnout("down", "--yes")
    wait_until(lambda: not line.processes(), "all have ended")
