"""The judge at work: what it does to a deployment, by traffic that is made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import StorageFailed, TurnoutError
from pipelines.local.failpoints import STEPS
from pipelines.policy.alerts import from_event
from pipelines.values import Phase
from pipelines.values.alerts import AlertKind
from tests.local.court import QUICK, Court
from tests.local.memory_target import BEGINNING
from tests.local.world import A, B, Crash

GOOD, BUSY = (40, 0), (160, 0)
BAD = (36, 4)
BY_ITSELF = {
    "good": ["deploy", "promote", "bake"],
    "bad": ["rollback"],
}
"""What the daemon does to a rollout by itself, in its order."""


@pytest.fixture
def court(tmp_path: Path) -> Court:
    """A canary that has a fifth of the traffic."""
    made = Court(tmp_path)
    made.begin()
    return made


def own(court: Court) -> list[str]:
    """What the daemon did by itself, the first first."""
    events = [event for event in court.events()[::-1] if event["actor"] == "turnout"]
    return [event["action"] for event in events if event["action"] != "recovered"]


def test_a_good_canary_is_ramped_promoted_and_baked_by_turnout(court: Court) -> None:
    """Each of it is in the history with turnout as its actor, a reason and the evidence; the last is the bake's end."""
    court.until("baking", GOOD, BUSY)
    assert court.until("live", GOOD, BUSY) >= 60
    assert court.world.now.champion == B
    court.second()
    assert court.said()["state"] == "promoted"
    assert own(court) == BY_ITSELF["good"]
    for event in court.events()[:3]:
        assert event["reason"]
        assert event["evidence"]["judge"]["verdict"] in ("PASS", "INCONCLUSIVE")
        assert {"at", "actor", "action", "from", "to", "reason", "evidence"} <= event.keys()
    assert "has baked for 1 min without harm" in court.events()[0]["reason"]
    assert "PID 123 (anna)" in court.events()[-1]["actor"]


def test_a_bad_canary_is_rolled_back_by_turnout(court: Court) -> None:
    """And it may not come back by itself."""
    court.until("live", BAD, BUSY)
    assert court.world.weights() == {A: 100}
    assert B in court.world.now.quarantined
    assert own(court) == BY_ITSELF["bad"]
    assert court.said()["state"] == "rolled_back"


@pytest.mark.parametrize(("verb", "state"), [("rollback", "rolled_back"), ("undo", "called_off")])
def test_what_a_person_has_ended_is_said_to_have_ended_at_once(court: Court, verb: str, state: str) -> None:
    """The status that the command itself shows comes before the judge's next look, and does not tell it to wait on."""
    for _ in range(3):
        court.second(GOOD, BUSY)
    assert court.said()["state"] == "judging"
    court.world.do(verb)
    at_once = court.said()
    assert (at_once["state"], at_once["needed"]) == (state, None)
    court.second((0, 0), BUSY)
    assert court.said()["reason"] == at_once["reason"]


@pytest.mark.parametrize(
    ("verb", "more", "kind", "share"), [("promote", {}, "bake", 100), ("deploy", 30, "canary", 30)]
)
def test_what_a_person_has_moved_is_said_to_have_moved_at_once(
    court: Court, verb: str, more: Any, kind: str, share: int
) -> None:
    """The status that the command itself shows does not speak of the share that the candidate had before."""
    for _ in range(3):
        court.second((0, 0), BUSY)
    assert "no traffic at 20 %" in court.said()["reason"]
    court.world.do(verb, **({"ref": str(B), "share": more} if more else more))
    at_once = court.said()
    assert (at_once["kind"], at_once["share"], at_once["needed"]) == (kind, share, None)
    assert at_once["reason"] == f"{B} has just got {share} % of the traffic"
    court.second(GOOD, BUSY)
    assert court.said()["share"] == share
    assert "just got" not in court.said()["reason"]


def test_a_bake_lasts_as_long_as_it_was_watched(court: Court) -> None:
    """Neither a clock that jumps ahead nor a daemon that was away for an hour ends it."""
    court.until("baking", GOOD, BUSY)
    court.jump(60)
    court.second(GOOD, BUSY)
    assert court.world.now.phase is Phase.BAKING
    court.world.clock.advance(60)
    court.boot()
    court.upkeep.tick()
    assert court.world.now.phase is Phase.BAKING
    court.until("live", GOOD, BUSY)
    assert court.world.now.champion == B


