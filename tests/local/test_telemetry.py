"""Failures by the version that was chosen: what the judge of a canary relies on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.local.envoy.names import Arms, judged_name, read_judged
from pipelines.local.judge.sources import LocalSources
from pipelines.local.telemetry import FailureLog, Incident, Outcome, Place, read_incident
from pipelines.values import Split, Sticky, VersionRef
from tests.local.live import World, eventually, statuses, versions, world

STABLE, CANARY = VersionRef("digits", 7), VersionRef("digits", 8)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway with a stable version and a canary."""
    with world(tmp_path_factory.mktemp("telemetry") / "p", second_try_seconds=0.4) as made:
        made.start(7)
        made.start(8)
        yield made


@pytest.fixture
def canary(running: World) -> World:
    """Both behave well, at 50 to 50."""
    for number in (7, 8):
        running.behave(number, "ok")
    running.target.tick()
    eventually(lambda: running.target.gateway.healthy_hosts() == {STABLE: 1, CANARY: 1}, "both are healthy")
    running.route((7, 50), (8, 50))
    return running


def new_incidents(canary: World, since: int, wanted: int) -> list[Incident]:
    """The incidents after the first `since`, once there are `wanted` of them."""
    log = canary.target.failures
    eventually(lambda: len(log.incidents()) >= since + wanted, f"{wanted} lines in the log")
    return log.incidents()[since:]


@pytest.mark.parametrize("mode", ["503", "422", "reset", "hang"])
def test_a_failing_canary_harms_no_client_and_each_failure_counts(canary: World, mode: str) -> None:
    """Every client gets the stable version's good answer; each failure is logged with its generation's weights."""
    gateway = canary.target.gateway
    before, requests = len(canary.target.failures.incidents()), gateway.requests().get(CANARY, 0)
    canary.behave(8, mode)
    with canary.load(threads=8) as answers:
        eventually(lambda: len(answers) >= (60 if mode == "hang" else 300), "enough requests")
    assert statuses(answers) == {200: len(answers)}
    assert versions(answers) == {"digits@7": len(answers)}
    chosen = gateway.requests()[CANARY] - requests
    assert 0.2 * len(answers) < chosen < 0.8 * len(answers)
    found = new_incidents(canary, before, chosen)
    assert len(found) == chosen
    assert {one.id for one in found} <= {one.headers["x-turnout-id"] for one in answers}
    split = canary.target.split("digits")
    assert split is not None
    for one in found:
        assert (one.chosen, one.answered, one.outcome, one.code) == (CANARY, STABLE, Outcome.FAILED, 200)
        assert one.attempts == 2
        assert one.arms == Arms("digits", split.generation, {STABLE: 50, CANARY: 50})


@pytest.mark.parametrize("mode", ["503", "reset"])
def test_a_body_up_to_the_limit_is_tried_again(canary: World, mode: str) -> None:
    """A request of almost 4 MiB survives a failing canary."""
    canary.route((7, 1), (8, 99))
    canary.behave(8, mode)
    body = json.dumps({"inputs": ["x" * (4 * 1024 * 1024 - 1024)]}).encode()
    answers = [canary.ask(body=body) for _ in range(8)]
    assert [one.status for one in answers] == [200] * 8


def test_a_killed_canary_harms_no_client_and_each_failover_counts(canary: World) -> None:
    """Also when the gateway knows that it is dead, and sends its requests elsewhere at once, each counts against it."""
    log = canary.target.failures
    before = len(log.incidents())
    with canary.load(threads=4) as answers:
        eventually(lambda: len(answers) >= 100, "some requests before")
        os.kill(canary.pid(8), signal.SIGKILL)
        eventually(lambda: canary.target.gateway.healthy_hosts()[CANARY] == 0, "the gateway has noticed")
        noticed = len(answers)
        eventually(lambda: len(answers) >= noticed + 100, "some requests after")
    assert statuses(answers) == {200: len(answers)}
    found = new_incidents(canary, before, 1)
    eventually(lambda: any(one.attempts == 1 for one in log.incidents()[before:]), "a failover without a second try")
    assert {one.chosen for one in found} == {CANARY}
    assert {one.outcome for one in found} == {Outcome.FAILED}
    eventually(lambda: canary.target.tick() or canary.target.health()[CANARY].health == "ready", "it is back")


