"""Rates and quantiles out of counters: what is spread, what begins anew, what nobody looked at."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.policy.figures import cells, increase, quantile, thinned
from pipelines.values.figures import Counted, Look

REF = "digits@7"
INF = float("inf")


def looks(*pairs: tuple[float, float]) -> list[Look]:
    """Looks at a version that had so many requests at these moments."""
    return [Look(at, {REF: Counted(requests)}) for at, requests in pairs]


def rates(seen: list[Look], *edges: float) -> list[float | None]:
    """Requests a second between the edges."""
    return [cell.requests_per_second for cell in cells(seen, REF, edges)]


def test_a_count_is_spread_over_the_time_between_two_looks() -> None:
    """100 requests in 10 s are 10 a second in each part of them, however they are cut."""
    assert rates(looks((0, 0), (10, 100)), 0, 3, 4, 10) == [pytest.approx(10.0)] * 3


def test_what_nobody_looked_at_is_unknown_and_not_nothing() -> None:
    """Before the first look there is no rate; a stretch that was half looked at has that half's."""
    assert rates(looks((10, 0), (20, 50)), 0, 5, 15, 20) == [None, pytest.approx(5.0), pytest.approx(5.0)]


def test_no_request_is_a_rate_of_nothing() -> None:
    """Looked at, and idle: 0, and no failed share."""
    (cell,) = cells(looks((0, 7), (10, 7)), REF, (0, 10))
    assert cell.requests_per_second == 0.0
    assert cell.failed_share is None


def test_a_version_that_appears_began_at_nothing() -> None:
    """All it has counted by the second look is new; at the first look of all it is unknown how old it is."""
    seen = [Look(0, {}), Look(10, {REF: Counted(40, 4)})]
    (cell,) = cells(seen, REF, (0, 10))
    assert (cell.counted.requests, cell.counted.failures, cell.failed_share) == (40, 4, 0.1)
    (cell,) = cells(looks((0, 40), (10, 40)), REF, (0, 10))
    assert cell.counted.requests == 0


def test_a_counter_that_falls_has_begun_anew() -> None:
    """A restarted gateway counts from 0: no rate is ever below that."""
    assert increase(Counted(100, 9), Counted(3, 1)) == Counted(3, 1)
    assert rates(looks((0, 100), (10, 30)), 0, 10) == [pytest.approx(3.0)]
    assert increase(Counted(5), None) == Counted()


def test_failures_never_make_more_than_all() -> None:
    """The log of failures may be ahead of the counter of requests by a moment."""
    (cell,) = cells([Look(0, {REF: Counted()}), Look(10, {REF: Counted(2, 3)})], REF, (0, 10))
    assert cell.failed_share == 1.0


def test_quantiles_lie_within_their_bucket() -> None:
    """Spread evenly within it; beyond the last bound there is nothing but that bound."""
    seconds = {0.001: 50.0, 0.01: 50.0, INF: 0.0}
    assert quantile(seconds, 0.25) == pytest.approx(0.0005)
    assert quantile(seconds, 0.5) == pytest.approx(0.001)
    assert quantile(seconds, 0.75) == pytest.approx(0.0055)
    assert quantile({0.001: 0.0, INF: 9.0}, 0.5) == 0.001
    assert quantile({}, 0.5) is None
    assert quantile({0.001: 0.0, INF: 0.0}, 0.5) is None


@given(
    st.dictionaries(st.sampled_from([0.001, 0.01, 0.1, 1.0, INF]), st.floats(0, 1e6), min_size=1),
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
)
def test_quantiles_rise_and_are_finite(seconds: dict[float, float], shares: list[float]) -> None:
    """Whatever was counted: a larger share never lies lower, and no infinity is told."""
    found = [quantile(seconds, share) for share in sorted(shares)]
    if sum(seconds.values()) > 0:
        numbers = [number for number in found if number is not None]
        assert len(numbers) == len(found)
        assert all(math.isfinite(number) for number in numbers)
        assert all(left <= right + 1e-9 for left, right in pairwise(numbers))


def test_old_looks_are_thinned_and_forgotten() -> None:
    """All of the last seconds, one in five of those before, none of yesterday: an open panel never grows."""
    kept: list[Look] = []
    for second in range(1000):
        kept = thinned([*kept, Look(second, {})], second, recent=15, apart=4.5, oldest=300)
    ages = [999 - look.at for look in kept]
    assert ages[-16:] == list(range(15, -1, -1))
    assert max(ages) <= 300
    assert max(ages) >= 290
    assert len(kept) < 80
    assert max(left - right for left, right in pairwise(ages)) <= 6


def test_thinning_changes_no_count() -> None:
    """What was counted in between is still all there."""
    kept: list[Look] = []
    for second in range(200):
        kept = thinned([*kept, *looks((second, second * 10))], second, recent=15, apart=4.5, oldest=300)
    assert rates(kept, 0, 60, 120, 199) == [pytest.approx(10.0)] * 3