def test_a_bake_that_nobody_judges_is_over_by_the_clock(tmp_path: Path) -> None:
    """There is nobody else to end it."""
    court = Court(tmp_path, replace(QUICK, judge=False))
    court.world.do("deploy", A)
    court.world.do("deploy", B, share=100)
    court.world.clock.advance(2)
    court.upkeep.tick()
    assert court.world.now.champion == B


def test_harm_after_the_promotion_is_rolled_back(tmp_path: Path) -> None:
    """Without a holdback by the failure rate itself; the way back is the version before."""
    court = Court(tmp_path, replace(QUICK, bake_minutes=30))
    court.begin()
    court.until("baking", GOOD, BUSY)
    assert court.world.weights() == {B: 100}
    for _ in range(5):
        court.second((200, 0))
    court.until("live", (180, 20), (0, 0))
    assert court.world.weights() == {A: 100}
    assert B in court.world.now.quarantined
    assert "more than 1.00% of them" in court.said()["reason"]
    assert own(court)[-1] == "rollback"


def test_a_holdback_finds_what_the_rate_would_tolerate(tmp_path: Path) -> None:
    """One failure in two hundred is good enough by itself, and harm beside a version that has none."""
    court = Court(tmp_path, replace(QUICK, holdback=50, bake_minutes=30))
    court.begin()
    court.until("baking", GOOD, BUSY)
    assert court.world.weights() == {A: 50, B: 50}
    for number in range(60):
        if court.world.now.phase is Phase.LIVE:
            break
        court.second((99 + number % 2, 1 - number % 2), (100, 0))
    assert court.world.weights() == {A: 100}
    assert B in court.world.now.quarantined
    assert "beside 0 of digits@1 at 50% of the traffic" in court.said()["reason"]


def test_failures_that_are_tolerated_do_not_end_a_bake(tmp_path: Path) -> None:
    """Half of the rate that is good enough, without anything to compare with."""
    court = Court(tmp_path, replace(QUICK, bake_minutes=0.5))
    court.begin()
    court.until("baking", GOOD, BUSY)
    for number in range(40):
        court.second((200, number % 2), (0, 0))
    assert court.world.now.champion == B


def test_a_bake_whose_holdback_is_away_goes_on(tmp_path: Path) -> None:
    """There is nothing to compare with: it is held until there is, and ends then."""
    court = Court(tmp_path, replace(QUICK, holdback=10, bake_minutes=0.2))
    court.begin()
    court.until("baking", GOOD, BUSY)
    court.world.target.mark(A, "unhealthy")
    for _ in range(30):
        court.second((180, 0))
    assert court.world.now.phase is Phase.BAKING
    assert "nothing to compare with" in court.said()["reason"]
    court.world.target.mark(A, "ready")
    court.until("live", (180, 0), (20, 0))
    assert court.world.now.champion == B


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, f"{verb}.{step}")
        for kind, verbs in BY_ITSELF.items()
        for verb in verbs
        for step in STEPS
        if step not in ("starting", "started") and (step not in ("stopping", "stopped") or verb == "rollback")
    ],
)
def test_a_daemon_killed_at_any_point_decides_the_same(tmp_path: Path, kind: str, name: str) -> None:
    """Between evidence and decision, decision and switch, switch and record: the next daemon does what this one would.

    It counts what came while nobody looked, and does nothing twice.
    """
    traffic = {"good": GOOD, "bad": BAD}[kind]
    ends = []
    for crash_at in ("", name):
        court = Court(tmp_path / (crash_at or "fine"), replace(QUICK, bake_minutes=0.1))
        court.begin()
        court.world.crash_at = crash_at
        served = 0
        while court.world.now.phase is not Phase.LIVE:
            served += 1
            assert served < 200, court.said()
            try:
                court.second(traffic, BUSY)
            except Crash:
                court.boot()
        for _ in range(3):
            court.second()
        now = court.world.now
        ends.append((now.champion, now.candidate, set(now.quarantined), own(court), court.said()["state"]))
        assert court.world.crash_at == "", "it never came there"
        assert court.world.journal.unfinished() == []
    assert ends[0] == ends[1]


