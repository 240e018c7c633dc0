"""What Prometheus reads: of a daemon's facts, of real hosts and a real gateway, dead ones among them."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.errors import ServeFailed, StorageFailed
from pipelines.local.envoy.admin import Admin
from pipelines.local.monitoring.daemon import Facts, daemon_families
from pipelines.local.monitoring.endpoint import Endpoint, Kept
from pipelines.local.monitoring.families import text
from pipelines.local.monitoring.gateway import gateway_families
from pipelines.local.monitoring.hosts import Hosts
from pipelines.values import VersionRef
from pipelines.values.labels import LabelSummary, Quality
from pipelines.values.monitoring import Monitoring
from tests.e2e.line import ROOT
from tests.e2e.running import BODY, RunningLine, running_line, wait_until
from tests.fakes import running
from tests.local.live import free_port

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(page: bytes) -> Samples:
    """Values by name and labels."""
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(page.decode())
        for one in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    """One of them."""
    return found.get((name, frozenset(labels.items())))


def entry(**more: Any) -> dict[str, Any]:
    """A model's part of the status."""
    versions = {"digits@1": running(90, ready=1), "digits@2": running(10, "canary", ready=1, restarts=3)}
    return {"phase": "canary", "generation": 7, "versions": versions, "quarantined": {"digits@0": "bad"}, **more}


def told(models: Mapping[str, Any], events: Mapping[tuple[str, str], int] | None = None, **more: Any) -> Samples:
    """The daemon's samples of these facts."""
    return samples(text(list(daemon_families(Facts("1.2.3", models, events or {}, (5, 10), **more)))))


def test_versions_and_shares_are_told() -> None:
    """Each version's weight, role, health and counts stand under its model and number."""
    found = told({"digits": entry()})
    assert value(found, "turnout_version_weight_percent", model="digits", version="2") == 10
    assert value(found, "turnout_version_role", model="digits", version="2", role="canary") == 1
    assert value(found, "turnout_version_role", model="digits", version="2", role="champion") == 0
    assert value(found, "turnout_version_restarts_total", model="digits", version="2") == 3
    assert value(found, "turnout_model_phase", model="digits", phase="canary") == 1
    assert value(found, "turnout_switches_total", model="digits") == 7
    assert value(found, "turnout_quarantined_versions", model="digits") == 1
    assert value(found, "turnout_disk_free_bytes") == 5
    assert (value(found, "turnout_daemon_process_resident_memory_bytes") or 0) > 1e6


def test_rollbacks_are_counted_from_the_history() -> None:
    """A model without one has 0, so that the first is an increase; other actions are events only."""
    found = told({"digits": entry(), "credit": entry()}, {("digits", "rollback"): 2, ("digits", "deploy"): 5})
    assert value(found, "turnout_rollbacks_total", model="digits") == 2
    assert value(found, "turnout_rollbacks_total", model="credit") == 0
    assert value(found, "turnout_events_total", model="digits", action="deploy") == 5


def test_a_model_that_was_never_deployed_has_no_samples() -> None:
    """An empty project is no mistake."""
    found = told({})
    assert value(found, "turnout_daemon", turnout="1.2.3") == 1
    assert not [name for name, _ in found if name.startswith("turnout_version")]


def test_what_other_parts_count_is_told_too() -> None:
    """A name, an explanation, a value."""
    assert value(told({}, more=[("turnout_alerts_waiting", "Waiting.", 4.0)]), "turnout_alerts_waiting") == 4


def test_what_the_judge_says_is_told() -> None:
    """Verdict, step and evidence of a rollout under way; evidence beyond all numbers is told as the largest."""
    said = {
        "state": "judging",
        "verdict": "INCONCLUSIVE",
        "step": 25,
        "e_harm": {"failures": math.e**3, "latency": math.inf, "shift": 0.0, "labels": None},
        "e_promotion": 1.0,
    }
    found = told({"digits": entry(rollout=said, drift={"is_drifting": True})})
    assert value(found, "turnout_rollout_verdict", model="digits", verdict="INCONCLUSIVE") == 1
    assert value(found, "turnout_rollout_verdict", model="digits", verdict="PASS") == 0
    assert value(found, "turnout_rollout_step_percent", model="digits") == 25
    assert value(found, "turnout_rollout_e_value", model="digits", stream="failures") == pytest.approx(3)
    assert (value(found, "turnout_rollout_e_value", model="digits", stream="latency") or 0) > 700
    assert value(found, "turnout_rollout_e_value", model="digits", stream="promotion") == 0
    assert {dict(labels)["stream"] for name, labels in found if name == "turnout_rollout_e_value"} == {
        "failures",
        "latency",
        "promotion",
    }
    assert value(found, "turnout_drift_alarm", model="digits") == 1


