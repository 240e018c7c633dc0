"""What a deployment becomes: each phase against each verb."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from pipelines.errors import BadInput, Refused
from pipelines.policy.deployment import (
    after_bake,
    after_deploy,
    after_down,
    after_promote,
    after_rollback,
    after_undo,
    after_up,
    check_bento,
    makeshift,
    plan,
    revival,
    salvaged,
)
from pipelines.policy.resources import check_memory
from pipelines.values import Bento, Deployment, Phase, Role, Share, Split, Sticky, VersionRef

A, B, C, D = (VersionRef("digits", number) for number in (1, 2, 3, 4))
LATER = datetime(2026, 1, 1, 12, 10, tzinfo=UTC)
ALL = frozenset({A, B, C, D})
NOTHING = Deployment("digits")


def deploy(
    now: Deployment, ref: VersionRef, share: Share = 10, *, healthy: frozenset[VersionRef] = ALL, forced: str = ""
) -> Deployment:
    """Deploy with a bake."""
    return after_deploy(now, ref, share=share, rollout=f"to {ref}", bake_until=LATER, healthy=healthy, forced=forced)


def promote(now: Deployment, ref: VersionRef | None = None) -> Deployment:
    """Promote with a bake."""
    return after_promote(now, ref, bake_until=LATER, healthy=ALL)


def rollback(now: Deployment, to: VersionRef | None = None, healthy: frozenset[VersionRef] = ALL) -> Deployment:
    """Roll back for a reason."""
    return after_rollback(now, to, healthy=healthy, reason="bad")


def weights(now: Deployment) -> dict[VersionRef, int]:
    """Who has what."""
    return dict(now.split.weights) if now.split else {}


LIVE = deploy(NOTHING, A)
SECOND = after_bake(promote(deploy(LIVE, B)), keep=1)
CANARY = deploy(SECOND, C)
SHADOW = deploy(SECOND, C, "shadow")
BAKING = promote(CANARY)
DOWN = after_down(SECOND)
PHASES = {"empty": NOTHING, "live": SECOND, "canary": CANARY, "shadow": SHADOW, "baking": BAKING, "down": DOWN}


def test_a_first_version_takes_everything() -> None:
    """Nobody else could answer the rest, whatever share was asked for."""
    assert LIVE.phase is Phase.LIVE
    assert LIVE.champion == A
    assert weights(LIVE) == {A: 100}


def test_a_canary_stands_behind_the_champion() -> None:
    """The stable version comes first, so that a growing share moves no user back."""
    assert list(weights(CANARY).items()) == [(B, 90), (C, 10)]
    assert CANARY.candidate == C
    assert CANARY.champion == B
    assert CANARY.role(C) is Role.CANARY


def test_a_ramp_keeps_its_rollout() -> None:
    """Users stay with their versions while the share grows."""
    sticky = Sticky("header", "x-user", "")
    begun = after_deploy(SECOND, C, share=10, rollout="first", bake_until=LATER, sticky=sticky, healthy=ALL)
    grown = after_deploy(begun, C, share=50, rollout="second", bake_until=LATER, healthy=ALL)
    assert grown.rollout == "first"
    assert grown.split is not None
    assert grown.split.sticky == Sticky("header", "x-user", "first")
    assert weights(grown) == {B: 50, C: 50}


@pytest.mark.parametrize(
    ("now", "ref", "share"),
    [(LIVE, A, 10), (LIVE, A, 100), (CANARY, C, 10), (SHADOW, C, "shadow"), (BAKING, C, 100)],
    ids=["live", "live at 100", "canary", "shadow", "baking"],
)
def test_what_is_so_already_stays(now: Deployment, ref: VersionRef, share: Share) -> None:
    """Deploying the share that is there changes nothing, not even the generation."""
    assert deploy(now, ref, share) is now


def test_each_change_has_a_generation_of_its_own() -> None:
    """A request is judged at the weights it was routed with: the count goes on, also over a stop."""
    line = [LIVE, SECOND, CANARY, BAKING, rollback(BAKING)]
    line += [after_down(line[-1]), after_up(after_down(line[-1]))]
    counts = [now.split.generation for now in line if now.split]
    assert len(counts) == len(line)
    assert all(a < b for a, b in itertools.pairwise(counts))


@pytest.mark.parametrize("now", [CANARY, SHADOW], ids=["canary", "shadow"])
def test_a_new_deploy_replaces_the_candidate(now: Deployment) -> None:
    """The old candidate loses its share and is stopped; it did nothing wrong, so it is not quarantined."""
    after = deploy(now, D, 25)
    assert weights(after) == {B: 75, D: 25}
    assert C not in after.running
    assert C not in after.quarantined
    assert plan(now, after).stop == (C,)


def test_a_switch_bakes() -> None:
    """`--canary 100` switches at once; the champion stays loaded until the new one is proven."""
    after = deploy(SECOND, C, 100)
    assert after.phase is Phase.BAKING
    assert weights(after) == {B: 0, C: 100}
    assert (after.champion, after.candidate, after.bake_until) == (B, C, LATER)


def test_a_switch_away_from_a_champion_that_is_down_does_not_need_it() -> None:
    """The fix of a broken champion must not wait for the broken one."""
    assert weights(deploy(SECOND, C, 100, healthy=frozenset({C}))) == {C: 100}


def test_while_one_bakes_another_can_only_switch() -> None:
    """A canary beside a baking version would have no proven version to be compared with."""
    with pytest.raises(Refused, match="is baking"):
        deploy(BAKING, D, 10)
    assert weights(deploy(BAKING, D, 100)) == {B: 0, D: 100}


def test_the_champion_again_calls_the_rollout_off() -> None:
    """Deploying the champion at 100 % in the middle of another's rollout gives it everything again."""
    assert weights(deploy(CANARY, B, 100)) == {B: 100}
    with pytest.raises(Refused, match="is the champion already"):
        deploy(CANARY, B, 10)


