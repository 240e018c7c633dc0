"""The original model with its framework, where no equal ONNX file could be made.

`NativeModel.wrap` also gives the exporter the original's answers, by the very rules a native bento follows.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.outputs import LABEL, PROBABILITIES, Arrays, read_outputs
from pipelines.values.manifest import Manifest
from pipelines.values.signature import Field, Layout, Signature, Task

FLAVOURS = ("keras", "tensorflow", "sklearn", "pytorch", "xgboost", "lightgbm")
"""MLflow flavours that are loaded by their own module; any other as `pyfunc`."""

_KERAS_BATCH = 256


class NativeModel:
    """A model as its MLflow flavour loads it.

    A table goes in as a DataFrame (missing texts are NaN, dates datetime64[ns]), a tensor as one array, several named
    tensors as a dictionary. A classifier with `predict_proba` answers the fields `label` and `probabilities`. The
    flavours of FLAVOURS are safe in several threads; an unknown Python function is not taken to be.
    """

    def __init__(self, model: Any, flavour: str, signature: Signature) -> None:
        self._model = model
        self._flavour = flavour if flavour in FLAVOURS else "pyfunc"
        self._signature = signature
        self._is_table = signature.layout is Layout.RECORDS and not any(field.shape for field in signature.inputs)
        self._outputs = {field.name for field in signature.outputs}
        self.takes_threads = self._flavour != "pyfunc"

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> NativeModel:
        """Load the MLflow model folder of a native bento; the framework is imported now."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        name = manifest.flavour if manifest.flavour in FLAVOURS else "pyfunc"
        return cls.wrap(import_module(f"mlflow.{name}").load_model(str(folder)), manifest.flavour, manifest.signature)

    @classmethod
    def wrap(cls, model: Any, flavour: str, signature: Signature) -> NativeModel:
        """Wrap a model that is loaded already; `flavour` says who made it.

        A PyTorch module is left in its mode: MLflow loads it for evaluation, and an exported program has no other.
        """
        return cls(model, flavour, signature)

    def predict(self, arrays: Arrays) -> Arrays:
        """See `Model.predict`."""
        rows = len(next(iter(arrays.values())))
        return read_outputs(self.answer(arrays), self._signature, rows)

    def answer(self, arrays: Arrays) -> Any:
        """The model's own answer, before it is brought into the output fields; the exporter derives those from it."""
        return self._call(self._given(arrays))

    def _given(self, arrays: Arrays) -> Any:
        if self._is_table:
            return _frame(arrays, self._signature.inputs, nullable=self._flavour == "pyfunc")
        if self._signature.layout is Layout.TENSOR:
            return next(iter(arrays.values()))
        return arrays

    def _call(self, given: Any) -> Any:
        if self._flavour in ("keras", "tensorflow"):
            return _call_keras(self._model, given)
        if self._flavour == "pytorch":
            return _call_torch(self._model, given)
        if self._flavour == "xgboost" and type(self._model).__name__ == "Booster":
            from xgboost import DMatrix

            return self._model.predict(DMatrix(given))
        if PROBABILITIES in self._outputs and hasattr(self._model, "predict_proba"):
            found = {PROBABILITIES: self._model.predict_proba(given)}
            return {**found, LABEL: self._model.predict(given)} if LABEL in self._outputs else found
        return self._model.predict(given)


def has_probabilities(model: Any, task: Task) -> bool:
    """Whether a model answers the fields `label` and `probabilities`; its `classes_` are then the signature's."""
    return task is not Task.REGRESSION and hasattr(model, "predict_proba") and hasattr(model, "classes_")


def _frame(arrays: Arrays, fields: tuple[Field, ...], *, nullable: bool) -> Any:
    import pandas as pd

    return pd.DataFrame({field.name: _series(arrays[field.name], field, nullable=nullable) for field in fields})


def _series(array: NDArray[Any], field: Field, *, nullable: bool) -> Any:
    import pandas as pd

    if array.dtype == object:
        gaps = any(value is None for value in array)
        # Without a type, pandas would take a batch that has nothing but gaps for numbers.
        kind = object if gaps or field.dtype == "string" else None
        return pd.Series([np.nan if value is None else value for value in array], dtype=kind)
    if field.dtype == "datetime":
        return pd.Series(array.astype("datetime64[ns]"))
    # MLflow checks a Python function's input against its signature, and no float column passes for whole numbers.
    if nullable and field.is_numeric and not field.is_float and array.dtype.kind == "f" and not np.isnan(array).any():
        return pd.Series(array.astype(field.dtype))
    return pd.Series(array)


def _call_keras(model: Any, given: Any) -> Any:
    if hasattr(given, "to_numpy"):  # a table is one array of its columns, as in MLflow's own Python function
        given = given.to_numpy(dtype=np.float32)
    if not hasattr(model, "predict"):  # a plain SavedModel
        import tensorflow as tf

        call = model.signatures["serving_default"]
        if isinstance(given, dict):
            return call(**{name: tf.constant(array) for name, array in given.items()})
        (name,) = call.structured_input_signature[1]
        return call(**{name: tf.constant(given)})
    first = next(iter(given.values())) if isinstance(given, dict) else given
    if len(first) <= _KERAS_BATCH:
        return model(given, training=False)  # a fraction of the price of `predict`
    return model.predict(given, batch_size=_KERAS_BATCH, verbose=0)


def _call_torch(model: Any, given: Any) -> Any:
    import torch

    with torch.inference_mode():
        if isinstance(given, dict):
            return model(**{name: torch.from_numpy(array) for name, array in given.items()})
        if isinstance(given, np.ndarray):
            return model(torch.from_numpy(given))
        return model(torch.from_numpy(given.to_numpy(dtype=np.float32)))
