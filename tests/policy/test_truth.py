"""What later truth says of answers."""

from __future__ import annotations

import math
import random
from functools import reduce
from typing import Any

import pytest
from scipy.stats import t as student

from pipelines.errors import BadInput
from pipelines.policy.answers import Said, said_of_truth
from pipelines.policy.comparing import wilson
from pipelines.policy.truth import Marked, Tally, mark, quality
from pipelines.values.labels import LONGEST_ID, Taken, Truth, read_label


@pytest.mark.parametrize(
    ("written", "means"),
    [
        (3, (3.0,)),
        ("3", (3.0,)),
        (" 3.0 ", (3.0,)),
        ("007", ("007",)),
        ("bad", ("bad",)),
        (True, ("true",)),
        ("True", ("true",)),
        ([3, "bad"], (3.0, "bad")),
        (2**53 + 1, (str(2**53 + 1),)),
        ("1e999", None),
    ],
)
def test_the_same_truth_is_the_same_however_it_is_written(written: Any, means: tuple[Truth, ...] | None) -> None:
    """So that a label by HTTP and one from a table of texts do not contradict each other."""
    if means is None:
        assert read_label("a", written).rows == (written,)
    else:
        assert read_label("a", written).rows == means


@pytest.mark.parametrize(
    ("key", "label", "says"),
    [
        ("", 1, "the request id is ''"),
        (7, 1, "the request id is 7"),
        (None, 1, "the request id is null"),
        ("x" * (LONGEST_ID + 1), 1, "at most 128"),
        ("a", None, "the label is null"),
        ("a", "", "the label is ''"),
        ("a", [], "a list of 0"),
        ("a", [1, None], "the label is null"),
        ("a", [[1]], r"the label is \[1\]"),
        ("a", {"label": 1}, "the label is {"),
        ("a", float("nan"), "the label is nan"),
        ("a", "x" * 201, "at most 200"),
    ],
)
def test_what_is_no_label_is_refused(key: Any, label: Any, says: str) -> None:
    """With what came; nobody's typing error becomes a class."""
    with pytest.raises(BadInput, match=says):
        read_label(key, label)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ([0.1, 0.7, 0.2], "1"),
        (3, "3"),
        ([3], "3"),
        ({"label": 3, "probabilities": [0.1, 0.9]}, "3"),
        (3.0, 3.0),
        ({"price": [2.5]}, 2.5),
        (True, "true"),
        ("bad", "bad"),
        (None, None),
    ],
)
def test_a_whole_number_is_a_class(output: Any, says: Said | None) -> None:
    """JSON writes a class 3 and a measurement 3.0 in different ways, and a right class is no error of 0."""
    assert said_of_truth(output) == says


@pytest.mark.parametrize(
    ("said", "truth", "found"),
    [
        ("3", 3.0, Marked(is_wrong=False, error=None)),
        ("3", 5.0, Marked(is_wrong=True, error=None)),
        ("bad", "bad", Marked(is_wrong=False, error=None)),
        ("bad", "good", Marked(is_wrong=True, error=None)),
        ("true", "true", Marked(is_wrong=False, error=None)),
        ("true", 1.0, Marked(is_wrong=False, error=None)),
        ("0", "true", Marked(is_wrong=True, error=None)),
        (0.75, 1.0, Marked(is_wrong=None, error=0.25)),
        (0.75, "false", Marked(is_wrong=None, error=0.75)),
        ("3", "three", None),
        ("bad", 1.0, None),
        (0.75, "good", None),
    ],
)
def test_an_answer_is_compared_with_its_truth(said: Said, truth: Truth, found: Marked | None) -> None:
    """Names with names, numbers with numbers; a name for a number is a mistake of the labels, not of the model."""
    assert mark(said, truth) == found


def tally(*requests: tuple[int, float], is_classes: bool = True) -> Tally:
    """Of requests, each with its rows and its faults."""
    return reduce(lambda known, one: known.plus(*one), requests, Tally(is_classes))


def test_single_rows_have_wilsons_interval() -> None:
    """The textbook's case is the textbook's formula."""
    found = quality(tally(*[(1, 1.0)] * 7, *[(1, 0.0)] * 93))
    share = wilson(93, 100)
    assert (found.kind, found.requests, found.rows, found.wrong) == ("accuracy", 100, 100, 7)
    assert (found.value, found.low, found.high) == pytest.approx((share.value, share.low, share.high))


def test_rows_of_one_request_are_not_so_many_trials() -> None:
    """Ten requests whose hundred rows are all right or all wrong tell as much as ten rows."""
    alike = quality(tally(*[(100, 100.0)] * 2, *[(100, 0.0)] * 8))
    single = quality(tally(*[(1, 1.0)] * 2, *[(1, 0.0)] * 8))
    assert (alike.value, alike.low, alike.high) == pytest.approx((single.value, single.low, single.high))


def test_nothing_wrong_is_not_certainty() -> None:
    """Five right answers leave room for many wrong ones."""
    found = quality(tally(*[(20, 0.0)] * 5))
    assert found.value == 1.0
    assert found.low == pytest.approx(wilson(5, 5).low)


def test_a_mean_error_has_students_interval() -> None:
    """And none from too few requests."""
    errors = [0.5, 1.0, 0.0, 2.0, 1.5, 1.0]
    found = quality(tally(*[(1, error) for error in errors], is_classes=False))
    assert (found.kind, found.value, found.wrong) == ("mean_error", 1.0, None)
    spread = math.sqrt(sum((error - 1.0) ** 2 for error in errors) / 5 / 6)
    assert found.high == pytest.approx(1.0 + student.ppf(0.975, 5) * spread, rel=0.002)
    assert quality(tally((1, 0.5), (1, 0.7), is_classes=False)).low is None


def test_the_interval_covers_the_truth_where_requests_have_many_rows() -> None:
    """Of 600 models with an accuracy of 0.9, whose requests are easy or hard, at least 93 % lie in their intervals."""
    drawn, covered = random.Random(5), 0  # noqa: S311 - a simulation
    for _ in range(600):
        requests = []
        for _ in range(200):
            rows, share = drawn.randint(1, 9), drawn.choice([0.0, 0.0, 0.3])
            requests.append((rows, float(sum(drawn.random() < share for _ in range(rows)))))
        found = quality(tally(*requests))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.9 <= found.high
    assert covered >= 0.93 * 600


def test_what_became_of_labels_adds_up() -> None:
    """Two batches are one; a few examples are enough."""
    both = Taken(1, 2, examples=("a",)).plus(Taken(10, 0, 3, examples=("b", "c", "d", "e", "f")))
    assert (both.joined, both.waiting, both.not_captured, both.received) == (11, 2, 3, 16)
    assert both.examples == ("a", "b", "c", "d", "e")
