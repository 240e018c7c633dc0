"""What skl2onnx has to be told of a fitted estimator's parts before it converts them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING_TEXT = ""
"""ONNX has no missing text: serving hands over an empty one, so the exported model takes an empty one as missing."""

_FLOAT32_TREES = re.compile("DecisionTree|ExtraTree|RandomForest|^GradientBoosting|^XGB")
"""Estimators that compare float32 numbers, whatever they are given."""
_FLOAT32_RANGE = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))


def parts(model: Any) -> Iterator[Any]:
    """Every estimator inside an estimator, itself included."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, list | tuple):
            waiting.extend(thing)
        elif isinstance(thing, dict):
            waiting.extend(thing.values())
        elif isinstance(thing, np.ndarray) and thing.dtype == object:
            waiting.extend(thing.flat)
        elif hasattr(thing, "get_params") and not isinstance(thing, type):
            yield thing
            waiting.extend(vars(thing).values())


def adapt(model: Any, precision: str) -> Any:
    """A copy of the model that skl2onnx can convert.

    It knows a missing text as MISSING_TEXT. In float64, a pipeline that ends in trees rounds to float32 before them, as
    scikit-learn's trees do themselves: a value that lies on a threshold then stays on its side of it.
    """
    adapted = copy.deepcopy(model)
    for part in parts(adapted):
        # Composite estimators keep the unfitted parts they were made of as well.
        kind, fitted = type(part).__name__, vars(part)
        if kind == "SimpleImputer" and "statistics_" in fitted and part.statistics_.dtype == object:
            part.missing_values = MISSING_TEXT
        if kind in ("OneHotEncoder", "OrdinalEncoder") and "categories_" in fitted:
            part.categories_ = [_named(categories) for categories in part.categories_]
        if "tree_" in fitted:
            _bound(part.tree_.threshold)
        if kind == "VotingClassifier":
            part.flatten_transform = False  # `transform` alone looks at it, and the converter refuses it
        if kind == "Pipeline" and precision == "float64" and _FLOAT32_TREES.search(type(part.steps[-1][1]).__name__):
            part.steps.insert(-1, ("rounded", _rounding()))
    return adapted


def _bound(thresholds: NDArray[np.float64]) -> None:
    """Make infinite thresholds finite, in place: a split on gaps alone has one, and the converter searches for ever."""
    np.clip(thresholds, *_FLOAT32_RANGE, out=thresholds)


def _rounding() -> Any:
    from skl2onnx.sklapi import CastTransformer

    return CastTransformer(dtype=np.float32)


def _named(categories: Any) -> Any:
    if categories.dtype != object:
        return categories
    named = categories.copy()
    # NaN is the one value that differs from itself.
    named[[value is None or value != value for value in categories]] = MISSING_TEXT
    return named
