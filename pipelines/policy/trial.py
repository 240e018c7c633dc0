"""How a rollout's evidence grows by what is seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b

from pipelines.policy.evidence import bettered, breaking, harmed, sounded
from pipelines.policy.shift import shifted
from pipelines.values import Moment
from pipelines.values.evidence import Exposure, Rules, Trial, Unsettled, Wealth
from pipelines.values.seen import Answers, Failure, Outcomes, Seen

LONGEST_LOOK_SECONDS = 30.0
"""What lies between two looks counts as watched up to this long: a stopped daemon and a clock that jumps count no
further."""
MOST_USERS = 20_000
"""Users whose failure is remembered; beyond them nothing is evidence any more, and a person has to decide."""
_FEW = 5
"""Fewer answers of a version than this wait for the next: a block of one candidate's answer tells little."""
_STRETCH = 10
"""So many answers of each version tell whether it was slow for a while."""


def begin(rollout: str, candidate: str, stable: str, share: float, now: Moment) -> Trial:
    """A candidate gets its first share of the traffic.

    Args:
        rollout: The rollout's id.
        candidate: The version.
        stable: The version it shall replace.
        share: The candidate's share, between 0 and 1.
        now: The time.
    """
    return Trial(rollout=rollout, candidate=candidate, stable=stable, kind="canary", share=share, looked=now)


def moved(trial: Trial, share: float, now: Moment) -> Trial:
    """The candidate's share has changed: a new step, with the evidence kept."""
    if share == trial.share:
        return trial
    shift = replace(trial.shift, waiting=Answers())
    return trial.with_(share=share, step=Exposure(), looked=now, shift=shift)


def baking(
    rules: Rules, trial: Trial | None, rollout: str, candidate: str, stable: str, share: float, now: Moment
) -> Trial:
    """A promoted candidate bakes: a trial of its own, so that what spoke for it before does not hide a late harm.

    Args:
        rules: By what it is judged.
        trial: Its trial as a canary; None when it got all the traffic at once.
        rollout: The rollout's id.
        candidate: The version.
        stable: The version that keeps the holdback; empty without one.
        share: The candidate's share, between 0 and 1: all but the holdback.
        now: The time.
    """
    ceiling = rules.rollout.max_failure_rate
    # Where users stay with their version, one whose failure was counted is certain to come to it again.
    users = trial.users if trial is not None and len(trial.users) < MOST_USERS else frozenset()
    if trial is not None and trial.total.stable:
        # Where requests fail whoever answers them, a version is not broken because they go on to fail.
        rate = (trial.total.stable_failures + 1.0) / (trial.total.stable + 1.0)
        ceiling = max(ceiling, min(1.0, rules.rollout.max_relative_risk * rate))
    bake = Trial(
        rollout=rollout,
        candidate=candidate,
        stable=stable,
        kind="bake",
        share=share,
        looked=now,
        ceiling=ceiling,
        users=users,
    )
    # What labels say comes late, and of the same requests: it goes on where it was.
    return bake if trial is None else bake.with_(wrong=trial.wrong, labelled=trial.labelled, pairs=trial.pairs)


def observed(rules: Rules, trial: Trial, seen: Seen, now: Moment) -> Trial:
    """The trial after one more look.

    Args:
        rules: By what it is judged.
        trial: As it was.
        seen: What came since.
        now: The time.
    """
    passed = min(max((now - trial.looked).total_seconds(), 0.0), LONGEST_LOOK_SECONDS)
    seconds = 0.0 if seen.missing else passed
    trial = trial.with_(looked=now, seconds=trial.seconds + seconds, stop=trial.stop or seen.stop)
    # The truth about past answers counts whoever is healthy now.
    trial = _labels(trial, seen)
    if not is_exposed(trial, seen) or len(trial.users) >= MOST_USERS:
        # A share that silently goes to the other version is no exposure, nor is what the other one then fails at.
        return trial
    ours = sum(failure.is_candidate for failure in seen.failures)
    exposure = Exposure(seen.candidate_requests, ours, seen.stable_requests, len(seen.failures) - ours, seconds)
    trial = trial.with_(step=trial.step + exposure, total=trial.total + exposure)
    trial = _failures(rules, trial, seen)
    return trial if trial.kind == "bake" else _quality(rules, trial, seen)


def is_exposed(trial: Trial, seen: Seen) -> bool:
    """Whether each version that is compared had a healthy host all the while."""
    return seen.candidate_ready and (seen.stable_ready or not trial.stable)


