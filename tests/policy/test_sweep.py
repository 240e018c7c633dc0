"""Which runs a sweep has, and which is the best."""

from __future__ import annotations

import math

import pytest

from pipelines.errors import BadInput
from pipelines.policy.sharing import fits
from pipelines.policy.sweep import MOST_RUNS, best, direction, drawn, grid, listed
from pipelines.values.sweeps import RunStatus, SweepRun


def test_a_grid_has_every_combination() -> None:
    """The last parameter varies fastest."""
    assert grid({"a": ["1", "2"], "b": ["x", "y"]}) == [
        {"a": "1", "b": "x"},
        {"a": "1", "b": "y"},
        {"a": "2", "b": "x"},
        {"a": "2", "b": "y"},
    ]


@pytest.mark.parametrize("options", [{}, {"a": []}, {"a": ["1"], "b": []}])
def test_an_empty_grid_is_refused(options: dict[str, list[str]]) -> None:
    """No parameter, or one without values."""
    with pytest.raises(BadInput):
        grid(options)
    with pytest.raises(BadInput):
        drawn(options, 3, 0)


def test_a_million_combinations_are_refused_with_their_number() -> None:
    """And they are not made for that."""
    with pytest.raises(BadInput, match="1,000,000 runs"):
        grid({"a": ["1"] * 1000, "b": ["1"] * 1000})
    with pytest.raises(BadInput, match="1,001 runs"):
        drawn({"a": ["0..1"]}, MOST_RUNS + 1, 0)
    with pytest.raises(BadInput, match="1,001 runs"):
        listed([{"a": "1"}] * (MOST_RUNS + 1), "runs.csv")


def test_some_of_a_million_are_drawn_without_making_them() -> None:
    """None of them twice, each a combination of the grid, the same ones for the same seed."""
    options = {name: [str(number) for number in range(100)] for name in "abcdef"}
    first = drawn(options, 20, 7)
    assert first == drawn(options, 20, 7)
    assert first != drawn(options, 20, 8)
    assert len({tuple(run.items()) for run in first}) == 20
    assert all(list(run) == list("abcdef") and run["f"] in options["f"] for run in first)


def test_no_more_are_drawn_than_there_are() -> None:
    """All of a small grid, in its order."""
    options = {"a": ["1", "2"], "b": ["x", "y"]}
    assert drawn(options, 99, 3) == grid(options)


def test_ranges_keep_their_kind_and_ends() -> None:
    """Whole numbers between whole ends, others in between, and evenly on the logarithmic scale when asked to."""
    runs = drawn({"epochs": ["4..8"], "rate": ["0.001..0.1:log"], "drop": ["0.0..0.5"]}, 400, 1)
    assert {int(run["epochs"]) for run in runs} == {4, 5, 6, 7, 8}
    rates = [float(run["rate"]) for run in runs]
    assert min(rates) >= 0.001
    assert max(rates) <= 0.1
    below = sum(rate < 0.01 for rate in rates)
    assert 150 < below < 250
    assert all(0 <= float(run["drop"]) <= 0.5 for run in runs)


@pytest.mark.parametrize("text", ["0.1..0.01", "1..1", "0..1:log", "-1..1:log"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    """It must rise, and begin above 0 on a logarithmic scale."""
    with pytest.raises(BadInput, match="range"):
        drawn({"a": [text]}, 2, 0)


def test_a_grid_takes_no_range() -> None:
    """It would have no end; the message names --random. A text with dots in it is no range."""
    with pytest.raises(BadInput, match="--random"):
        grid({"a": ["0.1..0.5"]})
    assert grid({"path": ["../data"]}) == [{"path": "../data"}]


@pytest.mark.parametrize(
    ("metric", "said", "expected"),
    [
        ("accuracy", None, "higher"),
        ("val_accuracy", None, "higher"),
        ("val_loss", None, "lower"),
        ("loss", "lower", "lower"),
        ("rmse_price", None, "lower"),
        ("zork", "higher", "higher"),
    ],
)
def test_the_direction_is_known_or_said(metric: str, said: str | None, expected: str) -> None:
    """Of the usual metrics it is known, also with the stage in front."""
    assert direction(metric, said) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(("metric", "said"), [("zork", None), ("accuracy", "lower"), ("val_loss", "higher")])
def test_a_direction_is_not_guessed_nor_turned_around(metric: str, said: str | None) -> None:
    """Nobody says it, or the person says the contrary of what is so."""
    with pytest.raises(BadInput, match="better"):
        direction(metric, said)  # type: ignore[arg-type]


def run(number: int, value: float | None, status: RunStatus = RunStatus.DONE) -> SweepRun:
    """A run with that value."""
    return SweepRun(number, {}, status, f"digits@{number}", value)


def test_the_best_is_finite_and_the_first_of_equals() -> None:
    """NaN, nothing and a run that is not through are never the best."""
    runs = [run(1, math.nan), run(2, 0.9), run(3, 0.9), run(4, None), run(5, 1.0, RunStatus.RUNNING), run(6, math.inf)]
    assert best(runs, "higher") == runs[1]
    assert best([*runs, run(7, 0.1)], "lower") == run(7, 0.1)
    assert best(runs[:1], "lower") is None


def test_room_is_promised_to_those_that_still_grow() -> None:
    """Two runs have begun and taken 100 MB of 1000 each: their 1800 MB are not free any more."""
    assert not fits(1000, [100, 100], 3200, reserve_mb=500)
    assert fits(1000, [100, 100], 3300, reserve_mb=500)
    assert fits(1000, [1200], 1500, reserve_mb=500)
    assert fits(1000, [], 0)