def test_the_quality_by_later_labels_is_told() -> None:
    """With its interval where there is one; a model without labels has none."""
    accuracy = Quality("accuracy", 0.9, 0.8, 0.95, 40, 41, 4)
    error = Quality("mean_error", 0.5, None, None, 2, 2)
    quality = LabelSummary({"digits@1": (accuracy,), "digits@2": (error,)}).as_dict()
    found = told({"digits": entry(quality=quality), "credit": entry(quality=None)})
    one, other = {"version": "1", "kind": "accuracy"}, {"version": "2", "kind": "mean_error"}
    assert value(found, "turnout_version_quality", model="digits", **one) == 0.9
    assert value(found, "turnout_version_quality_low", model="digits", **one) == 0.8
    assert value(found, "turnout_version_quality_high", model="digits", **one) == 0.95
    assert value(found, "turnout_version_labelled_requests_total", model="digits", **one) == 40
    assert value(found, "turnout_version_quality", model="digits", **other) == 0.5
    assert value(found, "turnout_version_quality_low", model="digits", **other) is None
    assert not [labels for name, labels in found if "quality" in name and ("model", "credit") in labels]


@pytest.mark.parametrize("said", [None, {"state": "promoted", "verdict": "PASS", "step": 100}, {"verdict": 3}, "?"])
def test_a_rollout_that_is_over_or_cannot_be_read_is_not_told(said: Any) -> None:
    """It has no sample that is 1, and no evidence; the other samples are there."""
    found = told({"digits": entry(rollout=said)})
    assert not [name for (name, _), number in found.items() if name.startswith("turnout_rollout_") and number]
    assert value(found, "turnout_switches_total", model="digits") == 7


def test_a_page_is_made_once_a_second() -> None:
    """However many ask: hosts and gateway are not disturbed more often."""
    made: list[int] = []
    now = [0.0]

    def make() -> bytes:
        made.append(1)
        return b"%d" % len(made)

    page = Kept(make, lambda: now[0])
    assert [page(), page()] == [b"1", b"1"]
    now[0] = 0.9
    assert page() == b"1"
    now[0] = 1.1
    assert page() == b"2"


def get(port: int, path: str = "/metrics") -> bytes:
    """A page of an endpoint."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        body: bytes = answer.read()
        return body


@pytest.fixture
def port() -> int:
    """A free one."""
    return free_port()


def test_a_page_that_fails_is_an_error_and_the_next_works(port: int) -> None:
    """A broken journal is a 503 that says so; the other pages are there all the same."""

    def broken() -> bytes:
        raise StorageFailed("the journal is broken")

    endpoint = Endpoint(port, {"/metrics": broken, "/metrics/hosts": lambda: b"a 1\n"})
    try:
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(port)
        with caught.value as answer:
            assert (answer.code, answer.read()) == (503, b"the journal is broken.\n")
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(port, "/else")
        caught.value.close()
        assert caught.value.code == 404
        assert get(port, "/metrics/hosts?x=1") == b"a 1\n"
    finally:
        endpoint.close()


def test_a_taken_port_is_said(port: int) -> None:
    """With the key that names another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ServeFailed, match=rf"port {port}.*\[tool.turnout.monitoring\]"):
            Endpoint(port, {})


def test_a_client_that_says_nothing_holds_up_nobody(port: int) -> None:
    """Open connections without a request: whoever asks is answered."""
    endpoint = Endpoint(port, {"/metrics": lambda: b"a 1\n"})
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    try:
        assert get(port) == b"a 1\n"
    finally:
        for one in idle:
            one.close()
        endpoint.close()


def test_a_dead_gateway_is_told(tmp_path: Path) -> None:
    """Its page has one sample: that it is down."""
    found = samples(text(list(gateway_families(Admin(tmp_path / "nobody")))))
    assert found == {("turnout_gateway_up", frozenset()): 0.0}


