"""XGBoost and LightGBM: their scikit-learn wrappers and their own boosters, by onnxmltools."""

from __future__ import annotations

import copy
from typing import Any

from pipelines.adapters.packaging.exporters.answers import classifier_answers, only_answer
from pipelines.adapters.packaging.exporters.failures import explain
from pipelines.adapters.packaging.graph import Answer, Feed, RawGraph
from pipelines.errors import ExportFailed
from pipelines.values import Signature

_INPUT = "X"


def export(model: Any, signature: Signature, precision: str) -> RawGraph:
    """See the package; trees compute in float32."""
    from onnxmltools.convert.common.data_types import FloatTensorType

    del precision
    types = [(_INPUT, FloatTensorType([None, features(signature)]))]
    is_xgboost = type(model).__module__.split(".")[0] == "xgboost"
    with explain("onnxmltools", model):
        proto = _convert_xgboost(model, types) if is_xgboost else _convert_lightgbm(model, types)
    return RawGraph(proto, (Feed(_INPUT, signature.inputs),), _answers(model, proto, signature))


def features(signature: Signature) -> int:
    """How many numbers a row has: the columns of a table, or the length of a vector.

    Raises:
        ExportFailed: rows are something else.
    """
    shapes = {field.shape for field in signature.inputs}
    if any(field.dtype in ("string", "datetime") for field in signature.inputs):
        named = ", ".join(field.name for field in signature.inputs if field.dtype in ("string", "datetime"))
        raise ExportFailed(f"the exporter takes numbers only, and these columns are none: {named}")
    if shapes == {()}:
        return len(signature.inputs)
    shape = signature.inputs[0].shape
    if len(signature.inputs) == 1 and len(shape) == 1 and shape[0] is not None:
        return shape[0]
    raise ExportFailed("the exporter takes rows that are one vector of known length")


def _convert_xgboost(model: Any, types: list[Any]) -> Any:
    import onnxmltools

    plain = copy.deepcopy(model)
    # onnxmltools reads the names f0, f1, ... only, which a booster has when it knows no others.
    booster = plain.get_booster() if hasattr(plain, "get_booster") else plain
    booster.feature_names = None
    return onnxmltools.convert_xgboost(plain, name="model", initial_types=types)


def _convert_lightgbm(model: Any, types: list[Any]) -> Any:
    import onnxmltools

    return onnxmltools.convert_lightgbm(model, name="model", initial_types=types, zipmap=False)


def _answers(model: Any, proto: Any, signature: Signature) -> tuple[Answer, ...]:
    graph = proto.graph
    if hasattr(model, "predict_proba"):
        return classifier_answers(graph, signature)
    if len(graph.output) == 1:
        return only_answer(graph, signature)
    field = signature.outputs[0]
    # A booster answers with probabilities alone, and for two classes with the second one's.
    return (Answer(graph.output[1].name, field, column=None if field.shape else 1),)
