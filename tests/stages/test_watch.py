"""Following a rollout: what is said on the way, and how each end is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.stages.watch import Watched, watch
from pipelines.values import VersionRef
from pipelines.views import RolloutView
from tests.fakes import FakeOperator, FakeReporter, running

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
OLD, NEW = VersionRef("digits", 1), VersionRef("digits", 2)


def entry(share: int = 20, **changes: Any) -> dict[str, Any]:
    """The model with its canary under way."""
    made = {
        "url": "http://127.0.0.1:3000/digits",
        "phase": "canary",
        "champion": str(OLD),
        "candidate": str(NEW),
        "versions": {str(OLD): running(100 - share), str(NEW): running(share, "canary")},
        "operation": None,
        "bake_until": None,
        "quarantined": {},
    }
    return {**made, **changes}


def said(reason: str, state: str = "judging", verdict: str = "INCONCLUSIVE", **changes: Any) -> dict[str, Any]:
    """What the judge says of the new version."""
    made = {"candidate": str(NEW), "kind": "canary", "state": state, "verdict": verdict, "reason": reason}
    return {"rollout": {**made, **changes}}


LIVE = {"phase": "live", "champion": str(NEW), "candidate": None}
BACK = {"phase": "live", "candidate": None}


def follow(*looks: dict[str, Any], seconds: float = 1.0, **operator: Any) -> tuple[Watched, list[str]]:
    """Watch a model that is found so, one look after the other; how it ended, and what was said."""
    reporter, time, left = FakeReporter(), [NOON], list(looks)
    fake = FakeOperator({"digits": left.pop(0)}, **operator)

    def pause() -> None:
        time[0] += timedelta(seconds=seconds)
        fake.models["digits"] = left.pop(0)

    found = watch(NEW, fake, reporter, now=lambda: time[0], pause=pause)
    assert not left, "it looked away too early"
    return found, reporter.steps


def test_each_change_is_said_once_until_the_bake_is_over() -> None:
    """Step, share, verdict and what is needed; a promotion is not the end while it bakes."""
    bake = {"phase": "baking", "bake_until": (NOON + timedelta(minutes=10)).isoformat()}
    found, lines = follow(
        entry(),
        entry(20, **said("no traffic", "holding")),
        entry(20, **said("about 240 more requests, 12 min to go")),
        entry(20, **said("about 239 more requests, 12 min to go")),
        entry(50, **said("5 of 20 requests")),
        entry(50, **said("proved", verdict="PASS")),
        entry(100, **bake, **said("proved", verdict="PASS")),
        entry(100, **bake, **said("0.1 of 10 min", kind="bake")),
        entry(100, **LIVE),
    )
    assert lines == [
        "digits@2 at 20 %",
        "digits@2 at 20 %, holding, INCONCLUSIVE: no traffic",
        "digits@2 at 20 %, judging, INCONCLUSIVE: about 240 more requests, 12 min to go",
        "digits@2 at 50 %, judging, INCONCLUSIVE: 5 of 20 requests",
        "digits@2 at 50 %, judging, PASS: proved",
        "digits@2 bakes",
        "digits@2 bakes, judging, INCONCLUSIVE: 0.1 of 10 min",
    ]
    assert (found.outcome, found.reason) == ("promoted", "")
    assert RolloutView.of(found).ok


def test_what_is_missing_is_said_again_after_a_minute() -> None:
    """A long step is not silent, and not a line a second either."""
    looks = [entry(20, **said(f"about {number} more requests")) for number in range(9, 0, -1)]
    _, lines = follow(*looks, entry(100, **LIVE), seconds=25)
    assert [line.rsplit("about ")[1] for line in lines] == ["9 more requests", "6 more requests", "3 more requests"]


def test_what_was_said_of_another_version_is_not_said_of_this_one() -> None:
    """Before the judge's first look the status still has the rollout before."""
    _, lines = follow(entry(**said("worse", "rolled_back", "FAIL", candidate="digits@1")), entry(**LIVE))
    assert lines == ["digits@2 at 20 %"]


@pytest.mark.parametrize(
    ("last", "outcome", "reason"),
    [
        ({**BACK, "quarantined": {str(NEW): "too many failures"}}, "rolled back", "too many failures"),
        (BACK, "called off", "undo by anna (PID 1)"),
        ({**BACK, "phase": "empty"}, "stopped", ""),
    ],
)
def test_an_end_without_the_traffic_is_no_success(last: dict[str, Any], outcome: str, reason: str) -> None:
    """Its reason is told, and the exit code is 1."""
    events = [{"model": "digits", "action": "undo", "actor": "anna (PID 1)", "reason": ""}]
    found, _ = follow(entry(), entry(**last), events=events)
    assert (found.outcome, found.reason) == (outcome, reason)
    view = RolloutView.of(found)
    assert not view.ok
    assert view.json()["outcome"] == outcome
    assert reason in view.text()


def test_a_model_that_is_gone_from_the_status_was_stopped() -> None:
    """Its last word is shown without a table."""
    found, _ = follow({})
    view = RolloutView.of(found)
    assert (found.outcome, view.ok) == ("stopped", False)
    assert "was stopped" in view.text()


@pytest.mark.parametrize(("minutes", "is_over"), [(59, False), (61, True)])
def test_a_long_bake_is_not_waited_for(minutes: int, *, is_over: bool) -> None:
    """Within the hour it is followed to its end; beyond, the promotion is the end, and is called that."""
    bake = entry(100, phase="baking", bake_until=(NOON + timedelta(minutes=minutes)).isoformat())
    found, _ = follow(*([bake] if is_over else [bake, entry(100, **LIVE)]))
    assert found.outcome == ("baking" if is_over else "promoted")
    assert RolloutView.of(found).ok


def test_who_looks_away_is_no_longer_told() -> None:
    """Ctrl-C comes through at once, and nothing was asked of the operator."""
    fake = FakeOperator({"digits": entry()})

    def interrupted() -> None:
        raise KeyboardInterrupt

    pause: Callable[[], None] = interrupted
    with pytest.raises(KeyboardInterrupt):
        watch(NEW, fake, FakeReporter(), now=lambda: NOON, pause=pause)
    assert fake.asked == []