def test_every_failure_is_counted_and_nothing_else(canary: World) -> None:
    """The number of lines equals the number of requests that the gateway chose a canary for that answers only 503."""
    gateway, log = canary.target.gateway, canary.target.failures
    canary.behave(8, "503")
    requests, before = gateway.requests()[CANARY], log.count(CANARY)
    canary.ask_many(200)
    chosen = gateway.requests()[CANARY] - requests
    assert 50 < chosen < 150
    eventually(lambda: log.count(CANARY) == before + chosen, "each has a line")
    assert canary.target.health()[CANARY].failures == before + chosen


def test_a_log_that_was_removed_is_missing_until_the_gateway_writes_it_anew(canary: World) -> None:
    """What the gateway goes on to write into a removed file nobody reads, so it has to open another."""
    sources, log, before = LocalSources(canary.target), canary.target.failures, len(canary.target.failures.incidents())
    assert sources.missing() == ""
    canary.target.gateway.files.failures.unlink()
    assert sources.missing() == "the gateway's log of failures is not there"
    canary.target.tick()
    eventually(lambda: not sources.missing(), "the log is back")
    canary.route((7, 0), (8, 100))
    canary.behave(8, "422")
    canary.ask()
    assert len(new_incidents(canary, before, 1)) == 1
    assert log.since(Place(), "digits")[0][-1].code == 422


def test_healthy_versions_leave_no_line(canary: World) -> None:
    """Good answers and client errors are no incidents."""
    before = len(canary.target.failures.incidents())
    assert statuses(canary.ask_many(50)) == {200: 50}
    assert canary.ask(x_turnout_version="digits@99").status == 404
    canary.behave(8, "503")
    forced = canary.ask(x_turnout_version="digits@8")
    assert forced.status == 503
    canary.route((7, 0), (8, 100))
    canary.ask()
    # The line of the last request comes after all others.
    found = new_incidents(canary, before, 1)
    assert [one.arms.weights for one in found] == [{STABLE: 0, CANARY: 100}]


def test_an_answer_that_is_not_finite_counts_although_it_is_a_4xx(canary: World) -> None:
    """The host marks it: without another version the client gets the 422, and the version has failed once."""
    log = canary.target.failures
    before = len(log.incidents())
    canary.route((7, 0), (8, 100))
    canary.behave(8, "400")
    assert canary.ask().status == 400
    canary.behave(8, "422")
    assert canary.ask().status == 422
    found = new_incidents(canary, before, 1)
    assert [(one.chosen, one.outcome, one.code, one.attempts) for one in found] == [(CANARY, Outcome.FAILED, 422, 1)]


def test_a_judged_request_says_for_whom_it_was_chosen(canary: World) -> None:
    """The host learns version and generation; a client's own mark is replaced, and gone from what is not judged."""
    split = canary.route((7, 0), (8, 100), warm=(7,))
    canary.ask(x_turnout_arm="digits@8 1")
    canary.ask(x_turnout_arm="digits@8 1", x_turnout_version="digits@8")
    judged, forced = canary.seen(8)[-2:]
    assert judged["headers"]["x-turnout-arm"] == f"digits@8 {split.generation}"
    assert "x-turnout-arm" not in forced["headers"]
    canary.route((7, 0), (8, 100), sticky=Sticky("header", "x-user", "salt"))
    canary.ask(x_user="anna")
    marked = canary.seen(8)[-1]["headers"]
    assert marked["x-turnout-arm"] == f"digits@8 {split.generation + 1} salt"
    assert marked["x-turnout-user"] == "anna"


