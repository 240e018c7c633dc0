"""Which outputs of a converter's graph are the signature's fields."""

from __future__ import annotations

from typing import Any

from pipelines.adapters.packaging.graph import Answer
from pipelines.errors import ExportFailed
from pipelines.serving.outputs import LABEL, PROBABILITIES
from pipelines.values import Signature


def classifier_answers(graph: Any, signature: Signature) -> tuple[Answer, ...]:
    """For a classifier's graph, whose outputs are the label and the probabilities, in this order."""
    order = {LABEL: 0, PROBABILITIES: 1}
    unknown = [field.name for field in signature.outputs if field.name not in order]
    if unknown or len(graph.output) < len(order):
        raise ExportFailed(f"the exported classifier has no output {', '.join(unknown) or PROBABILITIES}")
    return tuple(Answer(graph.output[order[field.name]].name, field) for field in signature.outputs)


def only_answer(graph: Any, signature: Signature) -> tuple[Answer, ...]:
    """For a graph whose first output is the model's whole answer."""
    if len(signature.outputs) != 1:
        raise ExportFailed(f"the exported model has one output, the original {len(signature.outputs)}")
    return (Answer(graph.output[0].name, signature.outputs[0]),)
