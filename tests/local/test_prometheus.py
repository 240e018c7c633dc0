"""What Prometheus, Alertmanager and Grafana are given: read by promtool and amtool, and each alert tried out."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from pipelines.errors import ServeFailed
from pipelines.local.prometheus.files import Files
from pipelines.local.prometheus.panels import BOARDS
from pipelines.local.prometheus.record import known_instances
from pipelines.local.prometheus.rules import ALERTS, RECORDED
from pipelines.local.prometheus.servers import PROGRAMS, Program, Servers
from pipelines.values.monitoring import Ports
from tests.e2e.line import ROOT
from tests.local.live import free_port

PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's package prometheus is not installed")
AMTOOL = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="Debian's package prometheus-alertmanager is not installed"
)
TWO = '{model="digits",version="2"}'
SERVING = {'turnout_model_phase{model="digits",phase="live"}': "1x100"}
JUDGED, FAILED = f"turnout_version_judged_requests_total{TWO}", f"turnout_version_judged_failures_total{TWO}"
ANSWERS = "turnout_gateway_answers_total"
OVER_A_MINUTE = {"TurnoutAnswersFail", "TurnoutVersionFails", "TurnoutSlow"}
"""A rate over a minute needs two samples in it."""
# By alert: samples a minute that raise it, when it must be there, and samples that must not.
CASES: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "TurnoutDaemonDown": ({'up{job="turnout-daemon"}': "1 0x20"}, "5m", {'up{job="turnout-daemon"}': "1 1 0 1x20"}),
    "TurnoutGatewayDown": ({**SERVING, "turnout_gateway_up": "1 0x20"}, "5m", {"turnout_gateway_up": "0x20"}),
    "TurnoutNoHostReady": (
        {f"turnout_version_weight_percent{TWO}": "10x20", f"turnout_version_ready_replicas{TWO}": "0x20"},
        "5m",
        {f"turnout_version_weight_percent{TWO}": "0x20", f"turnout_version_ready_replicas{TWO}": "0x20"},
    ),
    "TurnoutHostDown": ({f"turnout_host_up{TWO}": "0x20"}, "5m", {f"turnout_host_up{TWO}": "1x20"}),
    "TurnoutCrashLoop": (
        {f"turnout_version_restarts_total{TWO}": "0+1x20"},
        "10m",
        {f"turnout_version_restarts_total{TWO}": "0x9 1x10"},
    ),
    "TurnoutAnswersFail": (
        {f'{ANSWERS}{{code="5xx"}}': "0+10x20", f'{ANSWERS}{{code="2xx"}}': "0+90x20"},
        "10m",
        {f'{ANSWERS}{{code="5xx"}}': "0+1x20", f'{ANSWERS}{{code="2xx"}}': "0+90x20"},
    ),
    "TurnoutVersionFails": (
        {JUDGED: "0+100x20", FAILED: "0+10x20"},
        "10m",
        {JUDGED: "0+1x20", FAILED: "0+1x20"},  # so few requests say nothing
    ),
    "TurnoutSlow": (
        {
            f'turnout_request_seconds_bucket{{model="digits",version="2",le="{le}"}}': f"0+{count}x40"
            for le, count in (("1.0", 50), ("2.5", 100), ("+Inf", 100))
        },
        "15m",
        {
            f'turnout_request_seconds_bucket{{model="digits",version="2",le="{le}"}}': "0+100x20"
            for le in ("0.5", "1.0", "+Inf")
        },
    ),
    "TurnoutRolledBack": (
        {'turnout_rollbacks_total{model="digits"}': "0x5 1x20"},
        "7m",
        {'turnout_rollbacks_total{model="digits"}': "1x20"},
    ),
    "TurnoutInconclusive": (
        {'turnout_rollout_verdict{model="digits",verdict="INCONCLUSIVE"}': "1x60"},
        "40m",
        {'turnout_rollout_verdict{model="digits",verdict="HOLD"}': "1x60"},
    ),
    "TurnoutDrift": (
        {'turnout_drift_alarm{model="digits"}': "1x20"},
        "5m",
        {'turnout_drift_alarm{model="digits"}': "0x20"},
    ),
    "TurnoutNoTraffic": ({JUDGED: "0+9x30 270x70"}, "75m", {JUDGED: "0x100"}),
    "TurnoutDiskLow": (
        {"turnout_disk_free_bytes": "4x20", "turnout_disk_size_bytes": "100x20"},
        "5m",
        {"turnout_disk_free_bytes": "6x20", "turnout_disk_size_bytes": "100x20"},
    ),
}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """All files of a project."""
    made = Files(tmp_path / "monitoring")
    made.write("demo", Ports(13000, 13001, 13002), 5)
    return made


def run(*arguments: str | Path) -> None:
    """Run a checker, which must be content."""
    done = subprocess.run([str(one) for one in arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@PROMTOOL
def test_prometheus_takes_its_files(files: Files) -> None:
    """Configuration and rules, the texts of the alerts too."""
    run("promtool", "check", "config", files.prometheus)
    run("promtool", "check", "rules", *files.rules)


@AMTOOL
def test_alertmanager_takes_its_file(files: Files) -> None:
    """As it is written."""
    run("amtool", "check-config", files.alertmanager)


def test_alertmanagers_file_stays_a_persons(files: Files) -> None:
    """Receivers that somebody has added survive; everything else is written anew."""
    files.alertmanager.write_text("mine")
    files.prometheus.write_text("mine")
    files.write("demo", Ports(1, 2, 3), 5)
    assert files.alertmanager.read_text() == "mine"
    assert "127.0.0.1:1" in files.prometheus.read_text()


def test_each_alert_is_tried_out() -> None:
    """A new rule needs a case."""
    assert set(CASES) == {alert.name for alert in ALERTS}


@PROMTOOL
def test_alerts_hold_when_they_shall(files: Files) -> None:
    """Each is there on the samples that raise it, and is not on those next to them."""
    tests = []
    for name, (raising, at, quiet) in CASES.items():
        for series, expected in ((raising, 1), (quiet, 0)):
            query = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
            found = {"expr": query, "eval_time": at, "exp_samples": [{"labels": "{}", "value": expected}]}
            tests.append(
                {
                    "name": f"{name} {expected}",
                    "interval": "30s" if name in OVER_A_MINUTE else "1m",
                    "input_series": [{"series": one, "values": values} for one, values in series.items()],
                    "promql_expr_test": [found],
                }
            )
    rules = [str(path) for path in files.rules]
    suite = {"rule_files": rules, "evaluation_interval": "15s", "tests": tests}
    path = files.folder / "tests.yml"
    path.write_text(yaml.safe_dump(suite))
    run("promtool", "test", "rules", path)


@PROMTOOL
def test_an_alert_names_the_version(files: Files) -> None:
    """Its text has the version and the figure, and says what to do."""
    expected = {
        "exp_labels": {"severity": "warning", "model": "digits", "version": "2"},
        "exp_annotations": {
            "summary": "digits@2 fails 10% of its requests at the first attempt",
            "description": "Other versions answer them a second time, so that clients may see none of it. "
            "`turnout rollback digits` leaves it.",
        },
    }
    case = {
        "interval": "15s",
        "input_series": [{"series": JUDGED, "values": "0+100x40"}, {"series": FAILED, "values": "0+10x40"}],
        "alert_rule_test": [{"alertname": "TurnoutVersionFails", "eval_time": "5m", "exp_alerts": [expected]}],
    }
    path = files.folder / "tests.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(one) for one in files.rules], "tests": [case]}))
    run("promtool", "test", "rules", path)


def test_grafana_gets_every_panel(files: Files) -> None:
    """Each dashboard is JSON with the panels' queries; the data source is the one that is provisioned."""
    for board in BOARDS:
        written = json.loads((files.dashboards / f"{board.name}.json").read_text())
        panels = [panel for panel in written["panels"] if panel["type"] != "row"]
        assert [panel["targets"][0]["expr"] for panel in panels] == [chart.query for chart in board.charts]
        assert {panel["datasource"]["uid"] for panel in panels} == {"turnout"}
        assert len({panel["id"] for panel in written["panels"]}) == len(written["panels"])
        assert bool(written["templating"].get("list")) == board.by_model
    source = yaml.safe_load((files.grafana / "datasources" / "turnout.yml").read_text())["datasources"][0]
    assert (source["uid"], source["url"]) == ("turnout", "http://127.0.0.1:13001")
    provider = yaml.safe_load((files.grafana / "dashboards" / "turnout.yml").read_text())["providers"][0]
    assert provider["options"]["path"] == str(files.dashboards)


