"""The benchmark of what being watched costs: what its table says."""

from __future__ import annotations

import pytest

from benchmarks.load import Sample
from benchmarks.visit import CONNECTIONS
from benchmarks.watched import COUNTED, JUDGED, KEPT, PLAIN, Watched, lost, page


def _watched(*rates: float) -> Watched:
    samples = {count: [Sample(count, rate, 0.1, 0.2, 0) for rate in rates] for count in CONNECTIONS}
    return Watched(samples=samples, cpu={count: [1e6 / rate for rate in rates] for count in CONNECTIONS})


def test_the_cost_is_the_median_of_the_starts() -> None:
    """Each start is compared with itself: the machine is never equally quiet."""
    cost = lost(_watched(90.0, 45.0, 10.0), _watched(100.0, 50.0, 100.0), CONNECTIONS[0])
    assert (cost.median, cost.low, cost.high) == pytest.approx((0.1, 0.1, 0.9))


def test_its_interval_is_that_of_the_order_statistics() -> None:
    """Of thirty values the 10th and the 21st hold the median between them in 95.7 % of all cases."""
    rates = [100.0 - step for step in range(30)]
    cost = lost(_watched(*rates), _watched(*[100.0] * 30), CONNECTIONS[0])
    assert (cost.median, cost.low, cost.high) == pytest.approx((0.145, 0.09, 0.20))


def test_what_costs_too_much_is_said() -> None:
    """The aim is named, and where it was missed, and where the interval does not say."""
    plain, kept = _watched(1000.0), _watched(940.0)
    text = page({PLAIN: plain, COUNTED: _watched(990.0), KEPT: kept, JUDGED: _watched(900.0)}, 7, busy=55)
    assert "| 1 | 1,000 | 990 | 940 | 900 | 6.0% (6.0% to 6.0%) | 10.0% (10.0% to 10.0%) |" in text
    assert "took 1000.0, 1010.1, 1063.8, 1111.1 microseconds" in text
    assert "55 %" in text
    assert "missed at 1 and 16 and 64." in text
    assert "second): met." in page({PLAIN: plain, COUNTED: plain, KEPT: _watched(960.0), JUDGED: kept}, 7, busy=1)
    apart, pair = _watched(960.0, 940.0), _watched(1000.0, 1000.0)
    assert "cannot be told at 1 and 16 and 64." in page({PLAIN: pair, COUNTED: pair, KEPT: apart, JUDGED: apart}, 7, 1)
