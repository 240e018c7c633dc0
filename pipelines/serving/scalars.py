"""Single JSON values: whether one may stand in a field, and lists of them as NumPy columns.

Whole columns are converted at once; only when that is not plainly right is each value looked at by itself, and the
first wrong one named.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import BadRequest
from pipelines.values.signature import Field

Fault = tuple[str, str]
"""What came, and what is expected."""

# Half a step above the largest float32: from here on a number rounds to infinity.
_FLOAT32_END = float(np.finfo(np.float32).max) + 2.0**103

_NUMBERS = frozenset({int, float})


def column_dtype(field: Field) -> np.dtype[Any]:
    """The NumPy type of a field's values.

    Whole numbers that may be missing are float64, with NaN; booleans that may be missing are objects, with None.
    """
    if field.dtype == "datetime":
        return np.dtype("datetime64[us]")
    if field.dtype == "string" or (field.dtype == "bool" and not field.required):
        return np.dtype(object)
    if field.is_numeric and not field.is_float and not field.required:
        return np.dtype(np.float64)
    return np.dtype(field.dtype)


def column(values: list[Any], field: Field, where: Callable[[int], str]) -> NDArray[Any]:
    """The values of one scalar field as an array of shape (rows,).

    Args:
        values: As parsed from JSON, one a row; None is a missing value.
        field: The field, of shape ().
        where: The path of the value in a row, for messages.

    Raises:
        BadRequest: a value cannot stand in this field; it names the first one.
    """
    kinds = set(map(type, values))
    if not field.required:
        kinds.discard(type(None))
    if field.is_float:
        found = _floats(values, field) if kinds <= _NUMBERS else None
    elif field.is_numeric:
        found = _integers(values, field) if kinds <= {int} else None
    elif field.dtype == "bool":
        found = np.array(values, dtype=column_dtype(field)) if kinds <= {bool} else None
    elif field.dtype == "string":
        found = np.array(values, dtype=object) if kinds <= {str} else None
    else:
        found = None
    return found if found is not None else _one_by_one(values, field, where)


def _floats(values: list[Any], field: Field) -> NDArray[Any] | None:
    try:
        array = np.array(values, dtype=field.dtype)
    except RuntimeWarning:  # an overflow, where warnings are errors
        return None
    return None if field.dtype == "float32" and np.isinf(array).any() else array


def _integers(values: list[Any], field: Field) -> NDArray[Any] | None:
    try:
        if field.required:
            return np.array(values, dtype=field.dtype)
        np.array([value for value in values if value is not None], dtype=field.dtype)
    except OverflowError:
        return None
    return np.array(values, dtype=np.float64)


def _one_by_one(values: list[Any], field: Field, where: Callable[[int], str]) -> NDArray[Any]:
    for row, value in enumerate(values):
        if value is None and not field.required:
            continue
        if fault := scalar_fault(value, field):
            raise wrong_value(where(row), fault, field)
    dtype = column_dtype(field)
    if field.dtype == "datetime":
        return np.array([None if value is None else parse_date(value) for value in values], dtype=dtype)
    if field.is_numeric and not field.is_float and field.required:
        return np.array([int(value) for value in values], dtype=dtype)
    return np.array(values, dtype=dtype)


def wrong_value(path: str, fault: Fault, field: Field) -> BadRequest:
    """The refusal of one value."""
    came, expected = fault
    if not field.required:
        expected += ", or null"
    return BadRequest(f"{path} is {came}", instead=f"expected {expected}", field=path)


def scalar_fault(value: Any, field: Field) -> Fault | None:
    """Why `value` cannot stand in the field as a single value; None when it can."""
    kind = type(value)
    if field.is_float:
        if kind not in _NUMBERS or (field.dtype == "float32" and abs(value) >= _FLOAT32_END):
            return describe(value), f"a number ({field.dtype})"
    elif field.is_numeric:
        low, high = _limits(field.dtype)
        if kind not in _NUMBERS or value != value // 1 or not low <= int(value) <= high:
            return describe(value), f"a whole number from {low} to {high} ({field.dtype})"
    elif field.dtype == "bool":
        if kind is not bool:
            return describe(value), "true or false"
    elif field.dtype == "string":
        if kind is not str:
            return describe(value), "a text"
    elif kind is not str or parse_date(value) is None:
        return describe(value), "a date as ISO 8601 text, such as 2024-05-17 or 2024-05-17T09:30:00Z"
    return None


def _limits(dtype: str) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def parse_date(text: str) -> datetime | None:
    """An ISO 8601 date or time, in UTC and without a zone; None when it is none.

    A time without a zone is taken as it stands.
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def describe(value: Any) -> str:
    """A JSON value in a few words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {shorten(value)!r}"
    if isinstance(value, list):
        return "an empty list" if not value else f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return f"the number {value}"


def shorten(text: str, length: int = 40) -> str:
    """At most `length` characters of a text."""
    return text if len(text) <= length else text[: length - 1] + "…"
