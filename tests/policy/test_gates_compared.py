"""Gates against the champion: a verdict that knows its doubt, on rows that are pairs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.policy.gates import FEW_ROWS, judge
from pipelines.values import (
    Comparison,
    Evidence,
    Gates,
    Verdict,
)
from tests.policy.judged import NEW, OLD, classified, compare, evidence, find


def test_without_a_champion_a_comparison_passes_and_says_so() -> None:
    """The first version is not blocked by what cannot be compared."""
    gates = Gates(comparisons=(Comparison("accuracy", 0.01),))
    report = judge(NEW, gates, classified(np.ones(50, bool)), None)
    check = find(report, "accuracy_vs_champion")
    assert (check.verdict, check.observed) == (Verdict.PASS, None)
    assert check.note == "no champion yet: nothing to compare with"
    assert report.champion is None


def test_a_comparison_that_will_never_work_is_told_with_the_first_version() -> None:
    """A first version whose table lacks the column passes, with a warning for those to come."""
    gates = Gates(comparisons=(Comparison("log_loss", 0.01),))
    check = find(judge(NEW, gates, classified(np.ones(50, bool)), None), "log_loss_vs_champion")
    assert check.verdict is Verdict.PASS
    assert "later versions cannot be compared either: the table of predictions has no numeric columns" in check.note


def test_the_champion_is_not_compared_with_itself() -> None:
    """Judging the champion again is like judging without one."""
    logged = classified(np.ones(50, bool))
    check = find(
        judge(OLD, Gates(comparisons=(Comparison("accuracy", 0.01),)), logged, (OLD, logged)), "accuracy_vs_champion"
    )
    assert (check.verdict, check.note) == (Verdict.PASS, "m@1 is the champion itself")


ACCURACY = Comparison("accuracy", 0.02)


def test_a_clearly_better_candidate_passes() -> None:
    """The whole interval lies above the margin."""
    check = compare(ACCURACY, classified(np.arange(1000) % 50 != 0), classified(np.arange(1000) % 10 != 0))
    assert check.verdict is Verdict.PASS
    assert check.observed == pytest.approx(0.08)
    assert check.evidence["candidate"] == pytest.approx(0.98)
    assert check.evidence["champion"] == pytest.approx(0.9)


def test_a_clearly_worse_candidate_fails() -> None:
    """The whole interval lies below the margin."""
    check = compare(ACCURACY, classified(np.arange(1000) % 10 != 0), classified(np.arange(1000) % 50 != 0))
    assert check.verdict is Verdict.FAIL
    assert check.observed == pytest.approx(-0.08)


def test_a_difference_within_the_doubt_is_inconclusive_and_says_how_many_rows_would_do() -> None:
    """Neither better nor worse for sure: the note estimates the rows that would decide, more than there are."""
    check = compare(ACCURACY, classified(np.arange(200) % 10 != 0), classified(np.arange(200) % 10 != 1))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.observed == 0.0
    assert check.note == "200 rows do not decide; about 1,800 would, if the difference stays as it is"
    more = compare(ACCURACY, classified(np.arange(2200) % 10 != 0), classified(np.arange(2200) % 10 != 1))
    assert more.verdict is Verdict.PASS


def test_a_difference_that_lies_on_the_margin_asks_for_no_rows() -> None:
    """No number of rows would decide it, and none is promised."""
    ours, theirs = np.ones(1000, bool), np.ones(1000, bool)
    ours[:40], theirs[30:50] = False, False
    check = compare(ACCURACY, classified(ours), classified(theirs))
    assert check.observed == pytest.approx(-0.02)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "would hardly decide" in check.note


def test_the_evidence_counts_the_rows_that_differ() -> None:
    """McNemar's table and exact p-value stand beside the interval: 20 against 5 of 25 is 0.0041."""
    ours, theirs = np.ones(500, bool), np.ones(500, bool)
    theirs[:20], ours[20:25] = False, False
    told = compare(ACCURACY, classified(ours), classified(theirs)).evidence
    assert (told["only_candidate_right"], told["only_champion_right"]) == (20, 5)
    assert told["mcnemar_p"] == pytest.approx(0.00408, abs=1e-5)
    assert told["interval"][0] < told["improvement"] < told["interval"][1]
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (evidence(), "the champion's validation logged no table of predictions"),
        (classified(np.ones(41, bool)), "the tables differ in length: 40 rows, the champion's has 41"),
        (evidence(label=np.zeros(40), prediction=np.zeros(40)), "not the same held-out rows: label differs in row 1"),
        (evidence(prediction=np.zeros(40)), "only one of the tables has the column label"),
    ],
)
def test_rows_that_are_not_pairs_are_not_compared(theirs: Evidence, said: str) -> None:
    """Another length, other labels or no table: inconclusive, with the reason."""
    check = compare(ACCURACY, classified(np.ones(40, bool)), theirs)
    assert (check.verdict, check.observed) == (Verdict.INCONCLUSIVE, None)
    assert said in check.note