def test_every_query_asks_for_names_that_are_documented() -> None:
    """Of panels, recorded rules and alerts; and each panel and each rule stands in the guide."""
    guide = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"turnout_[a-z_]+", guide.partition("### All names")[2].partition("\n#")[0]))
    charts = [chart for board in BOARDS for chart in board.charts]
    queries = [*(chart.query for chart in charts), *RECORDED.values(), *(alert.expr for alert in ALERTS)]
    asked = {re.sub("_(bucket|sum|count)$", "", name) for q in queries for name in re.findall(r"turnout_[a-z_]+", q)}
    assert asked <= listed
    used = {name for q in queries for name in re.findall(r"turnout:\w+:\w+", q)}
    assert used <= set(RECORDED)
    for name in [*(chart.title for chart in charts), *(alert.name for alert in ALERTS), *RECORDED]:
        assert name in guide, name


def servers(root: Path, *programs: Program, search: str | None = None) -> Servers:
    """Those of a project."""
    return Servers(root / ".turnout", "0" * 12, programs or PROGRAMS, search)


def test_what_is_not_installed_is_told(tmp_path: Path) -> None:
    """The files are there all the same, for a Prometheus of one's own."""
    made = servers(tmp_path, search=str(tmp_path))
    found = made.up("demo", Ports(1, 2, 3), 5, print)
    assert {one.state for one in found} == {"not installed"}
    assert made.files.prometheus.exists()
    assert made.down() == []


