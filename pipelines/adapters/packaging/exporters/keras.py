"""Keras and TensorFlow, by tf2onnx."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.adapters.packaging.exporters.failures import explain
from pipelines.adapters.packaging.exporters.inputs import groups, is_table
from pipelines.adapters.packaging.graph import Answer, Feed, RawGraph
from pipelines.errors import ExportFailed
from pipelines.values import Field, Layout, Signature


def export(model: Any, signature: Signature, precision: str) -> RawGraph:
    """See the package; a network computes in the types it was built with."""
    import tensorflow as tf
    import tf2onnx

    del precision
    call = _call(model, signature)
    inputs = groups(signature)
    specs = [_spec(group, f"x{number}") for number, group in enumerate(inputs)]
    function = tf.function(call)
    with explain("tf2onnx", model):
        proto, _ = tf2onnx.convert.from_function(function, specs)
    _keep_captured(proto.graph, function.get_concrete_function(*specs), {spec.name for spec in specs})
    if len(proto.graph.output) != len(signature.outputs):
        raise ExportFailed(f"tf2onnx gave {len(proto.graph.output)} outputs, the model has {len(signature.outputs)}")
    feeds = tuple(Feed(spec.name, group) for spec, group in zip(specs, inputs, strict=True))
    answers = tuple(
        Answer(output.name, field) for output, field in zip(proto.graph.output, signature.outputs, strict=True)
    )
    return RawGraph(proto, feeds, answers)


def _keep_captured(graph: Any, concrete: Any, given: set[str]) -> None:
    """Put the values into the graph that a layer holds without them being weights, such as a normalisation's mean.

    The converter takes each of them for one more input, which no request has.
    """
    import tensorflow as tf
    from onnx import numpy_helper

    held = {inner.name: outer for outer, inner in concrete.graph.captures if outer.dtype != tf.resource}
    extra = [value for value in graph.input if value.name not in given and value.name in held]
    used = {name for node in graph.node for name in node.input}
    for value in extra:
        graph.input.remove(value)
        if value.name in used:
            graph.initializer.append(numpy_helper.from_array(held[value.name].numpy(), value.name))


def _spec(group: tuple[Field, ...], name: str) -> Any:
    import tensorflow as tf

    if len(group) > 1 or not group[0].shape:
        return tf.TensorSpec([None, len(group)], tf.float32, name=name)
    # None as the length of an axis is TensorFlow's own way to say "of any length".
    return tf.TensorSpec([None, *group[0].shape], tf.dtypes.as_dtype(group[0].dtype), name=name)


def _call(model: Any, signature: Signature) -> Callable[..., list[Any]]:
    """The model as a function from one tensor an input to one tensor an output field."""
    names = [field.name for field in signature.inputs]

    def call(*tensors: Any) -> list[Any]:
        is_one = signature.layout is Layout.TENSOR or is_table(signature)
        given = tensors[0] if is_one else dict(zip(names, tensors, strict=True))
        if hasattr(model, "predict"):
            return _in_order(model(given, training=False), signature)
        serve = model.signatures["serving_default"]  # a plain SavedModel
        named = given if isinstance(given, Mapping) else {next(iter(serve.structured_input_signature[1])): given}
        return _in_order(serve(**named), signature)

    return call


def _in_order(answer: Any, signature: Signature) -> list[Any]:
    if isinstance(answer, Mapping):
        by_name = {field.name: answer.get(field.name) for field in signature.outputs}
        return list(answer.values()) if len(answer) == 1 else list(by_name.values())
    return list(answer) if isinstance(answer, list | tuple) else [answer]
