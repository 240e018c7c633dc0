"""ONNX graphs as we ship them: one input a field, one output a field, and the same bytes from the same model.

Exporters hand over a raw graph (`RawGraph`): its own names, whatever input types its converter can compute with.
`finish` puts the request's fields in front of it and names the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.adapters.packaging.canonical import forget_the_maker, number_names
from pipelines.errors import ExportFailed
from pipelines.values import Field, Signature

INPUT_PREFIX = "in."
OUTPUT_PREFIX = "out."
_OPSET = 17
"""Of the operators added here, for a graph that has no others of ONNX's own."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One input of a raw graph.

    Args:
        name: The raw graph's name for it.
        fields: What fills it. Several are columns of one number each, joined along the second axis.
    """

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One output of a raw graph.

    Args:
        name: The raw graph's name for it.
        field: Which output field it answers.
        column: Take this column of a (rows, columns) output only.
    """

    name: str
    field: Field
    column: int | None = None


@dataclass(frozen=True, slots=True)
class RawGraph:
    """What a converter made.

    Args:
        model: The `onnx.ModelProto`.
        feeds: Its inputs.
        answers: Those of its outputs that are wanted.
    """

    model: Any
    feeds: tuple[Feed, ...]
    answers: tuple[Answer, ...]


def tensor_names(signature: Signature) -> dict[str, str]:
    """The name in a finished graph of each field.

    Raises:
        ExportFailed: an input and an output have the same name, which ONNX cannot tell apart.
    """
    shared = {field.name for field in signature.inputs} & {field.name for field in signature.outputs}
    if shared:
        raise ExportFailed(f"the input {min(shared)!r} has the name of an output, which ONNX cannot tell apart")
    inputs = {field.name: INPUT_PREFIX + field.name for field in signature.inputs}
    return inputs | {field.name: OUTPUT_PREFIX + field.name for field in signature.outputs}


def finish(raw: RawGraph) -> bytes:
    """The serialised graph with the fields as inputs and outputs; equal raw graphs give equal bytes.

    Raises:
        ExportFailed: a field cannot be converted to what the raw graph takes, or the result is no valid graph.
    """
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(raw.model)
    if not any(entry.domain == "" for entry in model.opset_import):
        model.opset_import.add(domain="", version=_OPSET)
    names = number_names(model.graph)
    graph = model.graph
    taken = {value.name: value for value in graph.input}
    given = {value.name: value for value in graph.output}
    # A converter leaves out inputs that the model does not look at; a request has them all the same.
    front = [_front(feed, taken.get(names.get(feed.name, ""))) for feed in raw.feeds]
    back = [_back(answer, given[names[answer.name]]) for answer in raw.answers]
    nodes = (
        [node for _, made in front for node in made] + list(graph.node) + [node for _, made in back for node in made]
    )
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.extend(value for values, _ in front for value in values)
    graph.output.extend(value for value, _ in back)
    forget_the_maker(model)
    try:
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ExportFailed(f"the exported graph is not valid: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line that an exception says, or its type where it says nothing."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return said[0][:300] if said else type(error).__name__


def input_type(field: Field) -> int:
    """The ONNX element type in which a field's values arrive; a number that may be missing needs NaN."""
    import numpy as np
    import onnx

    if field.dtype == "datetime":
        raise ExportFailed(f"ONNX has no dates, and {field.name!r} is one")
    if field.dtype == "string":
        return int(onnx.TensorProto.STRING)
    if field.dtype == "bool":
        return int(onnx.TensorProto.BOOL if field.required else onnx.TensorProto.FLOAT)
    if not field.required and not field.is_float:
        return int(onnx.TensorProto.DOUBLE)
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(field.dtype)))


def _front(feed: Feed, value: Any) -> tuple[list[Any], list[Any]]:
    """The graph inputs of a feed, and the nodes that make the raw input `value`, if there is one, of them."""
    from onnx import helper

    rank = len(value.type.tensor_type.shape.dim) if value is not None else 2
    values, nodes, parts = [], [], []
    for field in feed.fields:
        name, arrives = INPUT_PREFIX + field.name, input_type(field)
        shape = ["rows", *field.shape]
        shape += [1] * (max(rank, 2 if len(feed.fields) > 1 else 1) - len(shape))
        values.append(helper.make_tensor_value_info(name, arrives, shape))
        if value is None:
            continue
        wanted = value.type.tensor_type.elem_type
        parts.append(name if arrives == wanted else f"{name}.cast")
        if arrives != wanted:
            nodes.append(helper.make_node("Cast", [name], [parts[-1]], to=wanted))
    if len(parts) == 1:
        nodes.append(helper.make_node("Identity", parts, [value.name]))
    elif parts:
        nodes.append(helper.make_node("Concat", parts, [value.name], axis=1))
    return values, nodes


def _back(answer: Answer, value: Any) -> tuple[Any, list[Any]]:
    """The graph output of an answer, and the nodes that make it of the raw output `value`."""
    import numpy as np
    from onnx import TensorProto, helper

    name, field = OUTPUT_PREFIX + answer.field.name, answer.field
    at, nodes = value.name, []
    if answer.column is not None:
        index = helper.make_tensor("", TensorProto.INT64, [], [answer.column])
        nodes.append(helper.make_node("Constant", [], [f"{name}.column"], value=index))
        nodes.append(helper.make_node("Gather", [at, f"{name}.column"], [f"{name}.one"], axis=1))
        at = f"{name}.one"
    has = value.type.tensor_type.elem_type
    wanted = TensorProto.STRING if field.dtype == "string" else helper.np_dtype_to_tensor_dtype(np.dtype(field.dtype))
    if TensorProto.STRING in (has, wanted) and has != wanted:
        raise ExportFailed(f"the exported model gives {field.name!r} as another type than {field.dtype}")
    kind, details = ("Identity", {}) if has == wanted else ("Cast", {"to": wanted})
    nodes.append(helper.make_node(kind, [at], [name], **details))
    known = value.type.tensor_type.HasField("shape") and answer.column is None
    rank = len(value.type.tensor_type.shape.dim) if known else 1 + len(field.shape)
    shape = ["rows", *field.shape] if rank == 1 + len(field.shape) else [None] * rank
    return helper.make_tensor_value_info(name, wanted, shape), nodes
