"""Judges of simulated rollouts: ours, written for many rollouts at once, and what people use instead.

Ours takes its bets from `pipelines.policy.evidence`; a test holds it to the same numbers as the one that runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from benchmarks.canary.traffic import Counts, Rates, Traffic
from pipelines.policy import evidence

Looks = npt.NDArray[np.int64]
NEVER = -1


def harm(traffic: Traffic, alpha: float) -> Looks:
    """The look at which the evidence for harm suffices, by run; NEVER where it does not."""
    return first(log_harm(traffic) >= -math.log(alpha))


def promotion(traffic: Traffic, alpha: float, *, tolerated: float = 2.0, highest: float = 0.01) -> Looks:
    """The look at which the candidate is proved."""
    return first(log_promotion(traffic, tolerated=tolerated, highest=highest) >= -math.log(alpha))


def better(traffic: Traffic, alpha: float, *, tolerated: float = 2.0) -> Looks:
    """The look at which the comparison alone, without the absolute part, would prove the candidate."""
    return first(_compared(traffic, evidence.better_risks(tolerated), tolerated) >= -math.log(alpha))


def log_harm(traffic: Traffic) -> Rates:
    """The logarithm of the e-value for harm after each look, shape (runs, looks)."""
    return _compared(traffic, evidence.HARM, 1.0)


def log_promotion(traffic: Traffic, *, tolerated: float = 2.0, highest: float = 0.01) -> Rates:
    """The logarithm of the e-value for promotion after each look."""
    better = _compared(traffic, evidence.better_risks(tolerated), tolerated)
    rates = np.array(evidence.sound_rates(highest))[:, None, None]
    failed = np.cumsum(traffic.failed().candidate, axis=1)
    succeeded = np.maximum(np.cumsum(traffic.candidate, axis=1) - failed, 0)
    sound = _log_mean(failed * np.log(rates / highest) + succeeded * np.log((1.0 - rates) / (1.0 - highest)))
    return np.logaddexp(better, sound) - math.log(2.0)


def thresholds(traffic: Traffic, looks: int, *, least: float = 0.99, tolerated: int = 0) -> tuple[Looks, Looks]:
    """Rolled back, and promoted, by a tool that checks each window's success rate.

    Args:
        traffic: What the candidate does.
        looks: A window's length in looks.
        least: The success rate that a window must have.
        tolerated: How many windows may fail it.
    """
    requests, failed = _windows(traffic.candidate, looks), _windows(traffic.failed().candidate, looks)
    bad = np.cumsum((requests > 0) & (requests - failed < least * requests), axis=1)
    rolled_back = first(bad > tolerated)
    last = requests.shape[1] - 1
    promoted = np.where(rolled_back == NEVER, last, NEVER)
    return _in_looks(rolled_back, looks), _in_looks(promoted, looks)


def repeated_z(traffic: Traffic, looks: int, *, alpha: float = 0.05) -> Looks:
    """Rolled back by a test of two proportions on all requests so far, done again after each window."""
    ours, theirs = (np.cumsum(_windows(part, looks), axis=1) for part in (traffic.candidate, traffic.stable))
    failed = traffic.failed()
    our_failures, their_failures = (
        np.cumsum(_windows(part, looks), axis=1) for part in (failed.candidate, failed.stable)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (our_failures + their_failures) / (ours + theirs)
        error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / ours + 1.0 / theirs))
        z = (our_failures / ours - their_failures / theirs) / error
    return _in_looks(first(np.nan_to_num(z, nan=0.0, posinf=0.0) > norm.isf(alpha)), looks)


def first(reached: npt.NDArray[np.bool_]) -> Looks:
    """The first look at which each run has reached it; NEVER for none."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1), NEVER)


def share_of(looks: Looks) -> float:
    """How many of the runs came to it."""
    return float(np.mean(looks != NEVER))


def within(alpha: float, runs: int) -> float:
    """What a true probability of `alpha` stays below in so many runs: three standard errors more."""
    return alpha + 3.0 * math.sqrt(alpha * (1.0 - alpha) / runs)


def _compared(traffic: Traffic, risks: Sequence[float], null: float) -> Rates:
    logs = np.zeros((len(risks), *traffic.candidate.shape))
    for share, failed in traffic.failures.items():
        chances = [evidence.chance(risk, share) for risk in risks]
        expected = evidence.chance(null, share)
        ours = np.log(np.array(chances) / expected)[:, None, None]
        theirs = np.log((1.0 - np.array(chances)) / (1.0 - expected))[:, None, None]
        logs += ours * failed.candidate + theirs * failed.stable
    return _log_mean(np.cumsum(logs, axis=2))


def _log_mean(logs: Rates) -> Rates:
    highest = logs.max(axis=0)
    found: Rates = highest + np.log(np.mean(np.exp(logs - highest), axis=0))
    return found


def _windows(counts: Counts, looks: int) -> Counts:
    """Sums over windows of so many looks, shape (runs, windows)."""
    whole = counts.shape[1] // looks * looks
    summed: Counts = counts[:, :whole].reshape(len(counts), -1, looks).sum(axis=2)
    return summed


def _in_looks(windows: Looks, looks: int) -> Looks:
    return np.where(windows == NEVER, NEVER, (windows + 1) * looks - 1)
