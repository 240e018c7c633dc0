"""What to do with a candidate, by the evidence there is.

First what cannot be judged, then what must not go on, then what is proved, then what is missing.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace

from pipelines.policy.evidence import log_value
from pipelines.policy.needed import needed, proof, said
from pipelines.policy.shift import distance
from pipelines.policy.trial import MOST_USERS, is_exposed, observed
from pipelines.values import Moment, Verdict
from pipelines.values.decisions import Decision, Move, Record
from pipelines.values.evidence import Rules, Stream, Trial, Wealth
from pipelines.values.seen import Seen

FIRST_REQUESTS = 5
"""When so many requests have failed and none has succeeded, no statistics are needed."""
_OTHERS = 4
"""Comparisons that share `alpha_others`: slow and wrong answers, pairs, shift."""
_PLENTY = math.log(1e6)
_FAULT = {
    Stream.FAILURES: "failures",
    Stream.SLOW: "stretches of mostly slow answers",
    Stream.WRONG: "wrong answers",
}


def judge(rules: Rules, trial: Trial, seen: Seen, now: Moment) -> tuple[Trial, Decision]:
    """One look: the trial with what was seen, and what to do.

    Args:
        rules: By what it is judged.
        trial: As it was left by the last look.
        seen: What came since.
        now: The time, UTC.
    """
    after = observed(rules, trial, seen, now)
    return after, decide(rules, after, seen)


def replay(record: Record) -> Decision:
    """What is decided on a recorded look: the decision that was recorded."""
    return judge(record.rules, record.before, record.seen, record.now)[1]


def decide(rules: Rules, trial: Trial, seen: Seen) -> Decision:
    """What to do with the candidate.

    Args:
        rules: By what it is judged.
        trial: With what was seen last.
        seen: That.
    """
    decision = _unjudged(trial, seen) or _harm(rules, trial) or _unseen(trial, seen)
    if decision is None and trial.kind == "bake":
        decision = _bake(rules, trial, seen)
    if decision is None:
        decision = _canary(rules, trial, seen)
    return _with_evidence(decision, rules, trial)


def _unjudged(trial: Trial, seen: Seen) -> Decision | None:
    if trial.stable and not seen.stable_ready:
        return _hold(
            trial, f"{trial.stable} has no healthy host: there is nothing to compare with, and nowhere to go back to"
        )
    return None


def _unseen(trial: Trial, seen: Seen) -> Decision | None:
    """What was seen of harm before still counts; what is not seen proves nothing."""
    return _hold(trial, f"{trial.candidate} cannot be judged: {seen.missing}") if seen.missing else None


def _harm(rules: Rules, trial: Trial) -> Decision | None:
    if trial.stop:
        return _rollback(f"{trial.candidate}: {trial.stop}")
    total = trial.total
    if trial.failures.candidate >= FIRST_REQUESTS and total.candidate_failures >= total.candidate:
        return _rollback(f"{trial.candidate} failed at each of its first {total.candidate_failures} requests")
    for stream in Stream:
        if _is_reached(rules, trial, stream) and not _asks(rules, stream):
            return _rollback(_found(rules, trial, stream))
    if trial.broken.peak >= _threshold(rules, Stream.FAILURES):
        seen = f"{trial.broken.candidate} of {total.candidate:,} requests"
        return _rollback(f"{trial.candidate} failed at {seen}, more than {trial.ceiling:.2%} of them")
    return None


def _bake(rules: Rules, trial: Trial, seen: Seen) -> Decision:
    minutes = rules.rollout.bake_minutes
    if not seen.candidate_ready:
        return _hold(trial, f"{trial.candidate} has no healthy host")
    if trial.seconds >= minutes * 60.0:
        return Decision(Move.FINISH, Verdict.PASS, f"{trial.candidate} has baked for {minutes:g} min without harm", 100)
    return _hold(trial, f"{trial.candidate} bakes, {trial.seconds / 60.0:.1f} of {minutes:g} min")


def _canary(rules: Rules, trial: Trial, seen: Seen) -> Decision:
    late = trial.seconds >= rules.rollout.deadline_minutes * 60.0
    if not is_exposed(trial, seen):
        return _hold(trial, f"{trial.candidate} has no healthy host")
    doubt = _doubt(rules, trial)
    if doubt:
        if late and rules.rollout.on_inconclusive == "abort":
            return _abort(doubt)
        return _hold(trial, f"{doubt}: a person has to decide", asks=True)
    proven = proof(trial) >= -math.log(rules.rollout.alpha_promotion)
    if late and not proven:
        return _at_deadline(rules, trial)
    return _step(rules, trial, proven=proven)


def _doubt(rules: Rules, trial: Trial) -> str:
    """What speaks against the candidate, and is left to a person; empty when nothing does."""
    for stream in Stream:
        if _is_reached(rules, trial, stream) and _asks(rules, stream):
            return _found(rules, trial, stream)
    if len(trial.users) >= MOST_USERS:
        return f"{MOST_USERS:,} users have met a failure, and the evidence is still open"
    return ""


def _at_deadline(rules: Rules, trial: Trial) -> Decision:
    missing = needed(rules, trial)
    said_so = f"undecided after {rules.rollout.deadline_minutes:g} min; {said(missing)}"
    if rules.rollout.on_inconclusive == "abort":
        return _abort(said_so)
    if rules.rollout.on_inconclusive == "promote" and trial.total.candidate:
        share = 100 - rules.rollout.holdback
        return Decision(
            Move.PROMOTE, Verdict.INCONCLUSIVE, f"{said_so}: promoted unproven", share, proven=False, needed=missing
        )
    return _hold(trial, f"{said_so}: a person has to decide", asks=True, rules=rules)


def _step(rules: Rules, trial: Trial, *, proven: bool) -> Decision:
    rollout, step = rules.rollout, trial.step
    share = round(trial.share * 100)
    following = next(step for step in (*rollout.steps, 100) if step > share or step == 100)
    verdict = Verdict.PASS if proven else Verdict.INCONCLUSIVE
    if not step.candidate:
        return _hold(trial, f"{trial.candidate} has had no traffic at {share} %", rules=rules)
    if step.candidate < rollout.min_requests or step.seconds < rollout.min_minutes * 60.0:
        lasted = f"{step.seconds / 60.0:.1f} of {rollout.min_minutes:g} min"
        seen = f"{step.candidate:,} of {rollout.min_requests:,} requests, {lasted}"
        return _hold(trial, f"{trial.candidate} at {share} %: {seen}", rules=rules, verdict=verdict)
    if following < 100:
        why = f"no harm seen at {share} % in {step.candidate:,} requests"
        return Decision(Move.RAMP, verdict, why, following, needed=None if proven else needed(rules, trial))
    if proven:
        return Decision(Move.PROMOTE, Verdict.PASS, _proof(rules, trial), 100 - rollout.holdback)
    return _hold(trial, f"{trial.candidate} at {share} %: no harm seen, not proved yet", rules=rules)


def _proof(rules: Rules, trial: Trial) -> str:
    total, rollout = trial.total, rules.rollout
    ours = f"{total.candidate_failures:,} of {total.candidate:,}"
    theirs = f"{total.stable_failures:,} of {total.stable:,}"
    claim = f"less than {rollout.max_relative_risk:g} times as often, or at less than {rollout.max_failure_rate:.2%}"
    return f"{trial.candidate} failed at {ours} requests, {trial.stable} at {theirs}: proved to fail {claim}"


def _hold(
    trial: Trial,
    reason: str,
    *,
    rules: Rules | None = None,
    asks: bool = False,
    verdict: Verdict = Verdict.INCONCLUSIVE,
) -> Decision:
    missing = needed(rules, trial) if rules is not None else None
    if missing is not None and not asks:
        reason = f"{reason}; {said(missing)}"
    return Decision(Move.HOLD, verdict, reason, round(trial.share * 100), asks=asks, needed=missing)


def _rollback(reason: str) -> Decision:
    return Decision(Move.ROLLBACK, Verdict.FAIL, reason, 0)


def _abort(reason: str) -> Decision:
    return Decision(Move.ABORT, Verdict.INCONCLUSIVE, f"{reason}: called off, as on_inconclusive says", 0)


def _wealth(trial: Trial, stream: Stream) -> Wealth:
    return {
        Stream.FAILURES: trial.failures,
        Stream.SLOW: trial.slow,
        Stream.WRONG: trial.wrong,
        Stream.PAIRS: trial.pairs,
        Stream.SHIFT: trial.shift.wealth,
    }[stream]


def _threshold(rules: Rules, stream: Stream) -> float:
    """The logarithm of the e-value from which a stream is evidence."""
    if stream is Stream.FAILURES:
        return -math.log(rules.rollout.alpha_failures)
    return -math.log(rules.rollout.alpha_others / _OTHERS)


def _is_reached(rules: Rules, trial: Trial, stream: Stream) -> bool:
    return _wealth(trial, stream).peak >= _threshold(rules, stream)


def _asks(rules: Rules, stream: Stream) -> bool:
    """Whether a breach is left to a person: a shift by default, and slow answers that may all be one user's."""
    return (stream is Stream.SHIFT and rules.rollout.on_shift == "hold") or (stream is Stream.SLOW and rules.by_user)


