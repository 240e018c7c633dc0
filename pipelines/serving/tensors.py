"""Nested JSON lists as one NumPy array."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import BadRequest
from pipelines.serving.outputs import is_finite
from pipelines.serving.scalars import Fault, describe, scalar_fault, wrong_value
from pipelines.values.signature import Field

# NumPy holds the interpreter's lock while it reads a list. In pieces of this many numbers (about a millisecond) the
# event loop gets its turn in between, and a large body does not make other answers late.
_PIECE = 20_000


def tensor(rows: list[Any], field: Field, where: Callable[[int], str], *, booleans: bool) -> NDArray[Any]:
    """The rows of one array field as an array of shape (rows, *field.shape).

    Args:
        rows: Nested lists as parsed from JSON, one a row, at least one.
        field: The field; its shape is not ().
        where: The path of a row, for messages.
        booleans: Whether the body holds a `true` or `false` somewhere. NumPy reads one among numbers as 1 or 0, so then
            each value is looked at.

    Raises:
        BadRequest: a row has another shape or holds a value that cannot stand in the field; it names the first one.
    """
    array = _at_once(rows, field, booleans=booleans)
    return array if array is not None else _one_by_one(rows, field, where)


def _at_once(rows: list[Any], field: Field, *, booleans: bool) -> NDArray[Any] | None:
    """The array when it is plainly right, else None."""
    try:
        array = _read(rows, field)
        kind = array.dtype.kind
        if not _has_shape(array.shape[1:], field):
            return None
        if field.dtype == "bool":
            return array if kind == "b" else None
        if booleans or kind not in "iuf":
            return None
        if field.is_float:
            array = array.astype(field.dtype, copy=False)
            return array if is_finite(array) else None
    except (ValueError, TypeError, RuntimeWarning):  # ragged, a mixture, or an overflow where warnings are errors
        return None
    limits = np.iinfo(field.dtype)
    if kind == "f" or array.min() < limits.min or array.max() > limits.max:
        return None
    return array.astype(field.dtype, copy=False)


def _read(rows: list[Any], field: Field) -> NDArray[Any]:
    step = max(1, _PIECE // math.prod(size or 1 for size in field.shape))
    if len(rows) <= step:
        return np.array(rows)
    return np.concatenate([np.array(rows[start : start + step]) for start in range(0, len(rows), step)])


def _has_shape(shape: tuple[int, ...], field: Field) -> bool:
    if shape == field.shape:
        return True
    return len(shape) == len(field.shape) and all(
        have == want or (want is None and have > 0) for have, want in zip(shape, field.shape, strict=True)
    )


def _one_by_one(rows: list[Any], field: Field, where: Callable[[int], str]) -> NDArray[Any]:
    for number, row in enumerate(rows):
        if found := _fault(row, field, field.shape):
            path, fault = found
            raise wrong_value(where(number) + path, fault, field)
    try:
        if field.is_numeric and not field.is_float:
            return np.array(rows, dtype=object).astype(field.dtype)
        return np.array(rows, dtype=field.dtype)
    except ValueError:
        raise BadRequest(
            f"the rows of {where(0)} and after have different shapes",
            instead="all rows of one request have the same",
            then="Send rows of different lengths in requests of their own.",
            field=where(0),
        ) from None


def _fault(value: Any, field: Field, shape: tuple[int | None, ...]) -> tuple[str, Fault] | None:
    """The path below `value` of the first thing wrong, and what is wrong with it."""
    if not shape:
        fault = scalar_fault(value, field)
        return ("", fault) if fault else None
    size = shape[0]
    if type(value) is not list or not (len(value) == size if size is not None else value):
        count = "any length but 0" if size is None else str(size)
        inner = " of lists" if len(shape) > 1 else ""
        whole = ", ".join("any" if axis is None else str(axis) for axis in field.shape)
        return "", (describe(value), f"a list{inner} with the length {count} (a row has the shape ({whole}))")
    for index, item in enumerate(value):
        if found := _fault(item, field, shape[1:]):
            return f"[{index}]{found[0]}", found[1]
    return None
