"""Metrics derived from the table of predictions, against scikit-learn and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from pipelines.policy.metrics import NotThere, derivable, derived, improves, per_row
from pipelines.policy.tables import Kind, Table


def classifier(
    rows: int = 400, classes: tuple[Any, ...] = ("cat", "dog", "owl")
) -> tuple[Table, np.ndarray, np.ndarray]:
    """A table of a random classifier, its labels and its probabilities."""
    random = np.random.default_rng(11)
    probabilities = random.dirichlet(np.ones(len(classes)), size=rows)
    labels = random.integers(0, len(classes), rows)
    names = np.array(classes, dtype=object)
    columns = {f"probability_{name}": probabilities[:, at] for at, name in enumerate(classes)}
    table = Table({"label": names[labels], "prediction": names[probabilities.argmax(axis=1)], **columns})
    return table, labels, probabilities


def test_a_classifiers_metrics_are_those_of_scikit_learn() -> None:
    """accuracy, log loss and the Brier score of three text classes."""
    table, labels, probabilities = classifier()
    assert derived("accuracy", table) == pytest.approx(reference.accuracy_score(labels, probabilities.argmax(axis=1)))
    assert derived("log_loss", table) == pytest.approx(reference.log_loss(labels, probabilities))
    assert derived("brier", table) == pytest.approx(np.sum((probabilities - np.eye(3)[labels]) ** 2, axis=1).mean())


@pytest.mark.parametrize("classes", [(0, 1), ("no", "yes"), (False, True), (0.0, 1.0)])
def test_a_binary_classifiers_metrics_are_those_of_scikit_learn(classes: tuple[Any, Any]) -> None:
    """The last probability column is the positive class, whatever the labels are made of."""
    table, labels, probabilities = classifier(classes=classes)
    if classes == (0.0, 1.0):
        columns = {"label": labels.astype(float), "probability_0": probabilities[:, 0]}
        table = Table({**columns, "prediction": labels, "probability_1": probabilities[:, 1]})
    assert derived("roc_auc", table) == pytest.approx(reference.roc_auc_score(labels, probabilities[:, 1]))
    assert derived("brier", table) == pytest.approx(reference.brier_score_loss(labels, probabilities[:, 1]))
    assert derived("log_loss", table) == pytest.approx(reference.log_loss(labels, probabilities))


@pytest.mark.parametrize(("false", "true"), [("0", "1"), ("false", "true"), ("False", "True")])
def test_boolean_labels_find_their_columns(false: str, true: str) -> None:
    """True is found under the spellings that files have for it."""
    table = Table(
        {
            "label": [True, False],
            "prediction": [True, False],
            f"probability_{false}": [0.2, 0.8],
            f"probability_{true}": [0.8, 0.2],
        }
    )
    assert derived("log_loss", table) == pytest.approx(-np.log(0.8))


def test_one_probability_column_is_the_positive_class() -> None:
    """A binary classifier may log the probability of the positive class alone."""
    table = Table({"label": ["y", "n", "n"], "prediction": ["y", "n", "y"], "probability_y": [0.9, 0.2, 0.6]})
    assert derived("log_loss", table) == pytest.approx(-np.mean(np.log([0.9, 0.8, 0.4])))
    assert derived("roc_auc", table) == 1.0
    assert derived("mean_confidence", table) == pytest.approx(np.mean([0.9, 0.8, 0.6]))


def test_tied_scores_count_one_half() -> None:
    """The area under the curve of constant scores is one half."""
    table = Table(
        {"label": [0, 1, 0, 1], "prediction": [0] * 4, "probability_0": [0.5] * 4, "probability_1": [0.5] * 4}
    )
    assert derived("roc_auc", table) == 0.5


def test_a_regressions_metrics_are_those_of_scikit_learn() -> None:
    """Absolute, squared and root errors."""
    random = np.random.default_rng(2)
    labels, predictions = random.normal(size=(2, 100))
    table = Table({"label": labels, "prediction": predictions})
    assert derived("mae", table) == pytest.approx(reference.mean_absolute_error(labels, predictions))
    assert derived("mse", table) == pytest.approx(reference.mean_squared_error(labels, predictions))
    assert derived("rmse", table) == pytest.approx(reference.root_mean_squared_error(labels, predictions))


def test_the_shape_of_the_predictions() -> None:
    """Shares, counts and moments, by hand; booleans count as 0 and 1."""
    table = Table({"prediction": [1, 1, 1, 3], "flag": [True, False, False, False]})
    expected = {
        "rows": 4,
        "distinct_predictions": 2,
        "top_class_share": 0.75,
        "finite_share": 1,
        "mean_prediction": 1.5,
        "std_prediction": np.sqrt(0.75),
        "min_prediction": 1,
        "max_prediction": 3,
        "mean_flag": 0.25,
    }
    assert {name: derived(name, table) for name in expected} == pytest.approx(expected)


def test_text_predictions_have_shares_and_counts() -> None:
    """A classifier with text labels is watched by how often it says what."""
    table = Table({"prediction": ["a", "a", "b", None]})
    assert derived("top_class_share", table) == 0.5
    assert derived("finite_share", table) == 0.75


def test_a_confident_zero_is_a_large_loss_and_not_an_infinite_one() -> None:
    """A probability of 0 for what came true is clipped at the precision it was stored in."""
    columns = {"label": ["a"], "prediction": ["b"]}
    for kind in (np.float32, np.float64):
        table = Table({**columns, "probability_a": np.array([0], kind), "probability_b": np.array([1], kind)})
        assert derived("log_loss", table) == pytest.approx(-np.log(np.finfo(kind).eps))


@pytest.mark.parametrize(
    ("metric", "columns", "said"),
    [
        ("nonsense", {"prediction": [1]}, ""),
        ("accuracy", {"prediction": [1]}, "no column label"),
        ("accuracy", {"label": ["1"], "prediction": [1]}, "label holds text, prediction holds numbers"),
        ("mae", {"label": ["1"], "prediction": [1]}, "the column label holds text"),
        ("log_loss", {"label": ["z"], "prediction": ["a"], "probability_a": [0.5], "probability_b": [0.5]}, "label z"),
        ("log_loss", {"label": ["a"], "prediction": ["a"], "probability_a": [3.0], "probability_b": [-1.0]}, "0 to 1"),
        ("roc_auc", {"label": [0], "prediction": [0], **{f"probability_{n}": [0.3] for n in range(3)}}, "two classes"),
        (
            "roc_auc",
            {"label": [1, 1], "prediction": [1, 1], "probability_0": [0, 0], "probability_1": [1, 1]},
            "one class",
        ),
        ("mean_prediction", {"prediction": ["a"]}, "top_class_share"),
        ("mean_confidence", {"prediction": [1]}, "probability_<class>"),
        ("accuracy", {"label": [], "prediction": []}, "no rows"),
    ],
)
def test_what_the_table_does_not_give_says_why(metric: str, columns: dict[str, Any], said: str) -> None:
    """Each metric names the column that is missing or wrong."""
    with pytest.raises(NotThere) as caught:
        derived(metric, Table(columns))
    assert said in str(caught.value)


def test_a_nan_is_not_averaged_away() -> None:
    """A broken row makes the mean broken, so that its gate fails."""
    table = Table({"prediction": [1.0, np.nan], "probability_a": [0.5, np.nan], "probability_b": [0.5, 0.9]})
    assert np.isnan(derived("mean_prediction", table))
    assert np.isnan(derived("mean_confidence", table))


def test_everything_derivable_is_derived() -> None:
    """The list of names is true: each gives a number."""
    table, _, _ = classifier()
    names = derivable(table)
    assert {"accuracy", "log_loss", "top_class_share", "mean_probability_cat"} <= set(names)
    assert "roc_auc" not in names
    assert all(np.isfinite(derived(name, table)) for name in names)


@pytest.mark.parametrize(
    ("metric", "way"),
    [("accuracy", "higher"), ("log_loss", "lower"), ("mae_price", "lower"), ("accuracy_top", "higher"), ("cost", None)],
)
def test_which_way_a_metric_improves(metric: str, way: str | None) -> None:
    """Known metrics have a direction, also for one of several outputs; others have none."""
    assert improves(metric) == way


def test_a_column_of_ones_own_is_a_metric_per_row() -> None:
    """Any numeric column may be compared, text may not."""
    table = Table({"cost": [1, 2], "name": ["a", "b"]})
    assert per_row("cost", table).tolist() == [1.0, 2.0]
    for name in ("name", "absent"):
        with pytest.raises(NotThere):
            per_row(name, table)


@pytest.mark.parametrize(
    ("values", "kind", "missing"),
    [
        (np.array([1, 2], np.uint8), Kind.NUMBER, 0),
        (np.array([1, np.nan], np.float32), Kind.NUMBER, 1),
        (pd.array([1, None], dtype="Int64"), Kind.NUMBER, 1),
        (pd.array([True, None], dtype="boolean"), Kind.TRUTH, 1),
        (pd.array(["a", None], dtype="string"), Kind.TEXT, 1),
        (pd.Series(["a", "b"], dtype="category"), Kind.TEXT, 0),
        (pd.Series(["a", None], dtype="object"), Kind.TEXT, 1),
        (np.array(["2026-01-01", "NaT"], "datetime64[s]"), Kind.TEXT, 1),
        (np.array(["a", "b"]), Kind.TEXT, 0),
        ([None, None], Kind.TEXT, 2),
    ],
)
def test_columns_of_every_make_are_understood(values: Any, kind: Kind, missing: int) -> None:
    """What Parquet and CSV files give, with and without missing values, has a kind."""
    column = Table({"c": values}).columns["c"]
    assert (column.kind, int(column.missing.sum())) == (kind, missing)


def test_large_whole_numbers_stay_apart() -> None:
    """Labels beyond 2**53 are compared as the numbers they are."""
    table = Table({"label": np.array([2**53, 5]), "prediction": np.array([2**53 + 1, 5])})
    assert derived("accuracy", table) == 0.5


def test_no_answer_to_a_row_without_a_label_is_not_right() -> None:
    """Two missing values are no agreement."""
    assert derived("accuracy", Table({"label": [1, None], "prediction": [1, None]})) == 0.5
