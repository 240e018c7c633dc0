"""The benchmark of what being watched costs: what its table says."""

from __future__ import annotations

from benchmarks.load import Sample
from benchmarks.visit import CONNECTIONS
from benchmarks.watched import COUNTED, KEPT, PLAIN, Watched, lost, page


def _watched(*rates: float) -> Watched:
    samples = {count: [Sample(count, rate, 0.1, 0.2, 0) for rate in rates] for count in CONNECTIONS}
    return Watched("", 0, samples, {count: [1e6 / rate for rate in rates] for count in CONNECTIONS})


def test_the_cost_is_the_median_of_the_rounds() -> None:
    """Each round is compared with itself: the machine is never equally quiet."""
    assert lost(_watched(90.0, 45.0, 10.0), _watched(100.0, 50.0, 100.0), CONNECTIONS[0]) == 1 - 0.9


def test_what_costs_too_much_is_said() -> None:
    """The aim is named, and where it was missed."""
    plain, kept = _watched(1000.0), _watched(940.0)
    text = page({PLAIN: plain, COUNTED: _watched(990.0), KEPT: kept}, 7, busy=55)
    assert "| 1 | 1,000 | 990 | 940 | 6.0% | 1000.0 / 1010.1 / 1063.8 |" in text
    assert "55 %" in text
    assert "missed: 6.0% at 1, 6.0% at 16, 6.0% at 64" in text
    kept.samples = _watched(960.0).samples
    assert "of them): met" in page({PLAIN: plain, COUNTED: plain, KEPT: kept}, 7, busy=1)
