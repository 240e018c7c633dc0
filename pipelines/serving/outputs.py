"""What a model returns, brought into the fields of its signature.

The exporter reads the original model through these functions as well, so that an export is compared with the very
answers that a native bento would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.values.signature import Field, Signature

Arrays = dict[str, NDArray[Any]]
"""Values by field name, each of shape (rows, *field.shape)."""

LABEL = "label"
"""The field of a classifier's label, a scalar."""
PROBABILITIES = "probabilities"
"""The field of a classifier's probabilities, shape (K,), in the order of `Signature.classes`."""
PREDICTION = "prediction"
"""The field of a single number per row."""

_ZEROS = {np.dtype(name): np.zeros(10_000, name) for name in ("float32", "float64")}


def read_outputs(raw: Any, signature: Signature, rows: int) -> Arrays:
    """A model's answer as one array per output field.

    Args:
        raw: An array or tensor for the only output; a mapping or DataFrame by field name; or a sequence of arrays, one
            per output field in the signature's order.
        signature: Names, types and shapes.
        rows: How many rows were asked for.

    Raises:
        ValueError: an output is missing, or has another shape than the signature says.
    """
    fields = signature.outputs
    named = _by_name(raw, fields)
    return {field.name: fit(to_numpy(named[field.name]), field, rows) for field in fields}


def _by_name(raw: Any, fields: Sequence[Field]) -> Mapping[str, Any]:
    if isinstance(raw, Mapping) or hasattr(raw, "columns"):
        missing = [field.name for field in fields if field.name not in raw]
        if not missing:
            return {field.name: raw[field.name] for field in fields}
        if len(fields) > 1 or len(raw.keys()) != 1:
            raise ValueError(f"the model gave no output {missing[0]!r}, but {', '.join(map(str, raw.keys()))}")
        return {fields[0].name: raw[next(iter(raw.keys()))]}
    if len(fields) == 1:
        return {fields[0].name: raw}
    if isinstance(raw, list | tuple) and len(raw) == len(fields):
        return {field.name: part for field, part in zip(fields, raw, strict=True)}
    raise ValueError(f"the model gave one output, its signature names {len(fields)}")


def to_numpy(value: Any) -> NDArray[Any]:
    """An array, a TensorFlow or PyTorch tensor, a pandas column or a list as a NumPy array."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "numpy"):
        return np.asarray(value.numpy())
    if hasattr(value, "to_numpy"):
        return np.asarray(value.to_numpy())
    return np.asarray(value)


def is_finite(array: NDArray[Any]) -> bool:
    """Whether no number of a floating-point array is NaN or infinite."""
    zeros = _ZEROS.get(array.dtype)
    if zeros is None or array.size > len(zeros):
        return bool(np.isfinite(array).all())
    flat = array.ravel()
    try:
        # Only what is finite gives 0 when multiplied by 0: a fifth of the price of looking at each.
        return bool(flat.dot(zeros[: len(flat)]) == 0)
    except RuntimeWarning:  # where warnings are errors
        return False


def fit(array: NDArray[Any], field: Field, rows: int) -> NDArray[Any]:
    """Bring `array` to shape (rows, *field.shape), adding and dropping axes of length 1 only.

    Raises:
        ValueError: the shapes do not agree.
    """
    shape = array.shape if array.ndim == len(field.shape) + 1 else _aligned(array.shape, field)
    if shape[:1] != (rows,) or not all(
        want in (None, have) for want, have in zip(field.shape, shape[1:], strict=False)
    ):
        expected = ", ".join("any" if size is None else str(size) for size in (rows, *field.shape))
        raise ValueError(
            f"the model's output {field.name!r} has the shape {array.shape}, its signature says ({expected})"
        )
    return array if array.shape == shape else array.reshape(shape)


def _aligned(shape: tuple[int, ...], field: Field) -> tuple[int, ...]:
    """`shape` with its axes of length 1 where the field has them; () when that cannot be."""
    sizes = [size for size in shape[1:] if size != 1]
    aligned = [1 if want == 1 or not sizes else sizes.pop(0) for want in field.shape]
    return () if sizes else (*shape[:1], *aligned)