def test_dead_hosts_are_told(tmp_path: Path) -> None:
    """They are listed as down, and nothing else is."""
    hosts = Hosts()
    found = samples(text(hosts.families({VersionRef("digits", 3): (str(tmp_path / "a"), str(tmp_path / "b"))})))
    hosts.close()
    assert value(found, "turnout_host_up", model="digits", version="3", replica="1") == 0
    assert len(found) == 2


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """Two versions at 80 and 20 %, and twenty requests."""
    with running_line(tmp_path_factory.mktemp("samples"), versions=2) as made:
        made.deploy(1, replicas=2)
        made.deploy(2, 20, replicas=1)
        for _ in range(20):
            request = urllib.request.Request(made.url(), BODY.encode(), {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()
        yield made


def asked(line: RunningLine, path: str = "/metrics") -> Samples:
    """What Prometheus gets."""
    return samples(get(Monitoring().beside(line.port).port, path))


def total(found: Samples, name: str, **labels: str) -> float:
    """The sum over all samples of a name with these labels."""
    return sum(number for (one, has), number in found.items() if one == name and set(labels.items()) <= has)


def test_a_real_run_is_told_by_all_three(line: RunningLine) -> None:
    """Daemon, hosts and gateway agree on what ran, each host by its replica."""
    wait_until(lambda: value(asked(line), "turnout_version_weight_percent", model="digits", version="2") == 20, "20 %")
    hosts = asked(line, "/metrics/hosts")
    replicas = {dict(has)["replica"] for (name, has) in hosts if name == "turnout_host_up" and ("version", "1") in has}
    assert replicas == {"0", "1"}
    assert total(hosts, "turnout_host_up") == 3
    # Three were warmed with one request each.
    assert total(hosts, "turnout_requests_total", outcome="ok") == 23
    assert not [has for _, has in hosts if "instance" in dict(has)]
    gateway = asked(line, "/metrics/gateway")
    assert total(gateway, "turnout_gateway_requests_total", code="2xx", purpose="judged") == 20
    assert total(gateway, "turnout_gateway_answers_total", code="2xx") == 20
    assert value(gateway, "turnout_gateway_up") == 1
    assert value(asked(line), "turnout_switches_total", model="digits") == 2


def test_every_name_is_documented(line: RunningLine) -> None:
    """docs/monitoring.md lists what a real run has, and nothing that is not there."""
    guide = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"turnout_[a-z_]+", guide.partition("### All names")[2].partition("\n#")[0]))
    pages = b"".join(get(Monitoring().beside(line.port).port, f"/metrics{page}") for page in ("", "/hosts", "/gateway"))
    named = re.findall(r"^# TYPE (turnout_\w+) ", pages.decode(), flags=re.MULTILINE)
    assert listed == set(named)


def test_a_host_that_hangs_holds_up_nobody(line: RunningLine) -> None:
    """It is told as down; the others' samples are there."""
    record = json.loads((line.state / "hosts" / "digits@1.json").read_text())
    pid = record["hosts"][1]["process"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:

        def is_told() -> bool:
            found = asked(line, "/metrics/hosts")
            hung = value(found, "turnout_host_up", model="digits", version="1", replica="1")
            return hung == 0 and total(found, "turnout_requests_total", version="2", outcome="ok") > 0

        wait_until(is_told, "the hung host is down, the others are told")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_the_port_follows_the_project_file(line: RunningLine) -> None:
    """Another one is opened, also when it was taken at first; a killed daemon's is opened again."""
    project, port = line.root / "pyproject.toml", free_port()
    before = project.read_text()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        project.write_text(f"{before}\n[tool.turnout.monitoring]\nport = {port}\n")
        wait_until(lambda: not _is_open(Monitoring().beside(line.port).port), "the old port is closed")
        assert line.weights() == {"digits@1": 80, "digits@2": 20}
    wait_until(lambda: b"turnout_daemon" in get(port), "the new port is open")
    line.kill("daemon")
    wait_until(lambda: b"turnout_daemon" in get(port), "the next daemon's port is open")
    project.write_text(f"{before}\n[tool.turnout.monitoring]\nport = 0\n")
    wait_until(lambda: not _is_open(port), "0 is for none")


def _is_open(port: int) -> bool:
    try:
        get(port)
    except OSError:
        return False
    return True
