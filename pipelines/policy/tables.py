"""The per-row table of predictions, as columns of known kinds."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

PROBABILITY = "probability_"


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "numbers"
    TRUTH = "booleans"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Column:
    """One column, shape (rows,).

    Args:
        kind: What it holds.
        values: float64 or the original integers for numbers, bool for booleans, str for text; where `missing`, NaN,
            False or "".
        missing: Where there is no value (None, NaN, NA, NaT).
        eps: The smallest step at 1.0 of the type the numbers were stored in.
    """

    kind: Kind
    values: npt.NDArray[Any]
    missing: BoolArray
    eps: float = float(np.finfo(np.float64).eps)

    @property
    def numbers(self) -> FloatArray | None:
        """The values as numbers, booleans as 0 and 1; None for text. NaN where a value is missing."""
        if self.kind is Kind.TEXT:
            return None
        found = self.values.astype(np.float64)
        return np.where(self.missing, np.nan, found)

    @property
    def is_finite(self) -> BoolArray:
        """Row by row: whether there is a value, and a finite one."""
        found = self.numbers
        return ~self.missing if found is None else np.isfinite(found)

    def coded(self) -> tuple[list[str], npt.NDArray[np.intp]]:
        """The distinct values as class names (3 and 3.0 are `3`, true is `True`), and each row's index among them."""
        distinct, codes = np.unique(self.values, return_inverse=True)
        if self.kind is Kind.NUMBER:
            return [str(int(v)) if np.isfinite(v) and v == np.trunc(v) else str(v) for v in distinct.tolist()], codes
        return [str(value) for value in distinct.tolist()], codes

    def is_same_as(self, other: Column) -> BoolArray:
        """Row by row: whether both hold the same; never true of text and numbers."""
        if (self.kind is Kind.TEXT) is not (other.kind is Kind.TEXT):
            return np.zeros(len(self.values), dtype=np.bool_)
        both = ~self.missing & ~other.missing
        same: BoolArray = (both & (self.values == other.values)) | (self.missing & other.missing)
        return same


class Table:
    """A table of predictions.

    Args:
        columns: The columns by name, each of shape (rows,): NumPy arrays, or anything `numpy.asarray` takes.
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self.columns = {name: _column(values) for name, values in columns.items()}

    def __bool__(self) -> bool:
        return bool(self.columns)

    @property
    def rows(self) -> int:
        """How many rows the table has."""
        return min((len(column.values) for column in self.columns.values()), default=0)

    @property
    def outputs(self) -> dict[str, Column]:
        """What the model answered: `prediction`, `prediction_<output>` and `probability_<class>`."""
        return {
            name: column
            for name, column in self.columns.items()
            if name == "prediction" or name.startswith(("prediction_", PROBABILITY))
        }

    @property
    def labels(self) -> dict[str, Column]:
        """The truth: `label` and `label_<output>`."""
        return {name: c for name, c in self.columns.items() if name == "label" or name.startswith("label_")}

    @property
    def probabilities(self) -> dict[str, FloatArray]:
        """The numeric columns `probability_<class>` by class, in the table's order."""
        found = {
            name.removeprefix(PROBABILITY): column.numbers
            for name, column in self.columns.items()
            if name.startswith(PROBABILITY)
        }
        return {name: values for name, values in found.items() if values is not None}

    @property
    def probability_eps(self) -> float:
        """The coarsest precision among the probabilities."""
        return max((c.eps for name, c in self.columns.items() if name.startswith(PROBABILITY)), default=0.0)


def _column(values: Any) -> Column:
    array = np.asarray(values).reshape(-1)
    if array.dtype.kind == "f":
        eps = float(np.finfo(array.dtype).eps)
        return Column(Kind.NUMBER, array.astype(np.float64), np.isnan(array), eps)
    nothing = np.zeros(len(array), dtype=np.bool_)
    if array.dtype.kind in "iu":
        return Column(Kind.NUMBER, array, nothing)
    if array.dtype.kind == "b":
        return Column(Kind.TRUTH, array, nothing)
    if array.dtype.kind in "mM":
        return Column(Kind.TEXT, array.astype(np.str_), np.isnat(array))
    return _objects(array.tolist())


def _objects(values: list[Any]) -> Column:
    missing = np.array([_is_missing(value) for value in values], dtype=np.bool_)
    present = [value for value, is_missing in zip(values, missing, strict=True) if not is_missing]
    if present and all(isinstance(value, bool) for value in present):
        truths = [bool(value) if not gone else False for value, gone in zip(values, missing, strict=True)]
        return Column(Kind.TRUTH, np.array(truths, dtype=np.bool_), missing)
    if present and all(isinstance(value, numbers.Real) for value in present):
        floats = [np.nan if gone else float(value) for value, gone in zip(values, missing, strict=True)]
        return Column(Kind.NUMBER, np.array(floats, dtype=np.float64), missing)
    texts = ["" if gone else str(value) for value, gone in zip(values, missing, strict=True)]
    return Column(Kind.TEXT, np.array(texts, dtype=np.str_), missing)


def _is_missing(value: Any) -> bool:
    # pandas' own missing values are known by name: this module takes its columns without importing pandas.
    return (
        value is None or (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")
    )
