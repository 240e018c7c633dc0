"""Example rows as clients send them: what fields they have, and how a host reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipelines.errors import BadRequest, BadServiceCode
from pipelines.serving.codec import Decoder
from pipelines.serving.outputs import Arrays
from pipelines.values import ROWS_FILE, Field, Layout, Signature

_NAME = "inputs"
_SCALARS = (
    (frozenset({bool}), "bool"),
    (frozenset({int}), "int64"),
    (frozenset({int, float}), "float64"),
    (frozenset({str}), "string"),
)


def read(text: str, signature: Signature) -> tuple[list[Any], Signature, Arrays]:
    """The rows, the signature with the inputs that they show, and the rows as a host decodes them.

    Args:
        text: A request body, `{"inputs": [...]}`.
        signature: The model's own.

    Raises:
        BadServiceCode: they are no rows, or do not agree with one another.
    """
    try:
        rows = json.loads(text)["inputs"]
        found = _fields(rows)
        interface = replace(signature, layout=found[0], inputs=found[1])
        arrays, _ = Decoder(interface).decode(json.dumps({"inputs": rows}).encode())
    except BadServiceCode:
        raise
    except BadRequest as error:
        raise _refusal(error.what, error.instead) from error
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise _refusal(f"it is no list of rows ({type(error).__name__})") from error
    return rows, interface, arrays


def _refusal(what: str, instead: str = "") -> BadServiceCode:
    return BadServiceCode(
        f"the example rows in {ROWS_FILE} are not the rows of one request: {what}",
        instead=instead or "each row has the same fields, of the same types and shapes",
        then="Correct the file, or store the function again with --rows.",
    )


def _fields(rows: Any) -> tuple[Layout, tuple[Field, ...]]:
    if not isinstance(rows, list) or not rows:
        raise _refusal("it has no rows")
    if all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        return Layout.RECORDS, tuple(_field(name, [row.get(name) for row in rows]) for name in names)
    field = _field(_NAME, rows)
    if not field.required:
        raise _refusal("one is null")
    return Layout.TENSOR, (field,)


def _field(name: str, values: Sequence[Any]) -> Field:
    present = [value for value in values if value is not None]
    kinds = frozenset(map(type, present))
    required = len(present) == len(values)
    for known, dtype in _SCALARS:
        if kinds and kinds <= known:
            return Field(name, dtype, required=required)
    if kinds != {list}:
        raise _refusal(f"{name!r} is {' and '.join(sorted(kind.__name__ for kind in kinds)) or 'null in each'}")
    array = np.array(present)
    if array.dtype.kind not in "bif" or not array.size:
        raise _refusal(f"{name!r} has a list of something else than numbers")
    dtype = {"b": "bool", "i": "int64", "f": "float64"}[array.dtype.kind]
    if not required and dtype != "float64":
        raise _refusal(f"{name!r} is null in a row, and only a list of fractions may be")
    return Field(name, dtype, array.shape[1:], required)
