"""The Signature of a logged model: from MLflow's own, from the model's answers, and from real rows without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.adapters.packaging.rows import Raw, inferred_fields, is_missing
from pipelines.errors import PackageFailed
from pipelines.serving.native import has_probabilities
from pipelines.serving.outputs import LABEL, PREDICTION, PROBABILITIES, to_numpy
from pipelines.values import Field, Layout, Signature, Task

_COLUMN_TYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "datetime": "datetime",
}

INPUTS = "inputs"
OUTPUTS = "outputs"


def input_fields(schema: Any) -> tuple[Layout, tuple[Field, ...]] | None:
    """Layout and fields from MLflow's input schema (`mlflow.types.Schema`); None when it says nothing.

    Raises:
        PackageFailed: a column has a type that no request field can have.
    """
    if schema is None or not schema.inputs:
        return None
    if schema.is_tensor_spec():
        layout = Layout.TENSOR if len(schema.inputs) == 1 else Layout.RECORDS
        return layout, tuple(_tensor_field(spec) for spec in schema.inputs)
    if any(spec.name is None for spec in schema.inputs):
        return None
    return Layout.RECORDS, tuple(_column_field(spec) for spec in schema.inputs)


def _tensor_field(spec: Any) -> Field:
    kind = np.dtype(spec.type)
    dtype = "string" if kind.kind in "OUS" else "datetime" if kind.kind == "M" else str(kind)
    shape = tuple(None if size == -1 else int(size) for size in spec.shape[1:])
    return Field(spec.name or INPUTS, "float32" if dtype == "float16" else dtype, shape)


def _column_field(spec: Any) -> Field:
    kind = getattr(spec.type, "name", str(spec.type))
    if kind not in _COLUMN_TYPES:
        raise PackageFailed(
            f"the model's column {spec.name!r} has the type {kind}",
            instead=f"a column may be {', '.join(_COLUMN_TYPES)}",
            then="Log the model with such a signature, and train again.",
        )
    return Field(str(spec.name), _COLUMN_TYPES[kind], required=bool(spec.required))


def described_inputs(schema: Any, raw: Raw) -> tuple[Layout, tuple[Field, ...]]:
    """Layout and fields: MLflow's, or those of the rows; a column with missing values among the rows is optional."""
    found = input_fields(schema)
    if found is None:
        return inferred_fields(raw)
    layout, fields = found
    if layout is Layout.RECORDS:
        fields = tuple(replace(field, required=field.required and not _has_gaps(raw, field)) for field in fields)
    return layout, fields


def _has_gaps(raw: Raw, field: Field) -> bool:
    return not field.shape and field.name in raw and bool(is_missing(raw[field.name]).any())


def draft(layout: Layout, fields: tuple[Field, ...], model: Any) -> Signature:
    """The signature before the model has answered: right for a classifier with probabilities, a guess for others."""
    outputs: tuple[Field, ...] = (Field(OUTPUTS, "float32"),)
    if is_single_classifier(model):
        outputs = (Field(LABEL, "string"), Field(PROBABILITIES, "float64", (len(model.classes_),)))
    return Signature(layout, fields, outputs)


def is_single_classifier(model: Any) -> bool:
    """Whether the model gives one label a row and the probabilities of all."""
    return has_probabilities(model, Task.OTHER) and not isinstance(model.classes_, list)


def complete(drafted: Signature, answer: Any, model: Any, schema: Any, rows: int) -> Signature:
    """The signature with outputs, task and classes.

    Args:
        drafted: Its inputs count.
        answer: What the model answered for `rows` rows, as it came.
        model: The model.
        schema: MLflow's output schema, or None; it names outputs that the answer does not.
        rows: How many.

    Raises:
        PackageFailed: the answer is nothing that a response can hold.
    """
    specs = list(schema.inputs) if schema is not None else []
    if isinstance(answer, Mapping) and PROBABILITIES in answer and is_single_classifier(model):
        return _classifier(drafted, to_numpy(answer[PROBABILITIES]), model)
    named = _named_parts(answer, [spec.name for spec in specs], model)
    if len(named) > 1:
        outputs = tuple(_output(name, part, rows, spec=None) for name, part in named.items())
        return replace(drafted, outputs=outputs, task=Task.OTHER)
    name, part = next(iter(named.items()))
    return _single(drafted, name, part, model, rows, specs[0] if len(specs) == 1 else None)


