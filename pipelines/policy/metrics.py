"""Metrics that a table of predictions gives by itself, as one number or row by row.

The definitions are those of scikit-learn; docs/gates.md lists them for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NoReturn

import numpy as np

from pipelines.policy.tables import BoolArray, Column, FloatArray, Kind, Table

Direction = Literal["higher", "lower"]

BETTER: dict[str, Direction] = {
    "accuracy": "higher",
    "log_loss": "lower",
    "brier": "lower",
    "mae": "lower",
    "mse": "lower",
    "rmse": "lower",
    "roc_auc": "higher",
}
"""The metrics that a comparison knows, and which way they improve."""

_PER_OUTPUT = ("accuracy", "mae", "mse", "rmse")
_SUMMARIES: dict[str, Callable[[FloatArray], float]] = {
    "mean": lambda values: float(np.mean(values)),
    "std": lambda values: float(np.std(values)),
    "min": lambda values: float(np.min(values)),
    "max": lambda values: float(np.max(values)),
}


class NotThere(Exception):
    """The table does not give this metric; the text says why, or is empty when the name means nothing."""


def improves(metric: str) -> Direction | None:
    """Which way a metric improves: one of BETTER, or one of several outputs' (`mae_price`); None when unknown."""
    base = next((name for name in _PER_OUTPUT if metric.startswith(f"{name}_")), metric)
    return BETTER.get(base)


def derived(metric: str, table: Table) -> float:
    """One number for the whole table.

    Args:
        metric: One of BETTER, `finite_share`, `top_class_share`, `distinct_predictions`, `mean_confidence`, `rows`, or
            `mean_`, `std_`, `min_` or `max_` and the name of a column of numbers, such as `mean_prediction`.
        table: The predictions.

    Raises:
        NotThere: the table does not give it.
    """
    if not table or not table.rows:
        raise NotThere("" if not table else "the table of predictions has no rows")
    if metric == "roc_auc":
        positive, scores = positives(table)
        return area_under_curve(positive, scores)
    if metric in _SHAPES:
        return _SHAPES[metric](table)
    kind, _, column = metric.partition("_")
    if kind in _SUMMARIES and column in table.columns:
        return _SUMMARIES[kind](_numbers(table.columns[column], column))
    if improves(metric) is None:
        raise NotThere("")
    return aggregate(metric, per_row(metric, table))


def aggregate(metric: str, values: FloatArray) -> float:
    """The metric of all rows from its values per row."""
    mean = float(np.mean(values))
    return float(np.sqrt(mean)) if is_root(metric) else mean


def is_root(metric: str) -> bool:
    """Whether the metric is the root of the mean of its values per row."""
    return metric == "rmse" or metric.startswith("rmse_")


def per_row(metric: str, table: Table) -> FloatArray:
    """The metric's value for each row, shape (rows,); for `rmse` the squared errors.

    A metric that the table does not give may be a column of the notebook's own, which is then taken as it is.

    Raises:
        NotThere: neither.
    """
    try:
        return _per_row(metric, table)
    except NotThere:
        if metric in table.columns:
            return _numbers(table.columns[metric], metric)
        raise


def _per_row(metric: str, table: Table) -> FloatArray:
    if metric == "log_loss":
        return _log_losses(table)
    if metric == "brier":
        return _brier_scores(table)
    base, output = next(((b, metric.removeprefix(b)) for b in _PER_OUTPUT if metric.startswith(b)), (metric, ""))
    if base not in _PER_OUTPUT or (output and not output.startswith("_")):
        raise NotThere(f"the table of predictions has no column {metric}")
    label, prediction = _column(table, f"label{output}"), _column(table, f"prediction{output}")
    if base == "accuracy":
        if (label.kind is Kind.TEXT) is not (prediction.kind is Kind.TEXT):
            raise NotThere(f"label{output} holds {label.kind}, prediction{output} holds {prediction.kind}")
        return (label.is_same_as(prediction) & ~label.missing).astype(np.float64)
    errors = _numbers(prediction, f"prediction{output}") - _numbers(label, f"label{output}")
    return np.abs(errors) if base == "mae" else errors**2


def positives(table: Table) -> tuple[BoolArray, FloatArray]:
    """For two classes: which rows are of the positive one (the last `probability_` column), and their scores.

    Raises:
        NotThere: there are not just two classes, or only one of them has rows.
    """
    names, probabilities, truth = _classes(table)
    if len(names) != 2:
        raise NotThere(f"roc_auc is for two classes, and there are {len(names)}")
    positive = truth == 1
    if positive.all() or not positive.any():
        raise NotThere(f"all labels are of one class, {names[int(positive[0])]}")
    return positive, probabilities[:, 1]


