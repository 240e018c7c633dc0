"""Where two versions that answered the same rows disagree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipelines.policy.answers import confidence, said
from pipelines.policy.comparing import Pair, disagreement, wilson


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ([0.1, 0.7, 0.2], "1"),
        ([3.5], 3.5),
        (7, 7.0),
        (True, "true"),
        ("skilled", "skilled"),
        ({"label": "bad", "probabilities": [0.9, 0.1]}, "bad"),
        ({"probabilities": [0.9, 0.1]}, "0"),
        ({"price": 12}, 12.0),
        ([[0.1, 0.9]], "1"),
        ([], None),
        (None, None),
        ({}, None),
        ([[1, 2], [3, 4]], None),
        (float("nan"), None),
    ],
)
def test_what_an_output_says(output: Any, says: str | float | None) -> None:
    """A class by its name or place, a number, or nothing that could be compared."""
    assert said(output) == says


@pytest.mark.parametrize(
    ("output", "sure"),
    [([0.1, 0.7, 0.2], 0.7), ({"probabilities": [0.25, 0.75]}, 0.75), ([2.0, 3.0], None), ([1.0], None), ("a", None)],
)
def test_how_sure_a_model_is(output: Any, sure: float | None) -> None:
    """Only probabilities tell: scores that do not sum to 1 are none."""
    assert confidence(output) == sure


@given(st.integers(0, 40), st.integers(1, 40))
def test_the_interval_of_a_share_is_wilson_s(count: int, more: int) -> None:
    """As scipy has it, at both ends too."""
    total = count + more
    expected = binomtest(count, total).proportion_ci(method="wilson")
    found = wilson(count, total)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_is_known_of_no_rows() -> None:
    """The interval is all there is, and no division fails."""
    assert (wilson(0, 0).value, wilson(0, 0).low, wilson(0, 0).high) == (0.0, 0.0, 1.0)


def test_classes_disagree_when_they_differ() -> None:
    """The rows that do are named, in their order."""
    pairs = [Pair(f"r{number}", 0, None, "1", "7" if number in (2, 5) else "1") for number in range(10)]
    found = disagreement(pairs)
    assert (found.disagree.count, found.disagree.total) == (2, 10)
    assert [pair.request_id for pair in found.pairs] == ["r2", "r5"]
    assert found.difference is None


def test_numbers_disagree_beyond_the_tolerance() -> None:
    """A hundredth of the left version's spread unless another is given; the mean difference is told."""
    pairs = [Pair(f"r{number}", 0, None, float(number), number + (0.5 if number % 2 else 3.0)) for number in range(100)]
    found = disagreement(pairs)
    assert found.tolerance == pytest.approx(0.89)
    assert found.disagree.count == 50
    assert found.difference == pytest.approx(1.75)
    assert disagreement(pairs, 0.1).disagree.count == 100
    assert disagreement(pairs, 5.0).disagree.count == 0


def test_a_class_and_a_number_disagree() -> None:
    """The answers have another form: that is a difference, and no error."""
    assert disagreement([Pair("r", 0, None, "3", 3.0)]).disagree.count == 1


def test_the_slice_where_they_disagree_comes_first() -> None:
    """By category, and by quarter where a column has many numbers."""
    rows = [
        ({"job": "skilled" if n % 2 else "none", "age": 20 + n}, "good", "bad" if n >= 75 else "good")
        for n in range(100)
    ]
    found = disagreement([Pair(f"r{n}", 0, inputs, left, right) for n, (inputs, left, right) in enumerate(rows)])
    first = found.slices[0]
    assert (first.column, first.kind, first.disagree.count, first.disagree.total) == ("age", "from 95", 25, 25)
    assert {one.kind for one in found.slices if one.column == "job"} == {"skilled", "none"}
    assert sum(one.disagree.total for one in found.slices if one.column == "age") == 100


def test_rows_without_names_are_sliced_by_what_is_predicted() -> None:
    """Of an image there is nothing else that a person could read."""
    pairs = [Pair(f"r{n}", 0, [[1.0]], str(n % 2), "1") for n in range(10)]
    assert [(one.column, one.kind, one.disagree.count) for one in disagreement(pairs).slices] == [
        ("predicted", "0", 5),
        ("predicted", "1", 0),
    ]


def test_rare_values_and_missing_ones_are_slices_of_their_own() -> None:
    """The eight most frequent words, all others together, and rows without a value."""
    words = [f"w{n}" for n in range(8) for _ in range(3)] + ["x", "y", None]
    pairs = [Pair(f"r{n}", 0, {"word": word}, "a", "a") for n, word in enumerate(words)]
    kinds = {one.kind: one.disagree.total for one in disagreement(pairs).slices}
    assert kinds == {**{f"w{n}": 3 for n in range(8)}, "others": 2, "missing": 1}