def _classifier(drafted: Signature, probabilities: NDArray[Any], model: Any) -> Signature:
    labels = np.asarray(model.classes_)
    outputs = (
        Field(LABEL, _dtype(labels, LABEL)),
        Field(PROBABILITIES, _dtype(probabilities, PROBABILITIES), (len(labels),)),
    )
    return replace(drafted, outputs=outputs, task=Task.CLASSIFICATION, classes=tuple(labels.tolist()))


def _named_parts(answer: Any, names: list[str | None], model: Any) -> dict[str, NDArray[Any]]:
    if isinstance(answer, Mapping) or hasattr(answer, "columns"):
        return {str(name): to_numpy(answer[name]) for name in list(answer)}
    if isinstance(answer, list | tuple) and len(answer) > 1:
        known = getattr(model, "output_names", None) or names
        if len(known) != len(answer) or None in known:
            known = [f"output_{number}" for number in range(len(answer))]
        return {str(name): to_numpy(part) for name, part in zip(known, answer, strict=True)}
    only = answer[0] if isinstance(answer, list | tuple) else answer
    return {(names[0] if len(names) == 1 and names[0] else ""): to_numpy(only)}


def _single(drafted: Signature, name: str, part: NDArray[Any], model: Any, rows: int, spec: Any) -> Signature:
    field = _output(name or OUTPUTS, part, rows, spec)
    if is_distribution(part, field):
        classes = tuple(range(part.shape[1]))
        return replace(
            drafted, outputs=(replace(field, name=name or PROBABILITIES),), task=Task.CLASSIFICATION, classes=classes
        )
    if field.shape in ((), (1,)):
        labels = getattr(model, "_estimator_type", None) == "classifier" or hasattr(model, "classes_")
        task = Task.CLASSIFICATION if labels else Task.REGRESSION if field.is_float else Task.OTHER
        known = tuple(np.asarray(model.classes_).tolist()) if labels and hasattr(model, "classes_") else ()
        return replace(
            drafted,
            outputs=(replace(field, name=name or (LABEL if labels else PREDICTION), shape=()),),
            task=task,
            classes=known,
        )
    named = name or (PREDICTION if hasattr(model, "predict") and hasattr(model, "get_params") else OUTPUTS)
    return replace(drafted, outputs=(replace(field, name=named),), task=Task.OTHER)


def is_distribution(part: NDArray[Any], field: Field) -> bool:
    """Whether each row is a probability distribution over two classes or more."""
    if not field.is_float or len(field.shape) != 1 or part.shape[1] < 2:
        return False
    return bool((part >= 0).all() and np.allclose(part.sum(axis=1), 1.0, atol=1e-3))


def _output(name: str, part: NDArray[Any], rows: int, spec: Any) -> Field:
    if part.ndim == 0 or part.shape[0] != rows:
        raise PackageFailed(
            f"the model answered {rows} rows with the shape {part.shape} in {name!r}",
            instead="the first axis of an answer is its rows",
            then="Log a model that answers row by row.",
        )
    shape: tuple[int | None, ...] = part.shape[1:]
    wanted = tuple(getattr(spec, "shape", ()) or ())[1:]
    if len(wanted) == len(shape):  # an axis that MLflow's schema leaves open differs from batch to batch
        shape = tuple(None if asked == -1 else size for asked, size in zip(wanted, shape, strict=True))
    return Field(name, _dtype(part, name), shape)


def _dtype(part: NDArray[Any], name: str) -> str:
    if part.dtype.kind in "OUS":
        return "string"
    if part.dtype == np.float16:
        return "float32"
    if part.dtype.kind not in "biuf":
        raise PackageFailed(
            f"the model's output {name!r} has the type {part.dtype}", instead="numbers, booleans and text"
        )
    return str(part.dtype)


def as_exported(signature: Signature, precision: str) -> Signature:
    """The signature of an export that computes in `precision`: what it takes and gives as float64 is that."""
    if precision == "float64":
        return signature

    def narrow(field: Field) -> Field:
        return replace(field, dtype=precision) if field.dtype == "float64" else field

    return replace(
        signature, inputs=tuple(map(narrow, signature.inputs)), outputs=tuple(map(narrow, signature.outputs))
    )