def test_no_version_gets_traffic_before_it_is_ready() -> None:
    """A running version that is not ready keeps the share it has."""
    with pytest.raises(Refused, match="is not ready"):
        deploy(CANARY, C, 50, healthy=frozenset({B}))
    with pytest.raises(Refused, match="is not ready"):
        after_promote(CANARY, None, bake_until=LATER, healthy=frozenset({B}))


@pytest.mark.parametrize("share", [0, 101, -1, "all"])
def test_an_impossible_share_is_refused(share: Share) -> None:
    """1 to 100 percent, or a shadow."""
    with pytest.raises(BadInput, match="no share"):
        deploy(LIVE, B, share)


@pytest.mark.parametrize("ref", [C, D], ids=["the one that stands in", "another one"])
def test_nobody_becomes_a_shadow_of_a_champion_that_another_stands_in_for(ref: VersionRef) -> None:
    """While the champion is down its canary answers everything: as a shadow it would answer nothing."""
    with pytest.raises(Refused, match="digits@2 is not ready, and digits@3 answers for it"):
        deploy(CANARY, ref, "shadow", healthy=ALL - {B})
    assert deploy(CANARY, ref, "shadow", healthy=ALL - {C} | {ref}).phase is Phase.SHADOW
    assert deploy(CANARY, D, "shadow", healthy=frozenset({D})).phase is Phase.SHADOW, "there is nothing to lose"


def test_a_shadow_needs_traffic_to_copy() -> None:
    """Where nothing serves there is nothing to mirror."""
    with pytest.raises(Refused, match="no requests to copy"):
        deploy(NOTHING, A, "shadow")


def test_a_quarantine_holds_until_somebody_gives_a_reason() -> None:
    """A version left by a rollback comes back only by force."""
    left = rollback(CANARY)
    with pytest.raises(Refused, match="quarantined: bad"):
        deploy(left, C)
    assert C not in deploy(left, C, forced="fixed upstream").quarantined


@pytest.mark.parametrize(
    ("now", "champion", "left"),
    [(SECOND, A, B), (CANARY, B, C), (SHADOW, B, C), (BAKING, B, C)],
    ids=["live", "canary", "shadow", "baking"],
)
def test_a_rollback_goes_to_the_last_proven_version(now: Deployment, champion: VersionRef, left: VersionRef) -> None:
    """It works in every phase, in one step, and quarantines the version it leaves."""
    after = rollback(now)
    assert after.phase is Phase.LIVE
    assert weights(after) == {champion: 100}
    assert after.champion == champion
    assert after.quarantined == {left: "bad"}
    assert left not in after.running
    assert not plan(now, after).start


@pytest.mark.parametrize("now", [NOTHING, DOWN, LIVE], ids=["nothing", "down", "no version before"])
def test_a_rollback_with_nowhere_to_go_says_what_to_do(now: Deployment) -> None:
    """The message names the command that helps."""
    with pytest.raises(Refused, match="`turnout "):
        rollback(now)


