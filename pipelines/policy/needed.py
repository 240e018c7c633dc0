"""What is still missing until a candidate can be promoted, if all goes on as it went."""

from __future__ import annotations

import math

from pipelines.policy.evidence import bettered, log_mean, log_value, sounded
from pipelines.values.decisions import Needed
from pipelines.values.evidence import Rules, Trial, Wealth

_MOST = 10_000_000


def proof(trial: Trial) -> float:
    """The logarithm of the e-value for promotion: of the mean of the comparison and of the absolute rate."""
    return log_mean((log_value(trial.better), log_value(trial.sound)))


def needed(rules: Rules, trial: Trial) -> Needed:
    """How many more requests of both versions, and how many minutes, a promotion takes.

    The failures still to come are taken to be as frequent as those so far, so that this is what it takes in the
    middle, not at most. The minutes are at least those that the steps still last.
    """
    steps = _steps_minutes(rules, trial)
    total = trial.step.candidate + trial.step.stable
    rate = total / trial.step.seconds * 60.0 if trial.step.seconds else 0.0
    requests = max(_evidence_requests(rules, trial), _step_requests(rules, trial))
    if requests > _MOST:
        return Needed(None, None)
    if not requests:
        return Needed(0, steps)
    return Needed(requests, max(steps, requests / rate) if rate else None)


def said(missing: Needed) -> str:
    """What is missing, in words: `about 240 more requests, 12 min at the present rate`."""
    if missing.requests is None:
        return "at the present failure rates no number of requests would prove it"
    if missing.requests and missing.minutes is None:
        return f"about {_rounded(missing.requests)} more requests; there is no traffic at present"
    minutes = _minutes(missing.minutes or 0.0)
    return (
        f"about {_rounded(missing.requests)} more requests, {minutes} at the present rate"
        if missing.requests
        else f"{minutes} to go"
    )


def _steps_minutes(rules: Rules, trial: Trial) -> float:
    here = max(0.0, rules.rollout.min_minutes - trial.step.seconds / 60.0)
    return here + rules.rollout.min_minutes * len(_later_steps(rules, trial))


def _step_requests(rules: Rules, trial: Trial) -> int:
    here = max(0, rules.rollout.min_requests - trial.step.candidate) / trial.share if trial.share else 0.0
    later = sum(rules.rollout.min_requests / (step / 100.0) for step in _later_steps(rules, trial))
    return math.ceil(here + later)


def _later_steps(rules: Rules, trial: Trial) -> list[int]:
    return [step for step in rules.rollout.steps if trial.share * 100.0 < step < 100]


def _evidence_requests(rules: Rules, trial: Trial) -> int:
    """The fewest requests after which the evidence is expected to suffice; more than _MOST when none would."""
    goal = -math.log(rules.rollout.alpha_promotion)
    if proof(trial) >= goal:
        return 0
    low, high = 0, 64
    while _expected(rules, trial, high) < goal:
        low, high = high, high * 2
        if high > 2 * _MOST:
            return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _expected(rules, trial, middle) >= goal else (middle, high)
    return high


def _expected(rules: Rules, trial: Trial, requests: int) -> float:
    """The logarithm of the e-value after so many requests more, failing as they did."""
    total = trial.total
    ours = requests * trial.share * total.candidate_failures / max(1, total.candidate)
    theirs = requests * (1.0 - trial.share) * total.stable_failures / max(1, total.stable)
    better = _scaled(bettered(Wealth(), trial.share, 1, 0, rules.rollout.max_relative_risk), ours)
    worse = _scaled(bettered(Wealth(), trial.share, 0, 1, rules.rollout.max_relative_risk), theirs)
    logs = [_added(trial.better, better, worse)]
    if not rules.by_user:
        highest = rules.rollout.max_failure_rate
        success = _scaled(sounded(Wealth(), 1, 0, highest), requests * trial.share - ours)
        failure = _scaled(sounded(Wealth(), 0, 1, highest), ours)
        logs.append(_added(trial.sound, success, failure))
    else:
        logs.append(log_value(trial.sound))
    return log_mean(logs)


def _scaled(wealth: Wealth, times: float) -> list[float]:
    return [log * times for log in wealth.logs]


def _added(wealth: Wealth, *more: list[float]) -> float:
    columns = [list(wealth.logs), *more] if wealth.logs else list(more)
    columns = [column for column in columns if column]
    return log_mean([sum(logs) for logs in zip(*columns, strict=True)]) if columns else 0.0


def _rounded(count: int) -> str:
    digits = max(0, len(str(count)) - 2)
    return f"{round(count, -digits):,}"


def _minutes(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 1 else "less than a minute"
