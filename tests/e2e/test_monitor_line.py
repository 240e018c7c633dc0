"""`turnout monitor` over real hosts: the count under a known load, and after a replica, the daemon and all end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.line import post
from tests.e2e.running import BODY, RunningLine, running_line, wait_until


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """Two versions side by side."""
    with running_line(tmp_path_factory.mktemp("monitored") / "project", versions=2) as made:
        made.deploy(1, replicas=2)
        made.deploy(2, share=20)
        yield made


def ask(line: RunningLine, count: int, **headers: str) -> dict[str, int]:
    """Send requests; how many each version answered."""
    answered: dict[str, int] = {}
    for _ in range(count):
        status, _, said = post(line.url(), BODY.encode(), **headers)
        assert status == 200
        version = said["x-model-version"]
        answered[version] = answered.get(version, 0) + 1
    return answered


def figures(line: RunningLine) -> dict[str, Any]:
    """The figures by version, as `--json` has them."""
    found: dict[str, Any] = json.loads(line.turnout("monitor", "digits", "--json").out)["figures"]["versions"]
    return found


def test_the_figures_are_those_of_the_load(line: RunningLine) -> None:
    """Every request is counted at the version that answered it, its rate is told, and its times lie in order."""
    before = figures(line)
    answered = ask(line, 300)
    found = figures(line)
    for ref, count in answered.items():
        seen = found[ref]
        assert seen["requests"] - before[ref]["requests"] == count
        assert seen["failures"] == 0
        assert 0 < seen["requests_per_second"] <= count
        assert 0 < seen["p50_ms"] <= seen["p95_ms"] <= seen["p99_ms"] < 1000
        assert any(seen["history"]["requests_per_second"])
    assert set(answered) == {"digits@1", "digits@2"}


def test_a_request_forced_to_a_version_is_no_traffic_of_its_own(line: RunningLine) -> None:
    """It is not judged, so it is not counted; the host took time for it all the same."""
    before = figures(line)["digits@2"]
    assert ask(line, 20, **{"x-turnout-version": "digits@2"}) == {"digits@2": 20}
    after = figures(line)["digits@2"]
    assert (after["requests"], after["failures"]) == (before["requests"], 0)


def test_the_terminal_shows_a_page_of_text(line: RunningLine) -> None:
    """The split, a row a version with its sparkline, and the latest events; in a hundred columns."""
    ask(line, 20)
    said = line.turnout("monitor", "digits").out
    for words in (
        "digits  canary",
        "digits@1 80 %",
        "digits@2 20 %",
        "req/s",
        "p95 ms",
        "Latest events",
        "deploy",
    ):
        assert words in said, said
    assert "█" in said
    assert max(map(len, said.splitlines())) <= 100


def test_a_model_that_is_not_deployed(line: RunningLine) -> None:
    """Says how one begins; an unknown one is refused by name."""
    assert "Nothing of credit is deployed" in line.turnout("monitor", "credit").out
    assert "NoSuchModel: the project has no model 'nobody'" in line.turnout("monitor", "nobody", code=2).err


def test_counts_go_on_when_a_replica_is_replaced(line: RunningLine) -> None:
    """A replica that counts anew takes nothing away from what was counted, and what it failed stands there."""

    def counted() -> int:
        return sum(one["requests"] for one in figures(line).values())

    before = counted()
    ask(line, 40)
    line.processes("host")[0].kill()
    ask(line, 40)
    wait_until(
        lambda: all(one["ready"] == one["replicas"] for one in line.entry()["versions"].values()), "a new replica"
    )
    ask(line, 40)
    wait_until(lambda: counted() - before == 120, "every request in the figures")
    for seen in figures(line).values():
        assert seen["requests_per_second"] >= 0
        assert seen["p99_ms"] < 10_000


def test_a_glance_starts_nothing(line: RunningLine) -> None:
    """While the daemon is dead a glance finds nobody; the next command starts one, and the figures go on."""
    operator = line.control.operator
    line.kill("guardian", "daemon")
    assert operator.glance("status") is None
    assert operator.glance("figures", model="digits") is None
    assert line.processes("daemon") == []
    ask(line, 10)
    assert figures(line)["digits@1"]["p50_ms"] is None, "what was counted before anybody looked is not known to be new"
    ask(line, 40)
    assert figures(line)["digits@1"]["p50_ms"] > 0
    assert operator.glance("status")["models"]["digits"]["phase"] == "canary"


def test_following_ends_with_ctrl_c(line: RunningLine) -> None:
    """A document a line with `--json`, until it is interrupted; that is no failure."""
    process = line.start("monitor", "digits", "--follow", "--json")
    assert process.stdout is not None
    for _ in range(2):
        assert json.loads(process.stdout.readline())["model"] == "digits"
    process.send_signal(2)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert all(json.loads(more)["model"] == "digits" for more in out.splitlines())


def test_a_stopped_runtime_is_not_started(line: RunningLine, tmp_path: Path) -> None:
    """Looking brings nothing back: what was live is shown as stopped."""
    del tmp_path
    line.turnout("down", "--yes")
    said = line.turnout("monitor", "digits").out
    assert "The runtime is stopped; `turnout up` brings back what was live." in said
    assert line.processes() == []