def test_a_rollback_never_goes_to_a_version_that_is_down() -> None:
    """It takes the next proven one, or none."""
    assert rollback(CANARY, healthy=frozenset({A, C})).champion == A
    with pytest.raises(Refused, match="nowhere to go"):
        rollback(CANARY, healthy=frozenset({C}))
    with pytest.raises(Refused, match="is not ready"):
        rollback(CANARY, to=A, healthy=frozenset({B, C}))


def test_a_rollback_never_goes_to_a_quarantined_version() -> None:
    """Nor to the one it leaves."""
    left = deploy(rollback(CANARY), D)
    with pytest.raises(Refused, match="quarantined"):
        rollback(left, to=C)
    with pytest.raises(Refused, match="to be left"):
        rollback(left, to=D)


def test_a_rollback_to_a_cold_version_starts_it_with_as_many_processes() -> None:
    """What takes over the traffic is as strong as what had it."""
    strong = after_deploy(NOTHING, A, share=100, rollout="", bake_until=None, replicas=3)
    after = rollback(strong, to=D)
    assert plan(strong, after).start == {D: 3}
    assert after.quarantined == {A: "bad"}


def test_a_rollback_without_a_verdict_keeps_a_proven_version_warm() -> None:
    """A champion that is left without quarantine may be gone back to."""
    after = after_rollback(SECOND, None, healthy=ALL, reason="", quarantine=False)
    assert after.standbys == (B,)
    assert rollback(after).champion == B


def test_a_rollback_that_stops_a_deploy_leaves_only_what_was_coming() -> None:
    """The champion was not what the person rolled back."""
    after = after_rollback(SECOND, None, healthy=ALL, reason="bad", incoming=C)
    assert after.split == SECOND.split
    assert after.quarantined == {C: "bad"}
    in_canary = after_rollback(CANARY, None, healthy=ALL, reason="bad", incoming=D)
    assert weights(in_canary) == {B: 100}
    assert in_canary.quarantined == {C: "bad", D: "bad"}


def test_a_bake_makes_the_champion_and_keeps_the_one_before() -> None:
    """`keep` says how many stay warm."""
    done = after_bake(BAKING, keep=1)
    assert (done.phase, done.champion, done.candidate, done.standbys) == (Phase.LIVE, C, None, (B,))
    assert after_bake(BAKING, keep=0).standbys == ()
    assert after_bake(BAKING, keep=2).standbys == (B, A)
    assert after_bake(SECOND, keep=1) is SECOND


def test_without_a_bake_a_promotion_proves() -> None:
    """Zero minutes of bake: champion at once."""
    assert after_promote(CANARY, C, bake_until=None, healthy=ALL).champion == C


def test_a_holdback_is_the_control_of_a_bake() -> None:
    """The old version keeps its share."""
    assert weights(after_promote(CANARY, C, bake_until=LATER, healthy=ALL, holdback=5)) == {B: 5, C: 95}


@pytest.mark.parametrize("now", [NOTHING, DOWN, SECOND], ids=["nothing", "down", "live"])
def test_nothing_to_promote(now: Deployment) -> None:
    """Only what has a share, or a shadow, can be promoted; a champion is there already."""
    with pytest.raises(Refused, match="cannot be promoted"):
        promote(now)
    assert promote(SECOND, B) is SECOND
    assert promote(BAKING, C) is BAKING


@pytest.mark.parametrize("now", [CANARY, SHADOW, BAKING], ids=["canary", "shadow", "baking"])
def test_an_undo_calls_the_rollout_off(now: Deployment) -> None:
    """Nobody is quarantined; never onto a version that is down."""
    after = after_undo(now, ALL)
    assert weights(after) == {B: 100}
    assert not after.quarantined
    with pytest.raises(Refused, match="is not ready"):
        after_undo(now, frozenset({C}))


@pytest.mark.parametrize("now", [NOTHING, DOWN, SECOND], ids=["nothing", "down", "live"])
def test_nothing_to_undo(now: Deployment) -> None:
    """After the bake there is only the rollback."""
    with pytest.raises(Refused, match="nothing to undo"):
        after_undo(now, ALL)


@pytest.mark.parametrize("now", PHASES.values(), ids=PHASES)
def test_a_stop_stops_everything_and_a_start_brings_the_champion_back(now: Deployment) -> None:
    """In every phase; twice is once."""
    down = after_down(now)
    assert not down.running
    assert down.champion == now.champion
    assert after_down(down) is down
    assert weights(after_up(down)) == ({now.champion: 100} if now.champion else {})