def test_evidence_survives_a_daemon_that_is_killed_again_and_again(court: Court) -> None:
    """A new daemon at every second look: what was seen is counted once, and the canary is promoted as soon as ever."""
    seconds = 0
    while court.world.now.phase is not Phase.BAKING:
        court.second(GOOD, BUSY)
        seconds += 1
        if seconds % 2:
            court.boot()
        assert seconds < 200, court.said()
    (promoted,) = (event for event in court.events() if event["action"] == "promote")
    exposure = promoted["evidence"]["judge"]["exposure"]
    assert 0 < exposure["candidate"] <= seconds * GOOD[0]
    assert exposure["candidate_failures"] == 0


@pytest.mark.parametrize("minutes", [-120.0, 120.0])
def test_a_clock_that_jumps_hides_no_harm_and_proves_nothing(court: Court, minutes: float) -> None:
    """Back or ahead, in the middle of a rollout: neither deadline nor step comes sooner, and failures still count."""
    for _ in range(2):
        court.second((5, 0), (20, 0))
    court.jump(minutes)
    court.second((5, 0), (20, 0))
    assert court.world.weights() == {A: 80, B: 20}
    assert not court.said()["asks"]
    court.until("live", BAD, BUSY)
    assert B in court.world.now.quarantined
    assert court.said()["failures"] > 0


def test_a_full_disk_is_a_stated_hold(court: Court) -> None:
    """Nothing is promoted that could not be written down; with room again nothing of what came meanwhile is lost."""
    court.second(GOOD, BUSY)
    court.book.is_full = True
    for _ in range(20):
        with pytest.raises(StorageFailed):
            court.second(GOOD, BUSY)
    assert court.world.weights() == {A: 80, B: 20}
    said = court.said()
    assert (said["state"], said["verdict"]) == ("holding", "INCONCLUSIVE")
    assert "nothing is decided: the evidence failed" in said["reason"]
    court.book.is_full = False
    court.second()
    court.second()
    assert court.said()["requests"] == 21 * GOOD[0]
    assert court.said()["state"] == "judging"
    court.until("baking", GOOD, BUSY)


def test_harm_does_not_wait_for_a_full_disk(court: Court) -> None:
    """The evidence cannot be kept, and the bad version goes all the same."""
    court.book.is_full = True
    for _ in range(20):
        if court.world.now.phase is Phase.LIVE:
            break
        with pytest.raises(StorageFailed):
            court.second(BAD, BUSY)
    assert court.world.weights() == {A: 100}
    assert B in court.world.now.quarantined


def test_evidence_that_cannot_be_read_is_a_stated_hold(court: Court) -> None:
    """A broken file is not overwritten; moved away, the rollout begins its evidence anew."""
    court.second(GOOD, BUSY)
    court.book.close()
    file = court.folder / "evidence.db"
    for old in court.folder.glob("evidence.db*"):
        old.unlink()
    file.write_bytes(b"this is no database" * 100)
    court.boot()
    for _ in range(3):
        with pytest.raises(StorageFailed, match="move the file away"):
            court.second(GOOD, BUSY)
    assert court.world.weights() == {A: 80, B: 20}
    assert "nothing is decided: the evidence" in court.said()["reason"]
    file.rename(court.folder / "broken.db")
    court.until("baking", GOOD, BUSY)


def test_a_fault_of_the_judge_is_a_stated_hold(court: Court) -> None:
    """Its thread does not end over it unseen: the status says what it was, and the next look may succeed."""
    court.second(GOOD, BUSY)
    court.traffic.fault = ZeroDivisionError("division by zero")
    for _ in range(3):
        with pytest.raises(TurnoutError, match="ZeroDivisionError"):
            court.second(GOOD, BUSY)
    assert court.said()["state"] == "holding"
    assert "nothing is decided: ZeroDivisionError" in court.said()["reason"]
    court.traffic.fault = None
    court.until("baking", GOOD, BUSY)


def test_without_the_gateways_log_nothing_is_proved(court: Court) -> None:
    """That no failure is seen says nothing then: it holds, says why, and counts none of that time."""
    court.second(GOOD, BUSY)
    court.traffic.lost = "the gateway's log of failures is not there"
    for _ in range(30):
        court.second(GOOD, BUSY)
    assert court.world.weights() == {A: 80, B: 20}
    assert court.said()["state"] == "holding"
    assert "digits@2 cannot be judged: the gateway's log of failures is not there" in court.said()["reason"]
    assert court.said()["requests"] == 0
    court.traffic.lost = ""
    court.until("baking", GOOD, BUSY)


