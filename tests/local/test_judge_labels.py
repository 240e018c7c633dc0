"""The judge and the truth that comes later: by traffic and labels that are made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.local.court import QUICK, Court
from tests.local.world import A, B

GOOD, BUSY = (40, 0), (160, 0)
PATIENT = replace(QUICK, min_minutes=60.0)


@pytest.fixture
def court(tmp_path: Path) -> Court:
    """A canary that keeps its fifth of the traffic for an hour."""
    made = Court(tmp_path, PATIENT)
    made.begin()
    return made


def wrong(court: Court) -> tuple[int, int]:
    """Wrong answers of the candidate and of the stable version, as they are in the evidence."""
    case = court.book.case("digits")
    assert case is not None
    return case.trial.wrong.candidate, case.trial.wrong.stable


def test_a_canary_that_is_wrong_more_often_is_rolled_back(court: Court) -> None:
    """Its requests all succeed; only the labels tell. The reason says so, and the evidence is in the history."""
    for _ in range(10):
        court.second(GOOD, BUSY)
    for _ in range(20):
        court.traffic.label(B, right=5, wrong=5)
        court.traffic.label(A, right=38, wrong=2)
        court.second(GOOD, BUSY)
        if court.world.now.phase.value == "live":
            break
    assert court.world.weights() == {A: 100}
    assert "too many wrong answers" in court.world.now.quarantined[B]
    event = court.events()[0]
    assert event["action"] == "rollback"
    assert event["evidence"]["judge"]["streams"]["wrong"]["candidate"] >= 10


def test_two_versions_that_are_as_often_wrong_stay(court: Court) -> None:
    """However often that is, and however many labels come at once."""
    for _ in range(30):
        court.traffic.label(B, right=14, wrong=6)
        court.traffic.label(A, right=56, wrong=24)
        court.second(GOOD, BUSY)
    assert court.world.now.phase.value == "canary"
    assert wrong(court) == (180, 720)


def test_each_label_is_evidence_once_across_daemons(court: Court) -> None:
    """A daemon that ends after each second: the next one goes on behind the last label that was counted."""
    for second in range(8):
        court.traffic.label(B, right=8, wrong=1)
        court.traffic.label(A, right=32, wrong=4)
        court.second(GOOD, BUSY)
        court.second(GOOD, BUSY)
        assert wrong(court) == (second + 1, 4 * (second + 1))
        court.book.close()
        court.boot()


def test_labels_count_while_the_canary_has_no_healthy_host(court: Court) -> None:
    """They are about answers of before."""
    court.second(GOOD, BUSY)
    court.traffic.mute.add(B)
    court.traffic.label(B, right=5, wrong=5)
    court.traffic.label(A, right=40, wrong=0)
    court.traffic.lost = "the gateway's log of failures is not there"
    court.second()
    assert wrong(court) == (5, 0)


def test_labels_that_come_after_the_promotion_still_count(tmp_path: Path) -> None:
    """The truth about a canary's requests is known when it bakes: it goes back, if nothing else speaks against it."""
    court = Court(tmp_path, replace(QUICK, bake_minutes=30))
    court.begin()
    split = court.world.target.split("digits")
    assert split is not None
    court.traffic.label(B, right=5, wrong=5)
    court.traffic.label(A, right=40, wrong=0)
    court.until("baking", GOOD, BUSY)
    assert wrong(court) == (5, 0)
    court.book.close()
    court.boot()
    for _ in range(20):
        court.traffic.label(B, right=5, wrong=5, generation=split.generation)
        court.traffic.label(A, right=40, wrong=0, generation=split.generation)
        court.second((200, 0))
        if court.world.now.phase.value == "live":
            break
    assert court.world.weights() == {A: 100}
    assert "too many wrong answers" in court.world.now.quarantined[B]


def pairs(court: Court) -> tuple[int, int]:
    """Requests that one of the two alone got wrong, as they are in the evidence."""
    case = court.book.case("digits")
    assert case is not None
    return case.trial.pairs.candidate, case.trial.pairs.stable


def shadowed(folder: Path, candidate: int, stable: int) -> Court:
    """A canary that was a shadow before, and got requests wrong then that the other one got right, or the reverse."""
    court = Court(folder, PATIENT)
    court.world.do("deploy", A)
    court.traffic.pair(100, 0)
    court.world.clock.advance(1)
    court.world.do("deploy", B, share="shadow")
    court.traffic.pair(candidate, stable)
    court.second((0, 0), BUSY)
    court.world.do("deploy", B, share=20)
    return court


def test_what_a_shadow_got_wrong_is_evidence_once_it_is_a_canary(tmp_path: Path) -> None:
    """Of the requests of this rollout that both answered it alone got many wrong: it goes back at once."""
    court = shadowed(tmp_path, 20, 1)
    court.second((0, 0), BUSY)
    assert court.world.weights() == {A: 100}
    assert "alone got 20 wrong, digits@1 alone 1" in court.world.now.quarantined[B]
    seen = court.events()[0]["evidence"]["judge"]["streams"]["pairs"]
    assert (seen["candidate"], seen["stable"]) == (20, 1)
    assert seen["e_value"] >= seen["threshold"]


def test_a_shadow_that_is_as_often_wrong_stays(tmp_path: Path) -> None:
    """However often that is: each of the two is the wrong one of every second request that they disagree about."""
    court = shadowed(tmp_path, 200, 200)
    for _ in range(5):
        court.second(GOOD, BUSY)
    assert court.world.now.phase.value == "canary"
    assert pairs(court) == (200, 200)


def test_each_pair_is_evidence_once_across_daemons_and_steps(tmp_path: Path) -> None:
    """Also one whose label comes when the version bakes already: it is then sent back by it."""
    court = Court(tmp_path, replace(QUICK, bake_minutes=30))
    court.world.do("deploy", A)
    court.world.do("deploy", B, share="shadow")
    court.world.do("deploy", B, share=20)
    for number in range(1, 4):
        court.traffic.pair(1, 1)
        court.second(GOOD, BUSY)
        court.book.close()
        court.boot()
        assert pairs(court) == (number, number)
    court.until("baking", GOOD, BUSY)
    court.second((200, 0))
    assert pairs(court) == (3, 3)
    court.traffic.pair(30, 0)
    court.second((200, 0))
    assert court.world.weights() == {A: 100}
