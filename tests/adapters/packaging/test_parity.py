"""When two sets of answers are equal."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.adapters.packaging.parity import TOLERANCE, prove
from pipelines.errors import ExportFailed
from pipelines.values import Field, Layout, Signature, Task

INPUTS = (Field("age", "int64"),)
NUMBER = Signature(Layout.RECORDS, INPUTS, (Field("prediction", "float32"),), Task.REGRESSION)
CLASSES = Signature(
    Layout.RECORDS,
    INPUTS,
    (Field("label", "string"), Field("probabilities", "float32", (2,))),
    Task.CLASSIFICATION,
    ("bad", "good"),
)


def numbers(*values: float) -> dict[str, np.ndarray]:
    """Answers of a regression."""
    return {"prediction": np.array(values)}


def classes(*shares: float) -> dict[str, np.ndarray]:
    """Answers of a classifier, from the probability of `good` in each row."""
    good = np.array(shares)
    return {
        "label": np.where(good > 0.5, "good", "bad").astype(object),
        "probabilities": np.stack([1 - good, good], axis=1),
    }


def test_the_largest_difference_is_reported() -> None:
    """It is the absolute one, over all rows."""
    proof = prove(numbers(1.0, 2.0, 3.0), numbers(1.0, 2.00001, 3.00005), NUMBER)

    assert proof.max_abs_diff == pytest.approx(5e-5)
    assert (proof.rows, proof.agreement, proof.tolerance) == (3, None, TOLERANCE)


def test_large_numbers_may_differ_by_more() -> None:
    """The tolerance grows with the number: one part in ten thousand."""
    prove(numbers(1_000_000.0), numbers(1_000_050.0), NUMBER)
    with pytest.raises(ExportFailed, match="differs by 2e\\+02 on 1 of 1 rows"):
        prove(numbers(1_000_000.0), numbers(1_000_200.0), NUMBER)


def test_a_difference_beyond_the_tolerance_fails_and_counts_rows() -> None:
    """The message says how far and in how many rows."""
    with pytest.raises(ExportFailed, match=r"'prediction' differs by 0\.3 on 2 of 4 rows"):
        prove(numbers(0, 0, 0, 0), numbers(0, 0.3, 0, 0.2), NUMBER)


def test_at_the_tolerance_is_equal_and_beyond_is_not() -> None:
    """The boundary itself is allowed."""
    prove(numbers(0.0), numbers(TOLERANCE), NUMBER)
    with pytest.raises(ExportFailed):
        prove(numbers(0.0), numbers(TOLERANCE * 1.01), NUMBER)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_the_same_lack_of_a_number_is_equal(special: float) -> None:
    """Where the original has no finite answer, the export must not have one either."""
    assert prove(numbers(special, 1.0), numbers(special, 1.0), NUMBER).max_abs_diff == 0.0
    with pytest.raises(ExportFailed, match="not finite where the original's is, or the reverse, on 1 of 2 rows"):
        prove(numbers(special, 1.0), numbers(2.0, 1.0), NUMBER)


def test_another_top_class_fails_though_the_numbers_are_close() -> None:
    """A wide tolerance on numbers is none on the class."""
    with pytest.raises(ExportFailed, match="another class on 1 of 2 rows"):
        prove(classes(0.6, 0.1), classes(0.4, 0.1), CLASSES, tolerance=0.15)


def test_two_best_within_the_tolerance_may_swap() -> None:
    """There either class is as good; the agreement still counts the row."""
    proof = prove(classes(0.50001, 0.1), classes(0.49999, 0.1), CLASSES)

    assert proof.agreement == 0.5


def test_another_label_fails_with_equal_probabilities() -> None:
    """A label that does not follow from the probabilities is compared for itself."""
    wrong = classes(0.9)
    wrong["label"] = np.array(["bad"], dtype=object)
    with pytest.raises(ExportFailed, match="another class on 1 of 1 rows"):
        prove(classes(0.9), wrong, CLASSES)


def test_labels_alone_are_compared() -> None:
    """A classifier without probabilities has its label only."""
    signature = Signature(Layout.RECORDS, INPUTS, (Field("label", "int64"),), Task.CLASSIFICATION)

    assert prove({"label": np.array([1, 2])}, {"label": np.array([1, 2])}, signature).agreement == 1.0
    with pytest.raises(ExportFailed, match="another class on 1 of 2 rows"):
        prove({"label": np.array([1, 2])}, {"label": np.array([1, 3])}, signature)


def test_another_shape_fails() -> None:
    """It is named, not broadcast."""
    with pytest.raises(ExportFailed, match="has the shape"):
        prove(numbers(1.0, 2.0), {"prediction": np.ones((2, 2))}, NUMBER)


def test_texts_are_compared_by_equality() -> None:
    """An output of text has no tolerance."""
    signature = Signature(Layout.RECORDS, INPUTS, (Field("word", "string"),))
    same = {"word": np.array(["a", "b"], dtype=object)}

    prove(same, same, signature)
    with pytest.raises(ExportFailed, match="'word' differs on 1 of 2 rows"):
        prove(same, {"word": np.array(["a", "c"], dtype=object)}, signature)