def test_a_bake_does_not_end_unseen(court: Court) -> None:
    """The minutes in which nothing could be seen are no minutes of a bake."""
    court.until("baking", GOOD, BUSY)
    court.traffic.lost = "the gateway's log of failures is not there"
    for _ in range(90):
        court.second((200, 0))
    assert court.world.now.phase is Phase.BAKING
    court.traffic.lost = ""
    court.until("live", (200, 0), (0, 0))
    assert court.world.now.champion == B


def test_a_host_that_tells_nothing_is_named(court: Court) -> None:
    """It answers requests and no questions: that is another hold than the one for want of traffic."""
    court.traffic.mute.add(B)
    for _ in range(10):
        court.second(GOOD, BUSY)
    assert "its hosts have not told for 5 s what they answered" in court.said()["reason"]
    assert court.world.weights() == {A: 80, B: 20}
    court.traffic.mute.clear()
    court.until("baking", GOOD, BUSY)


def test_who_has_to_decide_is_told_once(tmp_path: Path) -> None:
    """An undecided rollout at its deadline is one line of history by turnout, from which an alert is made."""
    court = Court(tmp_path, replace(QUICK, deadline_minutes=0.2))
    court.begin()
    for _ in range(30):
        court.second((1, 0), (4, 0))
    assert court.said()["state"] == "asking"
    (event,) = (event for event in court.events() if event["actor"] == "turnout")
    assert (event["action"], event["from"], event["to"]) == ("held", "digits@1", "digits@2")
    assert "a person has to decide" in event["reason"]
    alert = from_event(1, event, BEGINNING)
    assert alert is not None
    assert alert.kind is AlertKind.ROLLOUT_HELD


def test_what_is_promoted_unproven_is_recorded_as_that(tmp_path: Path) -> None:
    """At the deadline, where the project file wants it; without any traffic it is not promoted at all."""
    court = Court(tmp_path, replace(QUICK, deadline_minutes=0.2, on_inconclusive="promote"))
    court.begin()
    for _ in range(30):
        court.second()
    assert court.world.now.phase is Phase.CANARY
    court.until("baking", (1, 0), (4, 0))
    judged = court.events()[0]["evidence"]["judge"]
    assert (judged["verdict"], judged["proven"]) == ("INCONCLUSIVE", False)
    assert "promoted unproven" in court.events()[0]["reason"]


def test_what_is_called_off_at_the_deadline_is_told_too(tmp_path: Path) -> None:
    """By turnout, without a quarantine; what a person calls off tells nobody."""
    court = Court(tmp_path, replace(QUICK, deadline_minutes=0.2, on_inconclusive="abort"))
    court.begin()
    court.until("live", (1, 0), (4, 0))
    assert court.world.now.quarantined == {}
    event = court.events()[0]
    assert (event["action"], event["actor"]) == ("undo", "turnout")
    alert = from_event(1, event, BEGINNING)
    assert alert is not None
    assert alert.kind is AlertKind.ROLLOUT_HELD
    assert from_event(1, {**event, "actor": "PID 123 (anna)"}, BEGINNING) is None


def test_one_users_failures_are_one(tmp_path: Path) -> None:
    """Under sticky routing a user who meets a bad canary again and again is one trial of the rollout."""
    for sticky, phase in (({"kind": "header", "name": "user"}, Phase.CANARY), (None, Phase.LIVE)):
        court = Court(tmp_path / str(phase), replace(QUICK, min_minutes=60))
        court.begin(sticky=sticky)
        for _ in range(15):
            court.second((30, 3), (160, 0), user="anna")
        assert court.world.now.phase is phase, court.said()


def test_a_dead_canary_is_never_promoted(court: Court) -> None:
    """What the stable version answers in its place speaks for the stable version."""
    for _ in range(3):
        court.second(GOOD, BUSY)
    court.world.target.mark(B, "unhealthy")
    court.until("live", (0, 0), BUSY, most=10)
    assert court.world.weights() == {A: 100}
    assert "out of rotation" in court.said()["reason"]


def test_an_idle_canary_holds(court: Court) -> None:
    """For as long as there is no traffic."""
    for _ in range(100):
        court.second()
    assert court.world.weights() == {A: 80, B: 20}
    assert "no traffic" in court.said()["reason"]
