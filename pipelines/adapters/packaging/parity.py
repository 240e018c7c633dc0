"""Whether two sets of answers to the same rows are equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ExportFailed
from pipelines.serving.outputs import LABEL, Arrays
from pipelines.values import Field, Parity, Signature, Task

TOLERANCE = 1e-4
"""How far an exported number may lie from the original's: |b - a| <= TOLERANCE + TOLERANCE * |a|.

float32 has about seven digits; a network or a sum of a few hundred trees keeps five of them.
"""


def prove(original: Arrays, exported: Arrays, signature: Signature, tolerance: float = TOLERANCE) -> Parity:
    """Compare the answers of an exported model with the original's.

    Numbers may differ by the tolerance. The top class must be the same in every row, except where the original's own
    two best lie within the tolerance of each other: there either is as good.

    Args:
        original: By output field, each of shape (rows, *field.shape).
        exported: Likewise.
        signature: The fields.
        tolerance: See TOLERANCE.

    Returns:
        The proof, its largest difference in two digits: `agreement` counts every row, also those whose two best are as
        good.

    Raises:
        ExportFailed: they are not equal; the message says in which output, how far and in how many rows.
    """
    rows = len(next(iter(original.values())))
    largest = 0.0
    for field in signature.outputs:
        if field.is_numeric and field.name != LABEL:
            largest = max(largest, _compare_numbers(original[field.name], exported[field.name], field, tolerance))
    agreement = None
    if signature.task is Task.CLASSIFICATION or any(field.name == LABEL for field in signature.outputs):
        agreement = _compare_classes(original, exported, signature, tolerance)
    for field in signature.outputs:
        if not field.is_numeric and field.name != LABEL:
            _compare_equal(original[field.name], exported[field.name], field)
    # Two digits: the last ones depend on how many threads added up, and the bento's digest must not.
    return Parity(rows=rows, max_abs_diff=float(f"{largest:.2g}"), agreement=agreement, tolerance=tolerance)


def _compare_numbers(original: NDArray[Any], exported: NDArray[Any], field: Field, tolerance: float) -> float:
    rows = len(original)
    if original.shape != exported.shape:
        raise ExportFailed(f"the exported {field.name!r} has the shape {exported.shape}, the original {original.shape}")
    before, after = original.astype(np.float64).reshape(rows, -1), exported.astype(np.float64).reshape(rows, -1)
    with np.errstate(invalid="ignore"):
        # Not a number, or infinite, in both is the same answer.
        same = (before == after) | (np.isnan(before) & np.isnan(after))
        far = np.where(same, 0.0, np.abs(after - before))
        wrong = ~same & ~(np.isfinite(far) & (far <= tolerance + tolerance * np.abs(before)))
    lost = wrong & ~np.isfinite(far)
    if lost.any():
        raise ExportFailed(
            f"the exported model's {field.name!r} is not finite where the original's is, or the reverse, "
            f"on {_count(lost)} of {rows} rows"
        )
    if wrong.any():
        raise ExportFailed(
            f"the exported model's {field.name!r} differs by {far[wrong].max():.2g} on {_count(wrong)} of {rows} rows"
        )
    return float(far.max(initial=0.0))


def _count(wrong: NDArray[np.bool_]) -> int:
    return int(wrong.any(axis=1).sum())


def _compare_classes(original: Arrays, exported: Arrays, signature: Signature, tolerance: float) -> float:
    scores = next((field for field in signature.outputs if len(field.shape) == 1 and field.is_float), None)
    ties = np.zeros(len(next(iter(original.values()))), dtype=bool)
    differ = np.zeros_like(ties)
    if scores is not None:
        before, after = original[scores.name], exported[scores.name]
        differ |= before.argmax(axis=1) != after.argmax(axis=1)
        best = np.sort(before, axis=1)[:, -2:]
        ties = best[:, 1] - best[:, 0] <= tolerance if best.shape[1] > 1 else ties
    if any(field.name == LABEL for field in signature.outputs):
        differ |= original[LABEL] != exported[LABEL]
    wrong = differ & ~ties
    if wrong.any():
        raise ExportFailed(f"the exported model gives another class on {int(wrong.sum())} of {len(wrong)} rows")
    return float(1.0 - differ.mean())


def _compare_equal(original: NDArray[Any], exported: NDArray[Any], field: Field) -> None:
    differ = (original != exported).reshape(len(original), -1).any(axis=1)
    if differ.any():
        raise ExportFailed(f"the exported model's {field.name!r} differs on {int(differ.sum())} of {len(differ)} rows")
