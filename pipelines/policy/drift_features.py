"""Features of rows: their columns as they are, the numbers of a short list one by one, an image in summary.

Validation rows come as arrays, later ones as the JSON of a request. Both go through the type that the model takes, so
that the same number falls into the same bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.policy.answers import confidence, said
from pipelines.policy.drift_bins import Values, make_bins, tally
from pipelines.policy.tables import FloatArray
from pipelines.values.drift import Bins, Reference
from pipelines.values.signature import Field, Layout, Signature

MOST_FEATURES = 256
"""More are left out, and so is a list of more numbers than that: it is told in summary."""
PREDICTION, CONFIDENCE = "(prediction)", "(confidence)"
"""Of the answers; in parentheses, since a column may have such a name too."""

Arrays = Mapping[str, npt.NDArray[Any]]


def make_reference(signature: Signature, rows: Arrays, answers: Arrays) -> Reference:
    """The reference of a version.

    Args:
        signature: The version's.
        rows: Validation rows by input field.
        answers: What it says of them by output field.
    """
    left_out = []
    inputs: list[Bins] = []
    for field in signature.inputs:
        if field.dtype == "datetime":
            left_out.append(f"{field.name!r} is a time, which always moves on")
            continue
        found = _of_field(field, rows[field.name])
        if len(inputs) + len(found) > MOST_FEATURES:
            left_out.append(f"{field.name!r} and what follows: there are more than {MOST_FEATURES} features")
            break
        inputs += [make_bins(name, values) for name, values in found.items()]
    outputs = _as_json(signature, answers)
    said_of = {name: values for name, values in _of_answers(outputs).items() if _is_told(values)}
    if PREDICTION not in said_of:
        left_out.append("its answers are neither classes nor numbers")
    return Reference(tuple(inputs), tuple(make_bins(name, values) for name, values in said_of.items()), tuple(left_out))


def tally_rows(
    reference: Reference, signature: Signature, rows: Sequence[Any], hidden: Sequence[str] = ()
) -> dict[str, tuple[int, ...]]:
    """Count rows of requests, as they were sent, in the reference's bins.

    Args:
        reference: The version's.
        signature: Of its requests.
        rows: Of requests that it has answered.
        hidden: Fields that are not kept, or only as hashes.

    Returns:
        By feature, as `tally` counts; a field that the rows do not have as the signature says is left out.
    """
    known = {bins.name: bins for bins in reference.inputs}
    counted: dict[str, tuple[int, ...]] = {}
    for field in signature.inputs if known else ():
        if field.dtype == "datetime" or field.name in hidden:
            continue
        try:
            features = _of_field(field, _array(_sent(field, signature.layout, rows), field))
        except (AttributeError, TypeError, ValueError):
            continue
        counted |= {name: tally(known[name], values) for name, values in features.items() if name in known}
    return counted


def tally_answers(reference: Reference, outputs: Sequence[Any]) -> dict[str, tuple[int, ...]]:
    """Count answers, as they were given, in the reference's bins."""
    known = {bins.name: bins for bins in reference.answers}
    found = _of_answers(outputs)
    return {name: tally(bins, found[name]) for name, bins in known.items() if _fits(bins, found[name])}


def _of_field(field: Field, array: npt.NDArray[Any]) -> dict[str, Values]:
    """The features of a field's values, shape (rows, *field.shape)."""
    if field.dtype == "string":
        return {field.name: [None if value is None else str(value) for value in array.ravel()]}
    with np.errstate(over="ignore"):
        numbers = array.astype(np.dtype(field.dtype) if field.is_float else float).astype(float)
    sizes = [size for size in field.shape if size != 1]
    if not sizes:
        return {field.name: numbers.reshape(len(numbers))}
    if len(sizes) == 1 and sizes[0] is not None and sizes[0] <= MOST_FEATURES:
        flat = numbers.reshape(len(numbers), -1)
        return {f"{field.name}[{place}]": flat[:, place] for place in range(flat.shape[1])}
    return summary(field.name, numbers)


def summary(name: str, numbers: FloatArray) -> dict[str, Values]:
    """What an image or a long list looks like: level, contrast, extremes, what lies at them, and how rough it is."""
    flat = numbers.reshape(len(numbers), -1)
    low, high = flat.min(axis=1), flat.max(axis=1)
    axis = max(range(1, numbers.ndim), key=lambda place: (numbers.shape[place] > 4, place))
    steps = np.abs(np.diff(numbers, axis=axis)).reshape(len(numbers), -1)
    return {
        f"{name}: mean": flat.mean(axis=1),
        f"{name}: spread": flat.std(axis=1),
        f"{name}: lowest": low,
        f"{name}: highest": high,
        f"{name}: share of its lowest": (flat == low[:, None]).mean(axis=1),
        f"{name}: share of its highest": (flat == high[:, None]).mean(axis=1),
        f"{name}: roughness": steps.mean(axis=1) if steps.shape[1] else np.zeros(len(numbers)),
    }


def _sent(field: Field, layout: Layout, rows: Sequence[Any]) -> list[Any]:
    if layout is Layout.TENSOR:
        return list(rows)
    sent = [row.get(field.name) for row in rows]
    if field.required and None in sent:
        raise ValueError("it was not kept")
    return sent


def _array(sent: Sequence[Any], field: Field) -> npt.NDArray[Any]:
    if field.dtype == "string":
        texts = np.empty(len(sent), dtype=object)
        texts[:] = sent
        return texts
    if None in field.shape:
        raise ValueError("its rows differ in length")
    sizes = tuple(size for size in field.shape if size is not None)
    gap: Any = np.full(sizes, np.nan).tolist() if sizes else np.nan
    numbers = np.array([gap if value is None else value for value in sent], dtype=float)
    return numbers.reshape(len(sent), *sizes)


def _as_json(signature: Signature, answers: Arrays) -> list[Any]:
    """Answers as a host writes them."""
    if len(signature.outputs) == 1:
        only: list[Any] = answers[signature.outputs[0].name].tolist()
        return only
    columns = {field.name: answers[field.name].tolist() for field in signature.outputs}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _of_answers(outputs: Sequence[Any]) -> dict[str, Values]:
    return {
        PREDICTION: _either([said(output) for output in outputs]),
        CONFIDENCE: _either([confidence(output) for output in outputs]),
    }


def _either(values: Sequence[str | float | None]) -> Values:
    if any(isinstance(value, str) for value in values):
        return [None if value is None else str(value) for value in values]
    # What was a float of four bytes once is the same number again, whoever has written it down meanwhile.
    numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32).astype(float)


def _is_told(values: Values) -> bool:
    return not isinstance(values, np.ndarray) or not np.isnan(values).all()


def _fits(bins: Bins, values: Values) -> bool:
    """Whether they are numbers where the reference has numbers, and texts where it has texts."""
    return isinstance(values, np.ndarray) is not bool(bins.names) and _is_told(values)