def placements(positive: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each positive the share of negatives it outranks, for each negative the share that outranks it.

    Ties count one half. Source: E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988), 837-845.
    """
    above, below = scores[positive], scores[~positive]
    sorted_above, sorted_below = np.sort(above), np.sort(below)
    of_positive = _midrank(sorted_below, above) / len(below)
    of_negative = 1.0 - _midrank(sorted_above, below) / len(above)
    return of_positive, of_negative


def area_under_curve(positive: BoolArray, scores: FloatArray) -> float:
    """The share of pairs, one of each class, in which the positive has the higher score; NaN with a score missing."""
    if not np.isfinite(scores).all():
        return float("nan")
    return float(np.mean(placements(positive, scores)[0]))


def _midrank(ordered: FloatArray, values: FloatArray) -> FloatArray:
    left, right = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    middle: FloatArray = (left + right) / 2.0
    return middle


def _log_losses(table: Table) -> FloatArray:
    _, probabilities, truth = _classes(table)
    of_truth = probabilities[np.arange(len(truth)), truth]
    eps = table.probability_eps
    return -np.log(np.clip(of_truth, eps, 1.0 - eps))


def _brier_scores(table: Table) -> FloatArray:
    names, probabilities, truth = _classes(table)
    if len(names) == 2:
        return (probabilities[:, 1] - truth) ** 2
    scores: FloatArray = np.sum((probabilities - np.eye(len(names))[truth]) ** 2, axis=1)
    return scores


def _classes(table: Table) -> tuple[list[str], FloatArray, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Class names, their probabilities of shape (rows, classes), and each row's true class as an index.

    One column alone is the positive class of two.
    """
    found = table.probabilities
    if not found:
        raise NotThere("the table of predictions has no numeric columns probability_<class>")
    names = list(found)
    probabilities = np.stack([found[name] for name in names], axis=1)
    outside = (probabilities < -1e-6) | (probabilities > 1 + 1e-6)
    if outside.any():
        column = names[int(np.argmax(outside.any(axis=0)))]
        raise NotThere(f"the column probability_{column} has values outside of 0 to 1")
    label = _column(table, "label")
    if len(names) == 1:
        truth = _class_indices(label, names, other=-1) + 1
        return [f"not {names[0]}", names[0]], np.concatenate([1.0 - probabilities, probabilities], axis=1), truth
    truth = _class_indices(label, names, other=None)
    return names, probabilities, truth


def _class_indices(label: Column, names: list[str], other: int | None) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    at = {name: index for index, name in enumerate(names)}
    if label.kind is Kind.TRUTH:
        at |= {str(truth): at[spelt] for truth in (False, True) for spelt in _spellings(truth=truth) if spelt in at}
    distinct, codes = label.coded()
    unknown = [name for name in distinct if name not in at]
    if unknown and other is None:
        raise NotThere(f"the label {unknown[0]} has no column probability_{unknown[0]}; there is {_listed(names)}")
    indices = np.array([at.get(name, other) for name in distinct], dtype=np.intp)
    return indices[codes]


def _spellings(*, truth: bool) -> tuple[str, ...]:
    return (str(truth), str(truth).lower(), str(int(truth)))


def _mean_confidence(table: Table) -> float:
    found = table.probabilities
    if not found:
        raise NotThere("the table of predictions has no numeric columns probability_<class>")
    columns = [*found.values()]
    if len(columns) == 1:
        columns.append(1.0 - columns[0])
    # maximum, unlike fmax, lets a NaN through: the mean over a broken row must not look sound.
    return float(np.mean(np.maximum.reduce(columns)))


def _top_class_share(table: Table) -> float:
    _, codes = _column(table, "prediction").coded()
    return float(np.bincount(codes).max() / len(codes))


def _finite_share(table: Table) -> float:
    return float(np.mean(finite_rows(table)))


def finite_rows(table: Table) -> BoolArray:
    """Row by row: whether every output has a value, and a finite one where it is a number."""
    outputs = [column.is_finite for column in table.outputs.values()]
    if not outputs:
        raise NotThere("the table of predictions has no column prediction")
    sound: BoolArray = np.all(np.stack(outputs), axis=0)
    return sound


_SHAPES: dict[str, Callable[[Table], float]] = {
    "rows": lambda table: float(table.rows),
    "finite_share": _finite_share,
    "top_class_share": _top_class_share,
    "distinct_predictions": lambda table: float(len(_column(table, "prediction").coded()[0])),
    "mean_confidence": _mean_confidence,
}


def derivable(table: Table) -> list[str]:
    """The names of everything `derived` gives for this table."""
    summaries = [f"{kind}_{name}" for name, c in table.columns.items() if c.numbers is not None for kind in _SUMMARIES]
    outputs = [name.removeprefix("prediction") for name in table.columns if name.startswith("prediction_")]
    names = [*BETTER, *_SHAPES, *summaries, *(f"{base}{output}" for base in _PER_OUTPUT for output in outputs)]
    return [name for name in names if _gives(name, table)]


def _gives(name: str, table: Table) -> bool:
    try:
        derived(name, table)
    except NotThere:
        return False
    return True


def _column(table: Table, name: str) -> Column:
    try:
        return table.columns[name]
    except KeyError:
        raise NotThere(f"the table of predictions has no column {name}") from None


def _numbers(column: Column, name: str) -> FloatArray:
    found = column.numbers
    if found is None:
        _not_numbers(name)
    return found


def _not_numbers(name: str) -> NoReturn:
    raise NotThere(f"the column {name} holds text; top_class_share and distinct_predictions look at its values")


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"probability_{name}" for name in names[:5])
    return f"{shown}, ..." if len(names) > 5 else shown
