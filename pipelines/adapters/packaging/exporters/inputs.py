"""How the fields of a request become the inputs of a network, the same way as in serving."""

from __future__ import annotations

from pipelines.values import Field, Layout, Signature


def is_table(signature: Signature) -> bool:
    """Whether rows are records of single values: a network then takes the columns as one array."""
    return signature.layout is Layout.RECORDS and not any(field.shape for field in signature.inputs)


def groups(signature: Signature) -> list[tuple[Field, ...]]:
    """The fields of which each of the network's inputs is made, in order."""
    return [signature.inputs] if is_table(signature) else [(field,) for field in signature.inputs]