def _failures(rules: Rules, trial: Trial, seen: Seen) -> Trial:
    """What failures and successes say, each told as late as what speaks the other way may be.

    A failure may be known later than a success of its time, and a time-out later than a refusal. Told as they come, the
    slow failures of one version would be missed beside the quick ones of the other. So what speaks against a hypothesis
    waits until all that speaks for it has come.
    """
    counted, users = _one_a_user(rules, trial, seen.failures)
    by_share = _by_share(counted)
    ours = sum(candidate for _, candidate, _ in by_share)
    trials = seen.candidate_users if rules.by_user else seen.candidate_requests
    look = Unsettled(trial.seconds, max(0, trials - ours), by_share)
    settled = [one for one in trial.unsettled if one.at <= trial.seconds - rules.settle_seconds]
    unsettled = (*(one for one in trial.unsettled if one not in settled), look)
    failures, better = trial.failures, trial.better
    for share, _, stable in by_share:
        failures = harmed(failures, share, 0, stable)
    for share, candidate, stable in (each for one in settled for each in one.failures):
        failures = harmed(failures, share, candidate, 0)
        better = bettered(better, share, 0, stable, rules.rollout.max_relative_risk)
    for share, candidate, _ in by_share:
        better = bettered(better, share, candidate, 0, rules.rollout.max_relative_risk)
    trial = trial.with_(failures=failures, better=better, users=users, unsettled=unsettled)
    if trial.kind == "canary":
        successes = sum(one.successes for one in settled)
        return trial.with_(sound=sounded(trial.sound, successes, ours, rules.rollout.max_failure_rate))
    if rules.by_user:
        return trial  # Users that are not counted would make every failure look like a rate of 1.
    failed = sum(candidate for one in settled for _, candidate, _ in one.failures)
    return trial.with_(broken=breaking(trial.broken, look.successes, failed, trial.ceiling))


def _by_share(failures: Iterable[Failure]) -> tuple[tuple[float, int, int], ...]:
    """The failures by the share they were routed with: how many were the candidate's, how many the stable version's."""
    found: dict[float, tuple[int, int]] = {}
    for failure in failures:
        ours, theirs = found.get(failure.share, (0, 0))
        found[failure.share] = (ours + failure.is_candidate, theirs + (not failure.is_candidate))
    return tuple((share, ours, theirs) for share, (ours, theirs) in found.items())


def _one_a_user(rules: Rules, trial: Trial, failures: Iterable[Failure]) -> tuple[list[Failure], frozenset[str]]:
    """The failures that count, and the users whose failure has been counted: a user's later ones are no trials anew.

    A request that names no user was routed by itself, and is a trial of its own.
    """
    if not rules.by_user:
        return list(failures), trial.users
    counted, users = [], set(trial.users)
    for failure in failures:
        if not failure.user:
            counted.append(failure)
            continue
        user = blake2b(f"{trial.rollout}:{failure.user}".encode(), digest_size=8).hexdigest()
        if user not in users:
            users.add(user)
            counted.append(failure)
    return counted, frozenset(users)


def _quality(rules: Rules, trial: Trial, seen: Seen) -> Trial:
    slow, measured = _stretches(trial.slow, (*trial.measured, *seen.slow), rules.rollout.max_relative_risk)
    return trial.with_(
        slow=slow,
        measured=measured,
        shift=shifted(trial.shift, seen.answers, rules.rollout.max_shift),
    )


def _labels(trial: Trial, seen: Seen) -> Trial:
    wrong, labelled = _blocks(trial.wrong, (*trial.labelled, *seen.labelled), 1.0)
    # Both answered each of these requests: whose fault the next is would be even if both were as good.
    return trial.with_(wrong=wrong, labelled=labelled, pairs=harmed(trial.pairs, 0.5, *seen.pairs))


def _stretches(wealth: Wealth, outcomes: tuple[Outcomes, ...], tolerated: float) -> tuple[Wealth, tuple[Outcomes, ...]]:
    """Bets on whose the next stretch of time is in which most answers were slow.

    Slow answers come in bursts: a process that waits for a core is late with all it has at hand. Counted one by one, a
    single burst would be evidence against either of two identical versions. So a stretch counts once, for a version
    more than half of whose answers in it were slow; both versions have the same stretches.
    """
    together = _together(outcomes)
    for block in [block for block in together if min(block.candidate, block.stable) >= _STRETCH]:
        ours, theirs = 2 * block.candidate_faults > block.candidate, 2 * block.stable_faults > block.stable
        wealth = harmed(wealth, 0.5, int(ours), int(theirs), tolerated)
    return wealth, tuple(block for block in together if min(block.candidate, block.stable) < _STRETCH)


def _together(outcomes: Iterable[Outcomes]) -> list[Outcomes]:
    """Those of one share as one."""
    together: dict[float, Outcomes] = {}
    for one in outcomes:
        together[one.share] = together[one.share].plus(one) if one.share in together else one
    return list(together.values())


def _blocks(wealth: Wealth, outcomes: tuple[Outcomes, ...], tolerated: float) -> tuple[Wealth, tuple[Outcomes, ...]]:
    """Bets on whose the faults are among as many answers of each version as there happen to be.

    The share that counts is the candidate's share of these answers, so that it does not matter whose are measured or
    labelled. The faults then follow a hypergeometric law, which is narrower than the binomial law that is bet on, and a
    bettor's wealth is convex: such bets gain no more than they would there (W. Hoeffding, JASA 58 (1963), theorem 4).
    """
    waiting = []
    for block in _together(outcomes):
        if min(block.candidate, block.stable) < _FEW:
            waiting.append(block)
        else:
            share = block.candidate / (block.candidate + block.stable)
            wealth = harmed(wealth, share, block.candidate_faults, block.stable_faults, tolerated)
    return wealth, tuple(waiting)