def test_the_column_row_must_agree() -> None:
    """Where the notebook numbers its rows, the numbers must be the same."""
    rows = np.arange(40)
    check = compare(ACCURACY, classified(np.ones(40, bool), row=rows), classified(np.ones(40, bool), row=rows[::-1]))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "row differs in row 0" in check.note


@pytest.mark.parametrize(("rows", "verdict"), [(FEW_ROWS - 1, Verdict.INCONCLUSIVE), (FEW_ROWS, Verdict.PASS)])
def test_few_rows_are_not_compared(rows: int, verdict: Verdict) -> None:
    """Below 30 rows nothing is concluded, from 30 on it may be."""
    check = compare(ACCURACY, classified(np.ones(rows, bool)), classified(np.ones(rows, bool)))
    assert check.verdict is verdict


def test_a_broken_row_is_not_compared() -> None:
    """A loss that is not finite gives no interval, whichever side it is on, and fails the version on this side."""
    sound = np.full(40, 0.5)
    broken = np.where(np.arange(40) == 7, np.nan, 0.5)
    gate, labels = Comparison("mae", 0.1), np.zeros(40)
    ours = evidence(label=labels, prediction=broken)
    report = judge(NEW, Gates(comparisons=(gate,)), ours, (OLD, evidence(label=labels, prediction=sound)))
    assert report.verdict is Verdict.FAIL
    assert find(report, "mae_vs_champion").note == "this version's mae is not finite in 1 rows, the first 7"
    other = compare(gate, evidence(label=labels, prediction=sound), ours)
    assert (other.verdict, other.note) == (
        Verdict.INCONCLUSIVE,
        "the champion's mae is not finite in 1 rows, the first 7",
    )


def test_lower_is_better_for_a_loss() -> None:
    """A smaller error is a positive improvement."""
    labels = np.zeros(100)
    good, bad = (
        evidence(label=labels, prediction=np.full(100, 0.1)),
        evidence(label=labels, prediction=np.full(100, 0.3)),
    )
    for metric, improvement in (("mae", 0.2), ("mse", 0.08), ("rmse", 0.2)):
        check = compare(Comparison(metric, 0.01), good, bad)
        assert (check.verdict, check.evidence["better"]) == (Verdict.PASS, "lower")
        assert check.observed == pytest.approx(improvement)
        assert compare(Comparison(metric, 0.01), bad, good).verdict is Verdict.FAIL


def test_a_column_of_the_notebooks_own_is_compared_the_way_it_says() -> None:
    """`better` decides which way a column improves that we know nothing of."""
    cheap, dear = (
        evidence(cost=np.full(50, 1.0), prediction=np.zeros(50)),
        evidence(cost=np.full(50, 3.0), prediction=np.zeros(50)),
    )
    assert compare(Comparison("cost", 0.5, better="lower"), cheap, dear).verdict is Verdict.PASS
    assert compare(Comparison("cost", 0.5, better="higher"), cheap, dear).verdict is Verdict.FAIL


def test_a_direction_that_nobody_said_is_not_guessed() -> None:
    """Without `better` an unknown metric is inconclusive, and the note says what is missing."""
    check = compare(Comparison("cost", 0.5), evidence(cost=np.ones(50)), evidence(cost=np.ones(50)))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "which way cost improves" in check.note