def fake(root: Path, code: str) -> Program:
    """A program that does this."""
    path = root / "prometheus"
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return Program("prometheus", ("prometheus",), "prometheus", lambda *_: (), lambda ports: ports.prometheus)


def test_a_program_that_ends_at_once_is_told(tmp_path: Path) -> None:
    """With what it wrote; nothing of it is left."""
    made = servers(tmp_path, fake(tmp_path, "echo the file is wrong; exit 1"), search=str(tmp_path))
    with pytest.raises(ServeFailed, match="did not become ready: the file is wrong"):
        made.up("demo", Ports(1, free_port(), 3), 5, print)
    (one,) = made.status(Ports(1, 2, 3))
    assert one.state == "stopped"


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """With the key of the project file that names another; nothing is started."""
    made = servers(tmp_path, fake(tmp_path, "touch started"), search=str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServeFailed, match=r"`prometheus` in \[tool.turnout.monitoring\]"):
            made.up("demo", Ports(1, taken.getsockname()[1], 3), 5, print)
    assert not (made.files.folder / "started").exists()


def test_a_broken_note_is_no_process(tmp_path: Path) -> None:
    """Half a file, as a full disk leaves it: nothing runs, and nothing is known."""
    made = servers(tmp_path, fake(tmp_path, "true"), search=str(tmp_path))
    made.files.folder.mkdir(parents=True)
    (made.files.folder / "processes.json").write_text('{"prom')
    assert known_instances(tmp_path / ".turnout") == set()
    assert made.status(Ports(1, 2, 3))[0].state == "stopped"
