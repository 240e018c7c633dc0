"""The gates: each boundary, what is never passed, and what a person is told."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.policy.gates import judge, judge_serving
from pipelines.values import (
    Comparison,
    Gates,
    ServingGates,
    ServingMeasure,
    Threshold,
    Verdict,
)
from tests.policy.judged import NEW, OLD, evidence, find, threshold


@pytest.mark.parametrize(
    ("low", "high", "seen", "verdict"),
    [
        (0.9, None, 0.9, Verdict.PASS),
        (0.9, None, 0.91, Verdict.PASS),
        (0.9, None, math.nextafter(0.9, 0), Verdict.FAIL),
        (None, 0.5, 0.5, Verdict.PASS),
        (None, 0.5, math.nextafter(0.5, 1), Verdict.FAIL),
        (0.2, 0.4, 0.2, Verdict.PASS),
        (0.2, 0.4, 0.4, Verdict.PASS),
        (0.2, 0.4, 0.1, Verdict.FAIL),
        (0.2, 0.4, 0.5, Verdict.FAIL),
        (0.3, 0.3, 0.3, Verdict.PASS),
        (0.9, None, math.nan, Verdict.FAIL),
        (0.9, None, math.inf, Verdict.FAIL),
        (None, 0.5, -math.inf, Verdict.FAIL),
        (None, 0.5, math.nan, Verdict.FAIL),
    ],
)
def test_both_bounds_belong_to_the_allowed_range(
    low: float | None, high: float | None, seen: float, verdict: Verdict
) -> None:
    """A metric on the bound passes, one beyond it fails, and what is no finite number fails every bound."""
    check = threshold(Threshold("x", low, high), evidence({"x": seen}))
    assert check.verdict is verdict
    assert check.observed == pytest.approx(seen, nan_ok=True)


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.95, None, ">= 0.95"), (None, 0.25, "<= 0.25"), (0.02, 0.9, "0.02 to 0.9")]
)
def test_the_requirement_is_said_in_words(low: float | None, high: float | None, words: str) -> None:
    """What was asked can be read without the project file."""
    assert threshold(Threshold("x", low, high), evidence({"x": 1.0})).required == words


def test_a_metric_that_nobody_logged_fails() -> None:
    """A gate never passes for want of evidence; the note names what was logged and the nearest name."""
    check = threshold(Threshold("acuracy", 0.9), evidence({"accuracy": 0.99, "loss": 0.1}))
    assert (check.verdict, check.observed) == (Verdict.FAIL, None)
    assert check.note == "not logged; the notebook logged accuracy, loss; did you mean accuracy?"


def test_a_metric_that_the_table_cannot_give_says_why() -> None:
    """Where the name is known but a column is missing, the note names the column."""
    check = threshold(Threshold("log_loss", max=1), evidence(label=[0], prediction=[0]))
    assert check.verdict is Verdict.FAIL
    assert "no numeric columns probability_<class>" in check.note


def test_the_logged_metric_counts_and_a_contradiction_is_told() -> None:
    """What the notebook logged is judged; that its table says otherwise stands in the note."""
    logged = evidence({"accuracy": 0.99}, label=[0, 1, 0, 1], prediction=[0, 1, 1, 0])
    check = threshold(Threshold("accuracy", 0.9), logged)
    assert (check.verdict, check.observed) == (Verdict.PASS, 0.99)
    assert check.note == "logged as 0.99, but the table of predictions gives 0.5"


def test_a_logged_metric_that_agrees_has_no_note() -> None:
    """A rounding difference is not worth a word."""
    check = threshold(Threshold("accuracy", 0.4), evidence({"accuracy": 0.50001}, label=[0, 1], prediction=[0, 0]))
    assert check.note == ""


def test_text_labels_have_no_mean_prediction() -> None:
    """The mean of labels that are text means nothing: the gate fails and says what to ask for instead."""
    check = threshold(Threshold("mean_prediction", 0, 1), evidence(label=["a", "b"], prediction=["a", "b"]))
    assert check.verdict is Verdict.FAIL
    assert "top_class_share" in check.note


@pytest.mark.parametrize(
    ("column", "broken", "row"),
    [
        ("prediction", [0.0, math.nan, 1.0], 1),
        ("prediction", [0.0, 1.0, -math.inf], 2),
        ("prediction", ["a", None, "b"], 1),
        ("probability_a", [0.1, 0.2, math.nan], 2),
        ("prediction_price", [math.inf, 0.2, 0.1], 0),
    ],
)
def test_an_output_that_is_not_finite_fails(column: str, broken: list[Any], row: int) -> None:
    """The built-in check needs no gate: one NaN, infinity or missing answer fails the version and is located."""
    table: dict[str, Any] = {"label": [0, 1, 0], "prediction": [0, 1, 0], column: broken}
    report = judge(NEW, Gates(), evidence(**table), None)
    check = find(report, "finite_outputs")
    assert report.verdict is Verdict.FAIL
    assert check.observed == pytest.approx(2 / 3)
    assert f"{column} in row {row}" in check.note


def test_sound_outputs_pass() -> None:
    """Text and numbers that are all there pass the built-in check."""
    report = judge(NEW, Gates(), evidence(label=["a"], prediction=["a"], probability_a=[1.0]), None)
    assert [(check.name, check.verdict) for check in report.checks] == [("finite_outputs", Verdict.PASS)]


def test_a_missing_label_is_no_missing_output() -> None:
    """Only what the model answered is checked."""
    assert judge(NEW, Gates(), evidence(label=[None, 1], prediction=[0, 1]), None).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("table", "said"),
    [({"prediction": []}, "no rows"), ({"label": [1, 2]}, "no column prediction")],
)
def test_a_table_without_answers_fails(table: dict[str, Any], said: str) -> None:
    """An empty table proves nothing, nor does one without predictions."""
    check = judge(NEW, Gates(), evidence(**table), None).checks[0]
    assert (check.name, check.verdict) == ("finite_outputs", Verdict.FAIL)
    assert said in check.note


def test_without_a_table_and_gates_there_are_no_checks() -> None:
    """Nothing is invented."""
    assert judge(NEW, Gates(), evidence(), None).checks == ()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.floats(), st.none()), min_size=1, max_size=60),
    st.dictionaries(st.sampled_from(["accuracy", "mae"]), st.floats(), max_size=2),
)
def test_a_broken_output_never_passes(predictions: list[float | None], metrics: dict[str, float]) -> None:
    """Whatever was logged and whatever is asked, one answer that is not finite keeps the version from passing."""
    logged = evidence(metrics, label=np.zeros(len(predictions)), prediction=predictions)
    thresholds = (Threshold("accuracy", 0.0), Threshold("std_prediction", 0.0), Threshold("mse", 0.0))
    gates = Gates(thresholds, (Comparison("mae", 1.0), Comparison("rmse", 1.0)))
    report = judge(NEW, gates, logged, (OLD, logged))
    is_sound = all(value is not None and math.isfinite(value) for value in predictions)
    assert is_sound or report.verdict is Verdict.FAIL
    json.dumps(report.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("p95", "start", "memory", "failed"),
    [
        (5.0, 3.0, 250.0, []),
        (5.1, 3.0, 250.0, ["serving.latency_p95_ms"]),
        (5.0, 3.1, 250.1, ["serving.start_seconds", "serving.memory_mb"]),
        (math.nan, 3.0, 250.0, ["serving.latency_p95_ms"]),
    ],
)
def test_a_bento_is_judged_by_what_it_needed(p95: float, start: float, memory: float, failed: list[str]) -> None:
    """A measure on its bound passes, beyond it fails, and one that is no number fails."""
    report = judge_serving(NEW, ServingGates(5, 3, 250), ServingMeasure(p95, start, memory, 200))
    assert [check.name for check in report.failed()] == failed
    assert [check.required for check in report.checks] == ["<= 5", "<= 3", "<= 250"]
    assert report.checks[0].evidence["requests"] == 200


def test_only_the_gates_that_are_set_are_judged() -> None:
    """No bound, no check."""
    report = judge_serving(NEW, ServingGates(memory_mb=100), ServingMeasure(1, 1, 99, 10))
    assert [check.name for check in report.checks] == ["serving.memory_mb"]
    assert judge_serving(NEW, ServingGates(), ServingMeasure(1, 1, 99, 10)).checks == ()