def _found(rules: Rules, trial: Trial, stream: Stream) -> str:
    wealth = _wealth(trial, stream)
    strength = f"evidence {_amount(wealth.peak)}, {_amount(_threshold(rules, stream))} needed"
    if stream is Stream.SHIFT:
        seen = distance(trial.shift.candidate, trial.shift.stable)
        return (
            f"{trial.candidate} answers differently from {trial.stable}: total variation {seen:.2f}, "
            f"{rules.rollout.max_shift:g} tolerated ({strength})"
        )
    if stream is Stream.PAIRS:
        return (
            f"of the requests that both answered {trial.candidate} alone got {wealth.candidate:,} wrong, "
            f"{trial.stable or 'the version before'} alone {wealth.stable:,} ({strength})"
        )
    counts = (
        f"{wealth.candidate:,} of {trial.candidate} beside {wealth.stable:,} of {trial.stable or 'the version before'}"
    )
    return f"too many {_FAULT[stream]}: {counts} at {trial.share:.0%} of the traffic ({strength})"


def _amount(log: float) -> str:
    """An e-value by its logarithm, in words: those of a bad hour have hundreds of digits, and no float holds them."""
    return f"{math.exp(log):,.0f}" if log < _PLENTY else "beyond a million"


def _with_evidence(decision: Decision, rules: Rules, trial: Trial) -> Decision:
    streams = {
        stream.value: {
            "e_value": math.exp(min(log_value(_wealth(trial, stream)), 700.0)),
            "threshold": math.exp(_threshold(rules, stream)),
            "candidate": _wealth(trial, stream).candidate,
            "stable": _wealth(trial, stream).stable,
        }
        for stream in Stream
    }
    promotion = {
        "e_value": math.exp(min(proof(trial), 700.0)),
        "threshold": 1.0 / rules.rollout.alpha_promotion,
        "comparison": math.exp(min(log_value(trial.better), 700.0)),
        "absolute": math.exp(min(log_value(trial.sound), 700.0)),
    }
    evidence = {
        "streams": streams,
        "promotion": promotion,
        "exposure": asdict(trial.total),
        "step": asdict(trial.step),
        "seconds": trial.seconds,
    }
    return replace(decision, evidence=evidence)
