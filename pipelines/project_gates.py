"""Reads `[tool.turnout.models.NAME.gates]`: what a version must pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from pipelines.errors import BadInput
from pipelines.policy.metrics import BETTER, improves
from pipelines.project_tables import Key, Number, Reader, Table, as_float, listed, nearest
from pipelines.values import Comparison, Gates, ServingGates, Threshold

_VERSUS = "_vs_champion"


class _Threshold(Table):
    min: Number | None = Field(None, description="a finite number")
    max: Number | None = Field(None, description="a finite number")


class _Comparison(Table):
    margin: Number = Field(ge=0, description="a number from 0, the loss that is still tolerated")
    confidence: Number = Field(0.95, ge=0.5, lt=1, description="a number from 0.5 to below 1, such as 0.95")
    better: Literal["higher", "lower"] | None = Field(None, description='"higher" or "lower"')


class _Serving(Table):
    latency_p95_ms: Number | None = Field(None, gt=0, description="a number above 0, in milliseconds")
    start_seconds: Number | None = Field(None, gt=0, description="a number above 0, in seconds")
    memory_mb: Number | None = Field(None, gt=0, description="a number above 0, in megabytes")


def read_gates(reader: Reader, table: Mapping[str, Any], key: Key) -> Gates:
    """All gates of a model; those whose mistakes have been noted are left out."""
    thresholds: list[Threshold] = []
    comparisons: list[Comparison] = []
    serving = ServingGates()
    for name, value in table.items():
        here = (*key, name)
        if name == "serving":
            serving = _serving(reader, value, here) or serving
        elif name.endswith(_VERSUS):
            if comparison := _comparison(reader, name.removesuffix(_VERSUS), value, here):
                comparisons.append(comparison)
        elif threshold := _threshold(reader, name, value, here):
            thresholds.append(threshold)
    return Gates(tuple(thresholds), tuple(comparisons), serving)


def _threshold(reader: Reader, metric: str, value: Any, key: Key) -> Threshold | None:
    if isinstance(value, dict) and "margin" in value:
        reader.wrong((*key, "margin"), f" belongs to a comparison; the gate would be called {metric}{_VERSUS}")
        return None
    before = len(reader.problems)
    read = reader.table(_Threshold, value, key, "{ min = 0.9 }, { max = 0.5 } or both")
    if read is None or len(reader.problems) > before:
        return None
    try:
        return Threshold(metric, as_float(read.min), as_float(read.max))
    except BadInput as error:
        reader.wrong(key, f": {error.what}; {error.instead}")
        return None


def _comparison(reader: Reader, metric: str, value: Any, key: Key) -> Comparison | None:
    if not metric:
        reader.wrong(key, f" names no metric; write one before {_VERSUS}")
        return None
    if isinstance(value, dict) and {"min", "max"} & set(value):
        reader.wrong(key, f" takes a margin, not min or max; a bound on the metric itself is a gate called {metric}")
        return None
    read = reader.table(_Comparison, value, key, "{ margin = 0.01 }")
    if read is None:
        return None
    known = BETTER.get(metric)
    if known and read.better and read.better != known:
        reader.wrong((*key, "better"), f" is {read.better!r}, but {metric} is better when {known}; leave it out")
        return None
    # A column of the notebook's own says nothing about its direction, and guessing could turn a gate around.
    better = read.better or improves(metric)
    if better is None:
        said = nearest(metric, BETTER) or f"; without it only {listed(BETTER)} can be compared"
        reader.wrong((*key, "better"), f' is missing: write "higher" or "lower" for {metric}{said}')
        return None
    return Comparison(metric, float(read.margin), float(read.confidence), better)


def _serving(reader: Reader, value: Any, key: Key) -> ServingGates | None:
    read = reader.table(_Serving, value, key)
    if read is None:
        return None
    return ServingGates(as_float(read.latency_p95_ms), as_float(read.start_seconds), as_float(read.memory_mb))
