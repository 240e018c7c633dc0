"""What is worth an alert, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.policy.alerts import Seen, Watched, from_event, from_report, look
from pipelines.values import Check, GateReport, Verdict, VersionRef
from pipelines.values.alerts import AlertKind, Alerts

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
RULES = Alerts(("json://x",))


def seen(seconds: float, *, free: int = 10**12, **models: Any) -> Seen:
    """What there is after so many seconds."""
    return Seen(NOON + timedelta(seconds=seconds), seconds, free, models)


def live(requests: int = 0, restarts: int = 0, health: str = "ready", phase: str = "live") -> dict[str, Any]:
    """A model with one version."""
    return {
        "phase": phase,
        "versions": {"digits@1": {"requests": requests, "restarts": restarts, "health": health}},
    }


def told(*looks: Seen, rules: Alerts = RULES) -> list[list[str]]:
    """What each look in turn says, by title."""
    watched, found = Watched(), []
    for one in looks:
        watched, alerts = look(watched, one, rules)
        found.append([alert.title for alert in alerts])
    return found


@pytest.mark.parametrize(
    ("action", "kind", "version"),
    [
        ("rollback", AlertKind.ROLLBACK, "digits@2"),
        ("drift", AlertKind.DRIFT, "digits@1"),
        ("hold", AlertKind.ROLLOUT_HELD, "digits@1"),
        ("inconclusive", AlertKind.ROLLOUT_HELD, "digits@1"),
        ("not brought back", AlertKind.CRASH_LOOP, "digits@1"),
        ("deploy", None, ""),
        ("promote", None, ""),
        ("rollback failed", None, ""),
    ],
)
def test_a_line_of_history_that_matters_is_an_alert(action: str, kind: AlertKind | None, version: str) -> None:
    """A rollback is about the version that was left, the others about the one that came."""
    event = {"action": action, "model": "digits", "from": "digits@2", "to": "digits@1", "reason": "", "actor": "anna"}
    alert = from_event(7, event, NOON)
    assert (alert.kind if alert else None) is kind
    if alert:
        assert (alert.id, alert.version) == ("event-7", version)


def test_gates_that_do_not_pass_are_an_alert() -> None:
    """Failed and undecided ones differ in the title; passed ones are none."""
    ref = VersionRef("digits", 3)

    def report(verdict: Verdict) -> GateReport:
        return GateReport(ref, (Check("accuracy", verdict, 0.8, ">= 0.9", {}),))

    failed, unsure = (from_report(report(one), NOON, "a") for one in (Verdict.FAIL, Verdict.INCONCLUSIVE))
    assert failed is not None
    assert unsure is not None
    assert failed.title == "digits@3: a gate failed"
    assert "accuracy: FAIL, 0.8 where >= 0.9" in failed.text
    assert unsure.title == "digits@3: the gates cannot say"
    assert from_report(report(Verdict.PASS), NOON, "a") is None


def test_a_full_disk_is_told_until_it_is_clearly_better() -> None:
    """Not at each look, and not again while it swings about the limit."""
    free = [2000, 999, 900, 1050, 999, 1200, 999]
    found = told(*(seen(number, free=mb * 10**6) for number, mb in enumerate(free)))
    assert [bool(one) for one in found] == [False, True, False, False, False, False, True]


def test_a_version_that_is_given_up_is_told_once() -> None:
    """And again after it has been well in between."""
    health = ["ready", "failed", "failed", "ready", "failed"]
    found = told(*(seen(number, digits=live(health=word)) for number, word in enumerate(health)))
    assert [bool(one) for one in found] == [False, True, False, False, True]


@pytest.mark.parametrize(
    ("times", "is_told"),
    [((0, 10, 20, 30), True), ((0, 10, 20), False), ((0, 200, 400, 600), False), ((0, 1, 299, 300), True)],
)
def test_three_restarts_within_five_minutes_are_a_crash_loop(times: tuple[int, ...], is_told: bool) -> None:
    """Fewer, or slower, are not; those before the first look do not count."""
    found = told(*(seen(at, digits=live(restarts=7 + number)) for number, at in enumerate(times)))
    assert any(found) is is_told


def test_a_restarted_count_is_no_restart() -> None:
    """A version that was stopped and started counts from 0 again."""
    assert not any(told(*(seen(at, digits=live(restarts=count)) for at, count in enumerate([9, 0, 0, 0]))))


def test_a_model_that_falls_silent_is_told_once() -> None:
    """After an hour without a request; another request ends it, and the next silence is told again."""
    looks = [(0, 0), (10, 5), (3600, 5), (3610, 5), (3620, 5), (3630, 6), (7240, 6)]
    found = told(*(seen(at, digits=live(requests)) for at, requests in looks))
    assert [bool(one) for one in found] == [False, False, False, True, False, False, True]


def test_a_model_that_never_had_a_request_is_not_told() -> None:
    """Nobody has found it yet: that is no alarm. Nor is one that was stopped, or with the rule at 0."""
    assert not any(told(seen(0, digits=live()), seen(9999, digits=live())))
    assert not any(told(*(seen(at, digits=live(5, phase="empty")) for at in (0, 9999))))
    never = Alerts(("json://x",), no_traffic_minutes=0)
    assert not any(told(*(seen(at, digits=live(5)) for at in (0, 9999)), rules=never))
