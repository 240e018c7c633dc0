"""Rates, shares and quantiles out of counters that were looked at now and then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from pipelines.values.figures import Cell, Counted, Look

NOTHING = Counted()


def cells(looks: Sequence[Look], ref: str, edges: Sequence[float]) -> list[Cell]:
    """What happened to a version between each two neighbouring `edges`.

    What is counted between two looks is spread evenly over the time between them, so that it does not matter how often
    somebody looked.

    Args:
        looks: The oldest first.
        ref: The version.
        edges: Moments, rising, of the looks' clock.
    """
    seconds = [0.0] * (len(edges) - 1)
    requests, failures = list(seconds), list(seconds)
    spent: list[dict[float, float]] = [{} for _ in seconds]
    for before, after in pairwise(looks):
        if ref not in before.versions and ref not in after.versions:
            continue
        grown = increase(before.versions.get(ref), after.versions.get(ref))
        for number, (left, right) in enumerate(pairwise(edges)):
            overlap = min(right, after.at) - max(left, before.at)
            if overlap <= 0:
                continue
            share = overlap / (after.at - before.at)
            seconds[number] += overlap
            requests[number] += grown.requests * share
            failures[number] += grown.failures * share
            for bound, count in grown.seconds.items():
                spent[number][bound] = spent[number].get(bound, 0.0) + count * share
    return [
        Cell(length, Counted(asked, failed, times))
        for length, asked, failed, times in zip(seconds, requests, failures, spent, strict=True)
    ]


def increase(before: Counted | None, after: Counted | None) -> Counted:
    """What was counted between two looks: a version that was not there has begun at 0, and so has one that fell."""
    if after is None:
        return NOTHING
    if before is None or after.requests < before.requests:
        return after
    return Counted(
        after.requests - before.requests,
        max(0.0, after.failures - before.failures),
        {bound: max(0.0, count - before.seconds.get(bound, 0.0)) for bound, count in after.seconds.items()},
    )


def quantile(seconds: Mapping[float, float], share: float) -> float | None:
    """The time that `share` of the requests stayed within, in seconds; None without a request.

    Within a bucket the requests are taken to be spread evenly, as Prometheus does; beyond the last bound it is that
    bound.

    Args:
        seconds: Requests by the upper bound of their bucket.
        share: From 0 to 1.
    """
    total = sum(seconds.values())
    if total <= 0:
        return None
    wanted, below, lower = share * total, 0.0, 0.0
    for bound in sorted(seconds):
        count = seconds[bound]
        if count and below + count >= wanted:
            return lower if bound == float("inf") else lower + (bound - lower) * max(0.0, wanted - below) / count
        below += count
        lower = bound if bound != float("inf") else lower
    return lower


def thinned(looks: Sequence[Look], now: float, *, recent: float, apart: float, oldest: float) -> list[Look]:
    """The looks worth keeping: all recent ones, and of the older ones those that lie `apart` seconds.

    Args:
        looks: The oldest first.
        now: The present moment.
        recent: Seconds within which every look is kept.
        apart: Seconds between two older ones.
        oldest: Seconds after which none is kept.
    """
    kept: list[Look] = []
    for look in looks:
        age = now - look.at
        is_needed = not kept or look.at - kept[-1].at >= apart
        if age <= oldest and (age <= recent or is_needed):
            kept.append(look)
    return kept
