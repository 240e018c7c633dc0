"""PyTorch, by its own exporter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.adapters.packaging.exporters.failures import explain
from pipelines.adapters.packaging.exporters.inputs import groups, is_table
from pipelines.adapters.packaging.graph import Answer, Feed, RawGraph
from pipelines.errors import ExportFailed
from pipelines.values import Layout, Signature

_TRACED_ROWS = 2
"""A batch of one row would be taken for a fixed size."""


def export(model: Any, signature: Signature, precision: str) -> RawGraph:
    """See the package; a network computes in the types it was built with."""
    import torch

    del precision
    inputs = groups(signature)
    traced = tuple(_example(group) for group in inputs)
    axes = tuple(dict.fromkeys(_open_axes(group), torch.export.Dim.AUTO) for group in inputs)
    with explain("torch.onnx", model), torch.inference_mode():
        program = torch.onnx.export(
            _in_order(model, signature), traced, dynamo=True, dynamic_shapes=(axes,), verbose=False
        )
        proto = program.model_proto
    if len(proto.graph.output) != len(signature.outputs):
        raise ExportFailed(f"torch.onnx gave {len(proto.graph.output)} outputs, the model has {len(signature.outputs)}")
    # The exporter leaves out unused inputs, so they are matched by its own names for the positional arguments.
    names = [f"tensors_{number}" for number in range(len(inputs))]
    feeds = tuple(Feed(name, group) for name, group in zip(names, inputs, strict=True))
    answers = tuple(
        Answer(output.name, field) for output, field in zip(proto.graph.output, signature.outputs, strict=True)
    )
    return RawGraph(proto, feeds, answers)


def _example(group: tuple[Any, ...]) -> Any:
    import torch

    if len(group) > 1 or not group[0].shape:
        return torch.zeros((_TRACED_ROWS, len(group)), dtype=torch.float32)
    sizes = [_TRACED_ROWS if size is None else size for size in group[0].shape]
    return torch.zeros((_TRACED_ROWS, *sizes), dtype=getattr(torch, group[0].dtype))


def _open_axes(group: tuple[Any, ...]) -> list[int]:
    shape = group[0].shape if len(group) == 1 else ()
    return [0, *(axis for axis, size in enumerate(shape, start=1) if size is None)]


def _in_order(model: Any, signature: Signature) -> Any:
    """The model as a module from one tensor an input to one tensor an output field."""
    import torch

    is_named = signature.layout is Layout.RECORDS and not is_table(signature)

    class InOrder(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            if is_named:
                names = [field.name for field in signature.inputs]
                answer = self.model(**dict(zip(names, tensors, strict=True)))
            else:
                answer = self.model(tensors[0])
            if isinstance(answer, Mapping):
                return tuple(answer[field.name] for field in signature.outputs)
            return tuple(answer) if isinstance(answer, list | tuple) else answer

    module = InOrder()
    # MLflow has loaded the model for evaluation, and `eval()` would ask that of an exported program, which refuses.
    module.training = False
    return module
