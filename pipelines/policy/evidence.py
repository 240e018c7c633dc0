"""Evidence by betting: tests that may be looked at after every event without being fooled by it.

Bettors start with a stake of 1 in all and bet against a hypothesis. Where the hypothesis holds, no bet gains on the
average, whatever was seen before: their mean wealth is a supermartingale, and by Ville's inequality it ever reaches
1/alpha with a probability of at most alpha. Their mean wealth is called the e-value.

What is bet on is whose the next fault is. If the candidate has `risk` times as many faults as the stable version, a
fault is the candidate's with probability risk * share / (risk * share + 1 - share), however frequent faults are at
that hour. Close relatives: M. Lindon and A. Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022
(arXiv 2011.03567).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pipelines.values.evidence import Wealth


def spaced(low: float, high: float, count: int) -> tuple[float, ...]:
    """`count` numbers from `low` to `high`, each the same multiple of the one before."""
    return tuple(low * (high / low) ** (index / (count - 1)) for index in range(count))


HARM = spaced(1.25, 30.0, 24)
"""How many times as many faults the bettors for harm believe in, as multiples of what is tolerated."""

_HIGHEST_RATE = 0.99


def chance(risk: float, share: float) -> float:
    """The probability that a fault is the candidate's.

    Args:
        risk: How many times as often as the stable version it has one.
        share: Its share of the traffic.
    """
    return risk * share / (risk * share + 1.0 - share)


def harmed(wealth: Wealth, share: float, candidate: int, stable: int, tolerated: float = 1.0) -> Wealth:
    """Against "the candidate has at most `tolerated` times as many faults as the stable version", after more faults.

    Args:
        wealth: The e-process so far.
        share: The candidate's share when these requests were routed.
        candidate: Faults that were the candidate's.
        stable: Faults that were the stable version's.
        tolerated: The relative risk that is no harm.
    """
    return _bet(wealth, [tolerated * risk for risk in HARM], tolerated, share, candidate, stable)


def bettered(wealth: Wealth, share: float, candidate: int, stable: int, tolerated: float) -> Wealth:
    """Against "the candidate has at least `tolerated` times as many faults", after more of them."""
    return _bet(wealth, better_risks(tolerated), tolerated, share, candidate, stable)


def sounded(wealth: Wealth, successes: int, failures: int, highest: float) -> Wealth:
    """Against "each trial of the candidate fails with a probability of at least `highest`", after more trials."""
    return _bet_on_rate(wealth, sound_rates(highest), highest, successes, failures)


def breaking(wealth: Wealth, successes: int, failures: int, highest: float) -> Wealth:
    """Against "each trial of the candidate fails with a probability of at most `highest`", after more trials."""
    rates = broken_rates(highest)
    return _bet_on_rate(wealth, rates, highest, successes, failures) if rates else wealth


def better_risks(tolerated: float) -> tuple[float, ...]:
    """The relative risks that those believe in who bet on a candidate below the tolerated one."""
    return spaced(0.2, 0.95 * tolerated, 16)


def sound_rates(highest: float) -> tuple[float, ...]:
    """The failure rates that those believe in who bet on a candidate below the highest tolerated one."""
    return spaced(0.001 * highest, 0.5 * highest, 16)


def broken_rates(highest: float) -> tuple[float, ...]:
    """The rates that those believe in who bet on a candidate above the highest tolerated one; none above 99 %."""
    lowest = HARM[0] * highest
    return spaced(lowest, min(HARM[-1] * highest, _HIGHEST_RATE), 16) if lowest < _HIGHEST_RATE else ()


def log_value(wealth: Wealth) -> float:
    """The logarithm of the e-value: of the bettors' mean wealth."""
    return log_mean(wealth.logs) if wealth.logs else 0.0


def log_mean(logs: Sequence[float]) -> float:
    """The logarithm of the mean of numbers that are given by their logarithms."""
    highest = max(logs)
    return highest + math.log(sum(math.exp(log - highest) for log in logs) / len(logs))


def grown(wealth: Wealth, logs: tuple[float, ...], candidate: int, stable: int) -> Wealth:
    """The e-process with its bettors' wealth replaced."""
    return Wealth(
        logs=logs,
        peak=max(wealth.peak, log_mean(logs)),
        candidate=wealth.candidate + candidate,
        stable=wealth.stable + stable,
    )


def _bet(wealth: Wealth, risks: Sequence[float], null: float, share: float, candidate: int, stable: int) -> Wealth:
    if not candidate + stable:
        return wealth
    if not 0 < share < 1:
        # Who could have failed was certain: that somebody did says nothing.
        return replace(wealth, candidate=wealth.candidate + candidate, stable=wealth.stable + stable)
    expected = chance(null, share)
    logs = tuple(
        log
        + candidate * math.log(chance(risk, share) / expected)
        + stable * math.log((1.0 - chance(risk, share)) / (1.0 - expected))
        for log, risk in zip(wealth.logs or (0.0,) * len(risks), risks, strict=True)
    )
    return grown(wealth, logs, candidate, stable)


def _bet_on_rate(wealth: Wealth, rates: Sequence[float], null: float, successes: int, failures: int) -> Wealth:
    if not successes and not failures:
        return wealth
    logs = tuple(
        log + failures * math.log(rate / null) + successes * math.log((1.0 - rate) / (1.0 - null))
        for log, rate in zip(wealth.logs or (0.0,) * len(rates), rates, strict=True)
    )
    return grown(wealth, logs, failures, 0)