def test_a_merely_slow_answer_is_no_failure(canary: World) -> None:
    """A second try has begun, and the chosen version's own answer came all the same."""
    log = canary.target.failures
    before = len(log.incidents())
    assert statuses([canary.ask(x_test="slow") for _ in range(3)]) == {200: 3}
    found = new_incidents(canary, before, 3)
    assert {one.outcome for one in found if one.answered == one.chosen} <= {Outcome.SLOW}


def test_the_users_key_is_in_the_line(canary: World) -> None:
    """With sticky routing each line names the user, so that one user's failures can be counted once."""
    log = canary.target.failures
    for kind, header in (("header", {"x_user": "anna"}), ("cookie", {"cookie": "z=1; x-user=anna"})):
        canary.route((7, 0), (8, 100), sticky=Sticky("header" if kind == "header" else "cookie", "x-user", "salt"))
        before = len(log.incidents())
        canary.behave(8, "503")
        canary.ask(**header)
        assert [one.user for one in new_incidents(canary, before, 1)] == ["anna"]
        canary.behave(8, "ok")


LINE = {
    "time": "1700000000.5",
    "route": "judged digits 12 7=90,8=10",
    "chosen": "digits@8/judged",
    "answered": "digits@7/judged",
    "attempts": 2,
    "code": 200,
    "flags": "-",
    "milliseconds": 3,
    "id": "a",
    "user": None,
}


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome.FAILED),
        ({"attempts": 1}, Outcome.FAILED),
        ({"answered": None, "code": 503, "flags": "UF"}, Outcome.FAILED),
        ({"answered": "digits@8/judged", "code": 500, "attempts": 1}, Outcome.FAILED),
        ({"answered": "digits@8/judged", "milliseconds": 3}, Outcome.FAILED),
        ({"answered": "digits@8/judged", "code": 422, "attempts": 1, "failure": "non_finite"}, Outcome.FAILED),
        ({"answered": "digits@8/judged", "milliseconds": 900}, Outcome.SLOW),
        ({"answered": "digits@8/judged", "milliseconds": 900, "route": "judged digits 12 8=100"}, Outcome.FAILED),
        ({"answered": None, "code": 0, "flags": "DC"}, Outcome.LEFT),
    ],
)
def test_what_a_line_means(changes: dict[str, object], outcome: Outcome) -> None:
    """Each kind of line has one outcome, and names the chosen version and the weights."""
    found = read_incident(json.dumps({**LINE, **changes}), 0.8)
    assert found is not None
    assert found.outcome is outcome
    assert found.chosen == CANARY
    assert found.arms.generation == 12


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "{}", json.dumps({**LINE, "route": "direct digits 8"}), json.dumps({**LINE, "chosen": "x"})],
)
def test_a_line_that_is_none_is_passed_over(line: str) -> None:
    """Neither broken lines nor requests that were not judged are evidence."""
    assert read_incident(line, 0.8) is None


def test_a_routes_name_carries_the_weights() -> None:
    """The name of a judged route is read back as it was written."""
    split = Split("digits", {STABLE: 90, CANARY: 10}, generation=12)
    assert read_judged(judged_name(split)) == Arms("digits", 12, {STABLE: 90, CANARY: 10})
    assert read_judged("judged digits x 7=1") is None


def test_the_log_is_read_on_across_its_rotation(tmp_path: Path) -> None:
    """No line is lost or read twice when the log is renamed between readings; half a line waits for its rest."""
    path = tmp_path / "failures.jsonl"
    log = FailureLog(path, 0.8)
    assert log.incidents() == []
    line = json.dumps(LINE)
    path.write_text(f"{line}\n{line}\n{line[:10]}")
    assert len(log.incidents()) == 2
    with path.open("a") as more:
        more.write(f"{line[10:]}\n{line}\n")
    path.rename(tmp_path / "failures.jsonl.1")
    path.write_text(f"{line}\n")
    assert len(log.incidents()) == 5
    assert len(log.incidents()) == 5
    assert len(FailureLog(path, 0.8).incidents()) == 5
