"""What an answer says, read from the JSON of a prediction's output: a class or a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Said = str | float
"""A class by its name, or a number."""

_LABEL, _PROBABILITIES = "label", "probabilities"
_WHOLE_CLASSES = 2
"""Fewer numbers than these are no probabilities of classes."""


def said(output: Any) -> Said | None:
    """What one row's output says; None for what is neither a class nor a number.

    Several numbers are scores of classes: the place of the largest is the class. Of several named outputs `label`
    counts, then `probabilities`, then the first.
    """
    if isinstance(output, Mapping):
        return said(_counting(output))
    if isinstance(output, bool):
        return str(output).lower()
    if isinstance(output, str):
        return output
    if isinstance(output, int | float):
        return float(output) if math.isfinite(output) else None
    if isinstance(output, Sequence):
        return _of_several(output)
    return None


def said_of_truth(output: Any) -> Said | None:
    """As `said`, for a comparison with a label or another version: a whole number, without a point, is a class."""
    while isinstance(output, Mapping) or (isinstance(output, list) and len(output) == 1):
        output = _counting(output) if isinstance(output, Mapping) else output[0]
    return str(output) if isinstance(output, int) and not isinstance(output, bool) else said(output)


def confidence(output: Any) -> float | None:
    """The largest of a row's scores, when they are probabilities; None when the output has none."""
    if isinstance(output, Mapping):
        output = output.get(_PROBABILITIES)
    scores = _numbers(output)
    if scores is None or len(scores) < _WHOLE_CLASSES or min(scores) < 0:
        return None
    return max(scores) if math.isclose(sum(scores), 1, abs_tol=1e-3) else None


def _counting(outputs: Mapping[str, Any]) -> Any:
    """The one of several named outputs that counts."""
    named = next((outputs[name] for name in (_LABEL, _PROBABILITIES) if name in outputs), None)
    return next(iter(outputs.values()), None) if named is None else named


def _of_several(output: Sequence[Any]) -> Said | None:
    if len(output) == 1:
        return said(output[0])
    scores = _numbers(output)
    if scores is None or len(scores) < _WHOLE_CLASSES:
        return None
    return str(max(range(len(scores)), key=scores.__getitem__))


def _numbers(output: Any) -> list[float] | None:
    if not isinstance(output, Sequence) or isinstance(output, str):
        return None
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in output):
        return None
    return [float(one) for one in output]
