"""scikit-learn: single estimators, pipelines and column transformers, by skl2onnx."""

from __future__ import annotations

from typing import Any

from pipelines.adapters.packaging.exporters.answers import classifier_answers, only_answer
from pipelines.adapters.packaging.exporters.failures import explain
from pipelines.adapters.packaging.exporters.sklearn_converters import register_converters
from pipelines.adapters.packaging.exporters.sklearn_parts import adapt, parts
from pipelines.adapters.packaging.exporters.trees import features
from pipelines.adapters.packaging.graph import Feed, RawGraph
from pipelines.serving.outputs import PROBABILITIES
from pipelines.values import Layout, Signature

_INPUT = "X"
_ML_OPSET = 3
"""The newest that the converters of boosters know too."""
_LOCALE = "C.UTF-8"
"""For lower case: the default, en_US, is missing on many servers, and the graph then does not load."""


def export(model: Any, signature: Signature, precision: str) -> RawGraph:
    """See the package. All numbers enter the pipeline in `precision`, since its steps join them into one table."""
    from skl2onnx import convert_sklearn, get_latest_tested_opset_version

    by_column = signature.layout is Layout.RECORDS and _wants_columns(model, signature)
    types = _column_types(signature, precision) if by_column else _joined_type(signature, precision)
    feeds = [Feed(name, signature.inputs) for name, _ in types]
    if by_column:
        feeds = [Feed(field.name, (field,)) for field in signature.inputs]
    wants_probabilities = any(field.name == PROBABILITIES for field in signature.outputs)
    with explain("skl2onnx", model):
        register_converters(model)
        adapted = adapt(model, precision)
        proto = convert_sklearn(
            adapted,
            name="model",
            initial_types=types,
            options=_options(adapted, wants_probabilities=wants_probabilities) or None,
            target_opset={"": get_latest_tested_opset_version(), "ai.onnx.ml": _ML_OPSET},
        )
    answers = classifier_answers if wants_probabilities else only_answer
    return RawGraph(proto, tuple(feeds), answers(proto.graph, signature))


def _options(model: Any, *, wants_probabilities: bool) -> dict[int, dict[str, Any]]:
    options: dict[int, dict[str, Any]] = {id(model): {"zipmap": False}} if wants_probabilities else {}
    for part in parts(model):
        if type(part).__name__ in ("CountVectorizer", "TfidfVectorizer"):
            options[id(part)] = {"locale": _LOCALE}
        if type(part).__name__ == "LinearSVC" and not wants_probabilities:
            # skl2onnx gives every last step the option `zipmap` unless it has others, and this one does not know it.
            options[id(part)] = {"nocl": False}
    return options


def _wants_columns(model: Any, signature: Signature) -> bool:
    """Whether a table has to go in column by column: a step chooses among them, or not all are numbers."""
    chooses = any(type(part).__name__ == "ColumnTransformer" for part in parts(model))
    return chooses or any(field.dtype in ("string", "datetime") for field in signature.inputs)


def _column_types(signature: Signature, precision: str) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    number = FloatTensorType if precision == "float32" else DoubleTensorType
    return [
        (field.name, (StringTensorType if field.dtype == "string" else number)([None, 1])) for field in signature.inputs
    ]


def _joined_type(signature: Signature, precision: str) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    number = FloatTensorType if precision == "float32" else DoubleTensorType
    return [(_INPUT, number([None, features(signature)]))]