def test_several_outputs_are_compared_one_by_one() -> None:
    """`mae_price` reads label_price and prediction_price."""
    labels = np.zeros(50)
    ours = evidence(label_price=labels, prediction_price=np.full(50, 1.0), label_days=labels, prediction_days=labels)
    theirs = evidence(label_price=labels, prediction_price=np.full(50, 3.0), label_days=labels, prediction_days=labels)
    assert compare(Comparison("mae_price", 0.5), ours, theirs).observed == pytest.approx(2.0)
    assert compare(Comparison("mae_days", 0.5), ours, theirs).observed == 0.0


def test_roc_auc_is_compared() -> None:
    """Two score columns of a binary classifier: a perfect ranking passes against one without order."""
    labels = np.arange(200) % 2
    random = np.random.default_rng(3).random(200)
    ours = evidence(label=labels, prediction=labels, probability_0=1 - labels, probability_1=labels)
    theirs = evidence(label=labels, prediction=labels, probability_0=1 - random, probability_1=random)
    check = compare(Comparison("roc_auc", 0.05), ours, theirs)
    assert (check.verdict, check.evidence["method"], check.evidence["candidate"]) == (Verdict.PASS, "DeLong", 1.0)
    assert compare(Comparison("roc_auc", 0.05), theirs, ours).verdict is Verdict.FAIL


def test_the_same_evidence_gives_the_same_report() -> None:
    """The bootstrap is seeded: a verdict does not depend on when it was asked for."""
    random = np.random.default_rng(5)
    ours, theirs = (evidence(label=np.zeros(300), prediction=random.normal(size=300)) for _ in range(2))
    gates = Gates(comparisons=(Comparison("mae", 0.01), Comparison("rmse", 0.01)))
    first, second = (judge(NEW, gates, ours, (OLD, theirs)) for _ in range(2))
    assert first.as_dict() == second.as_dict()


verdict_tables = st.integers(FEW_ROWS, 80).flatmap(
    lambda rows: st.tuples(
        st.lists(st.integers(0, 2), min_size=rows, max_size=rows),
        st.lists(st.integers(0, 2), min_size=rows, max_size=rows),
        st.lists(st.integers(0, 2), min_size=rows, max_size=rows),
    )
)


@settings(max_examples=60, deadline=None)
@given(verdict_tables, st.sampled_from(["accuracy", "mae", "mse", "rmse"]))
def test_exchanging_the_models_mirrors_the_comparison(
    rows: tuple[list[int], list[int], list[int]], metric: str
) -> None:
    """Which of two models is called the candidate changes the sign of the interval and nothing else."""
    labels, one, other = rows
    a, b = evidence(label=labels, prediction=one), evidence(label=labels, prediction=other)
    forth, back = compare(Comparison(metric, 0.1), a, b), compare(Comparison(metric, 0.1), b, a)
    assert forth.observed == pytest.approx(-(back.observed or 0.0))
    low, high = back.evidence["interval"]
    assert forth.evidence["interval"] == pytest.approx([-high, -low])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=FEW_ROWS, max_size=80),
    st.sampled_from(["mae", "mse", "rmse", "accuracy"]),
    st.floats(1e-9, 10),
)
def test_identical_predictions_pass_any_margin(predictions: list[float], metric: str, margin: float) -> None:
    """A candidate that answers as the champion does is never refused."""
    logged = evidence(label=np.zeros(len(predictions)), prediction=predictions)
    assert compare(Comparison(metric, margin), logged, logged).verdict is Verdict.PASS


def test_a_difference_beyond_the_margin_that_is_not_sure_is_no_failure() -> None:
    """Worse than the margin in these rows, but within the doubt: more rows are asked for, nothing is failed."""
    ours, theirs = np.ones(100, bool), np.ones(100, bool)
    ours[:6], theirs[6:9] = False, False
    check = compare(ACCURACY, classified(ours), classified(theirs))
    assert check.observed == pytest.approx(-0.03)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "100 rows do not decide" in check.note


def test_rows_without_a_label_on_both_sides_are_the_same_rows() -> None:
    """A label that is missing in both tables is no difference between them."""
    labels = [None, *range(49)]
    logged = evidence(label=labels, prediction=np.zeros(50))
    assert compare(ACCURACY, logged, logged).verdict is Verdict.PASS