def test_what_a_start_would_bring_back_is_said() -> None:
    """After a reboot all that is recorded, after a stop the champion, beside a daemon nothing that serves."""
    assert revival(CANARY, is_up=False) == [
        "start digits@1",
        "start digits@2",
        "start digits@3",
        "route digits: digits@2 90 %, digits@3 10 %",
        "record it",
    ]
    assert revival(CANARY, is_up=True) == []
    stopped = after_down(CANARY)
    for is_up in (False, True):
        assert revival(stopped, is_up=is_up) == ["start digits@2", "route digits: digits@2 100 %", "record it"]
        assert revival(NOTHING, is_up=is_up) == []


@pytest.mark.parametrize("now", PHASES.values(), ids=PHASES)
def test_a_deployment_survives_json(now: Deployment) -> None:
    """The journal keeps it whole."""
    assert Deployment.from_dict(now.as_dict()) == now


def test_a_version_keeps_its_replicas_while_it_runs() -> None:
    """A new one gets as many as the version that carries the traffic."""
    strong = after_deploy(NOTHING, A, share=100, rollout="", bake_until=None, replicas=2)
    assert deploy(strong, B).replicas == {A: 2, B: 2}
    with pytest.raises(Refused, match="2 replicas already"):
        after_deploy(
            deploy(strong, B), B, share=20, rollout="", bake_until=LATER, replicas=3, healthy=frozenset({A, B})
        )


def test_a_plan_says_what_will_be_done() -> None:
    """Start, route, record, stop, in this order."""
    after = deploy(CANARY, D, 25)
    assert plan(CANARY, after).steps() == [
        "start digits@4",
        "route digits: digits@2 75 %, digits@4 25 %",
        "record it",
        "stop digits@3",
    ]
    assert plan(CANARY, CANARY, down=frozenset({C, A})).start == {C: 1}


@pytest.mark.parametrize(
    ("up", "expected"),
    [
        ({A, B, C}, {B: 90, C: 10}),
        ({A, B}, {B: 100}),
        ({A, C}, {C: 100}),
        ({A}, {A: 100}),
        (set(), None),
    ],
    ids=["all", "no canary", "no champion", "a standby alone", "none"],
)
def test_what_is_up_carries_for_what_is_down(up: set[VersionRef], expected: dict[VersionRef, int] | None) -> None:
    """After a reboot the traffic waits for no broken version."""
    split = makeshift(CANARY, frozenset(up))
    assert (dict(split.weights) if split else None) == expected


@pytest.mark.parametrize(
    ("split", "phase", "candidate"),
    [
        (Split("digits", {A: 100}), Phase.LIVE, None),
        (Split("digits", {A: 90, B: 10}), Phase.CANARY, B),
        (Split("digits", {A: 100}, shadow=B), Phase.SHADOW, B),
    ],
    ids=["live", "canary", "shadow"],
)
def test_a_lost_record_is_read_off_the_target(split: Split, phase: Phase, candidate: VersionRef | None) -> None:
    """Whoever carries most is the champion."""
    found = salvaged(split)
    assert (found.phase, found.champion, found.candidate, found.split) == (phase, A, candidate, split)


def test_only_a_packaged_version_that_passed_runs() -> None:
    """A reason overrides the gates, nothing overrides a missing bento."""
    bad = Bento(A, "/a", "d", is_passed=False)
    with pytest.raises(Refused, match="not packaged"):
        check_bento(A, None, forced="yes")
    with pytest.raises(Refused, match="has not passed"):
        check_bento(A, bad)
    assert check_bento(A, bad, forced="yes") is bad


def fits(available: float, measured: float = 300.0) -> Callable[[], None]:
    """A start of two processes of B beside A with 250 MB and the warm C."""
    running = {A: 250.0, C: 100.0}
    return lambda: check_memory({B: 2}, {B: measured}, running, available, [C], reserve=200.0)


def test_a_host_that_does_not_fit_is_refused() -> None:
    """The message says how much is missing and which warm version could go; exactly enough is enough."""
    fits(800.0)()
    with pytest.raises(Refused, match=r"need 600 MB and 799 MB .*digits@3 \(100 MB\)"):
        fits(799.0)()


def test_an_unmeasured_host_counts_as_much_as_the_largest() -> None:
    """250 MB twice, and the reserve."""
    fits(700.0, measured=0.0)()
    with pytest.raises(Refused, match="need 500 MB"):
        fits(699.0, measured=0.0)()
