"""Traffic of many simulated rollouts: who was chosen, and who failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Rates = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures by the look at which they are seen, each of shape (runs, looks)."""

    candidate: Counts
    stable: Counts


@dataclass(frozen=True, slots=True)
class Traffic:
    """Rollouts of the same plan with different luck.

    Args:
        share: The candidate's share while a request is routed, by look, shape (looks,).
        candidate: Trials of the candidate, shape (runs, looks): requests, or users where a user is a trial.
        stable: Trials of the stable version.
        failures: By the share with which the request was routed; a late failure comes at a later look.
    """

    share: Rates
    candidate: Counts
    stable: Counts
    failures: Mapping[float, Failures]

    @property
    def requests(self) -> Counts:
        """Trials of both versions until each look, shape (runs, looks)."""
        together: Counts = np.cumsum(self.candidate + self.stable, axis=1)
        return together

    def failed(self) -> Failures:
        """The failures whatever the share was."""
        parts = list(self.failures.values())
        return Failures(
            np.sum([part.candidate for part in parts], axis=0), np.sum([part.stable for part in parts], axis=0)
        )


def steady(rate: float, looks: int) -> Rates:
    """A failure rate that stays."""
    return np.full(looks, rate)


def swinging(rate: float, looks: int, *, by: float = 0.9, times: float = 3.0) -> Rates:
    """A rate that swings by `by` of itself, `times` times over all looks."""
    return rate * (1.0 + by * np.sin(np.linspace(0.0, 2.0 * np.pi * times, looks)))


def changing(looks: int, *shares: float) -> Rates:
    """A share that changes at even distances."""
    return np.repeat(np.array(shares, dtype=float), -(-looks // len(shares)))[:looks]


def simulate(
    random: np.random.Generator, runs: int, per_look: int, share: Rates, stable_rate: Rates, candidate_rate: Rates
) -> Traffic:
    """Requests that are routed one by one, each failing by itself.

    Args:
        random: Where luck comes from.
        runs: How many rollouts.
        per_look: Requests between two looks.
        share: The candidate's share by look, shape (looks,).
        stable_rate: How often the stable version fails, by look.
        candidate_rate: How often the candidate does.
    """
    looks = len(share)
    candidate = random.binomial(per_look, share, size=(runs, looks))
    stable = per_look - candidate
    failed = Failures(random.binomial(candidate, candidate_rate), random.binomial(stable, stable_rate))
    return Traffic(share, candidate, stable, _by_share(share, failed))


def delayed(random: np.random.Generator, traffic: Traffic, most: int) -> Traffic:
    """The same traffic, with each failure seen up to `most` looks later than it was routed."""
    late = {
        share: Failures(_late(random, failed.candidate, most), _late(random, failed.stable, most))
        for share, failed in traffic.failures.items()
    }
    return Traffic(traffic.share, traffic.candidate, traffic.stable, late)


def judged_late(traffic: Traffic) -> Traffic:
    """The same failures, taken for ones that were routed with the share in force when they are seen: a mistake."""
    return Traffic(traffic.share, traffic.candidate, traffic.stable, _by_share(traffic.share, traffic.failed()))


def clustered(
    random: np.random.Generator,
    runs: int,
    users: int,
    share: Rates,
    bad: float,
    bad_rate: float,
    rate: float,
    *,
    once: bool = True,
    relative_risk: float = 1.0,
) -> Traffic:
    """Users who stay with their version, some of whom fail far more often than others.

    Each user comes some time in the first half and makes a request between any two looks from then on. The candidate
    gets those whose number, drawn once, lies below its share.

    Args:
        random: Where luck comes from.
        runs: How many rollouts.
        users: In each.
        share: The candidate's share by look, shape (looks,), not falling.
        bad: The share of users that fail often.
        bad_rate: How often these do, by look.
        rate: How often the others do.
        once: Whether a user's failure counts once; else each counts.
        relative_risk: How many times as often one fails at the candidate.
    """
    looks = len(share)
    number, comes = random.random((runs, users)), random.integers(0, looks // 2 + 1, (runs, users))
    rates = np.where(random.random((runs, users)) < bad, bad_rate, rate)
    counts = np.zeros((4, runs, looks), dtype=np.int64)
    counted, known = np.zeros((runs, users), dtype=bool), np.zeros((runs, users), dtype=bool)
    for look in range(looks):
        here, ours = comes <= look, number < share[look]
        fails = here & (random.random((runs, users)) < np.where(ours, relative_risk * rates, rates))
        if once:
            fails &= ~counted
            counted |= fails
        new = here & ours & ~known
        known |= new
        for index, part in enumerate((new, (comes == look) & ~ours, fails & ours, fails & ~ours)):
            counts[index, :, look] = part.sum(axis=1)
    return Traffic(share, counts[0], counts[1], _by_share(share, Failures(counts[2], counts[3])))


def _by_share(share: Rates, failed: Failures) -> dict[float, Failures]:
    return {
        float(each): Failures(failed.candidate * (share == each), failed.stable * (share == each))
        for each in np.unique(share)
    }


def _late(random: np.random.Generator, counts: Counts, most: int) -> Counts:
    """Each count spread over the looks that follow; what would come after the last one is never seen."""
    later = np.zeros_like(counts)
    looks = counts.shape[1]
    spread = random.multinomial(counts, np.full(most + 1, 1.0 / (most + 1)))
    for delay in range(most + 1):
        later[:, delay:] += spread[:, : looks - delay, delay]
    return later
