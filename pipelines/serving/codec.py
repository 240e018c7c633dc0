"""A request's JSON as arrays, and a model's arrays as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from pipelines.errors import BadRequest
from pipelines.serving.outputs import Arrays, is_finite
from pipelines.serving.scalars import column, describe, shorten
from pipelines.serving.tensors import tensor
from pipelines.values.manifest import Manifest
from pipelines.values.refs import VersionRef
from pipelines.values.signature import Field, Layout, Signature

MAX_CONTAINERS = 2_000_000
"""A body with more lists and objects is refused: parsed, each takes some 90 bytes, however short it is written."""

_SMALL = 64 * 1024
_PIECE_NUMBERS = 100_000
_PIECE_ROWS = 5_000


class Decoder:
    """Reads request bodies `{"inputs": [row, ...]}` of one signature."""

    def __init__(self, signature: Signature) -> None:
        self._fields = signature.inputs
        self._records = signature.layout is Layout.RECORDS
        self._names = frozenset(field.name for field in signature.inputs)
        first = signature.inputs[0]
        self._name, self._shape, self._dtype = first.name, first.shape, np.dtype(object)
        if not self._records and first.is_float and first.shape and None not in first.shape:
            self._dtype = np.dtype(first.dtype)

    def _at_once(self, body: bytes | bytearray) -> tuple[Arrays, int] | None:
        """One plainly right tensor of floats, the most frequent request; None says nothing yet.

        With two quotation marks, those of its key, a body has no text, and without `true` and `false` no booleans; a
        null becomes NaN.
        """
        try:
            rows = orjson.loads(body)["inputs"]
            if body.count(b'"') != 2 or (b"e" in body and (b"true" in body or b"false" in body)):
                return None
            array = np.array(rows, self._dtype)
        except (ValueError, TypeError, LookupError, RuntimeWarning):
            return None
        if array.shape[1:] != self._shape or not len(array) or not is_finite(array):
            return None
        return {self._name: array}, len(array)

    def decode(self, body: bytes | bytearray) -> tuple[Arrays, int]:
        """The body's arrays and how many rows they have, at least 1.

        Returns:
            By field name, each array of shape (rows, *field.shape); a missing value is NaN, None or NaT.

        Raises:
            BadRequest: the body is no such request; the message names the place, what came and what is expected.
        """
        if self._dtype.kind == "f" and len(body) <= _SMALL and (found := self._at_once(body)):
            return found
        rows = _rows(body)
        booleans = b"e" in body and (b"true" in body or b"false" in body)
        if self._records:
            return self._columns(rows, booleans=booleans), len(rows)
        field = self._fields[0]
        if field.shape:
            return {field.name: tensor(rows, field, _row_path, booleans=booleans)}, len(rows)
        return {field.name: column(rows, field, _row_path)}, len(rows)

    def _columns(self, rows: list[Any], *, booleans: bool) -> Arrays:
        names = self._names
        complete = True
        for number, row in enumerate(rows):
            if type(row) is not dict:
                raise BadRequest(
                    f"{_row_path(number)} is {describe(row)}",
                    instead=f"expected an object with the fields {self._listed()}",
                    field=_row_path(number),
                )
            if row.keys() != names:
                self._check_names(row, number)
                complete = False
        arrays = {}
        for field in self._fields:
            name = field.name
            values = [row[name] for row in rows] if complete else [row.get(name) for row in rows]
            where = _field_path(name)
            if not field.shape:
                arrays[name] = column(values, field, where)
            else:
                arrays[name] = tensor(_fill(values, field), field, where, booleans=booleans)
        return arrays

    def _check_names(self, row: dict[str, Any], number: int) -> None:
        for name in row:
            if name not in self._names:
                raise BadRequest(
                    f"{_row_path(number)} has an unknown field {shorten(name)!r}",
                    instead=f"the fields are {self._listed()}",
                    then=_nearest(name, self._names),
                    field=f"{_row_path(number)}.{shorten(name)}",
                )
        for field in self._fields:
            if field.required and field.name not in row:
                raise BadRequest(
                    f"{_row_path(number)} lacks the field {field.name!r}",
                    instead=f"a row has the fields {self._listed()}",
                    field=f"{_row_path(number)}.{field.name}",
                )

    def _listed(self) -> str:
        names = [field.name + ("" if field.required else " (optional)") for field in self._fields]
        return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _rows(body: bytes | bytearray) -> list[Any]:
    if len(body) > _SMALL and body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        raise BadRequest(
            f"the body holds more than {MAX_CONTAINERS:,} lists and objects",
            instead="so many rows are too many for one request",
            then="Send them in several requests.",
            status=413,
            kind="body_too_large",
        )
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body.strip():
            raise BadRequest("the body is empty", instead='expected {"inputs": [row, ...]}') from None
        raise BadRequest(f"the body is not JSON: {error}", instead='expected {"inputs": [row, ...]}') from None
    if type(document) is not dict:
        raise BadRequest(f"the body is {describe(document)}", instead='expected an object, {"inputs": [row, ...]}')
    if len(document) != 1 or "inputs" not in document:
        _check_keys(document)
    rows = document["inputs"]
    if type(rows) is not list or not rows:
        raise BadRequest(f"inputs is {describe(rows)}", instead="expected a list with at least one row", field="inputs")
    return rows


def _check_keys(document: dict[str, Any]) -> None:
    for key in document:
        if key != "inputs":
            raise BadRequest(
                f"the body has an unknown key {shorten(key)!r}",
                instead='the only one is "inputs"',
                field=shorten(key),
            )
    raise BadRequest('the body lacks the key "inputs"', instead='expected {"inputs": [row, ...]}', field="inputs")


def _row_path(number: int) -> str:
    return f"inputs[{number}]"


def _field_path(name: str) -> Callable[[int], str]:
    return lambda number: f"inputs[{number}].{name}"


def _nearest(name: str, names: frozenset[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(shorten(name, 100), names, 1)
    return f"Did you mean {near[0]!r}?" if near else ""


def _fill(values: list[Any], field: Field) -> list[Any]:
    """NaN where a whole array is missing; only numbers of a known shape can be."""
    if field.required or not field.is_float or None in field.shape or None not in values:
        return values
    filler = np.full([size for size in field.shape if size is not None], np.nan).tolist()
    return [filler if value is None else value for value in values]


class Encoder:
    """Writes answers `{"outputs": [...], "model": "digits", "version": 7}` of one version."""

    def __init__(self, manifest: Manifest) -> None:
        self._fields = manifest.interface.outputs
        self._tail = b"," + orjson.dumps({"model": manifest.ref.model, "version": manifest.ref.number})[1:]
        self._ref = manifest.ref

    def encode(self, outputs: Arrays) -> bytes:
        """The answer's body.

        Args:
            outputs: By field, each of shape (rows, *field.shape).

        Raises:
            BadRequest: the model has no finite answer for a row: 422, of the kind `non_finite`.
        """
        if len(self._fields) == 1:
            return b'{"outputs":' + _dump(self._checked(outputs, self._fields[0])) + self._tail
        columns = [_values(self._checked(outputs, field)) for field in self._fields]
        names = [field.name for field in self._fields]
        rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        return b'{"outputs":' + _in_pieces(rows, _PIECE_ROWS) + self._tail

    def _checked(self, outputs: Arrays, field: Field) -> NDArray[Any]:
        array = outputs[field.name]
        kind = array.dtype.kind
        if kind == "f" and not is_finite(array):
            raise non_finite(array, field.name, self._ref)
        if kind == "M":
            return np.datetime_as_string(array).astype(object)
        return array


def non_finite(array: NDArray[Any], name: str, ref: VersionRef) -> BadRequest:
    """The refusal of an answer that JSON cannot hold: 422, naming the first row where the output `name` is such."""
    row = int(np.argwhere(~np.isfinite(array))[0][0])
    return BadRequest(
        f"{ref} has no finite answer for {_row_path(row)}: its {name} is NaN or infinite",
        then="Other rows of the request may have one; send them without it.",
        status=422,
        field=_row_path(row),
        kind="non_finite",
    )


def _dump(array: NDArray[Any]) -> bytes:
    if array.dtype.kind in "OUS":
        return orjson.dumps(array.tolist())
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    if array.size <= _PIECE_NUMBERS:
        return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
    return _in_pieces(array, max(1, _PIECE_NUMBERS * len(array) // array.size))


def _in_pieces(rows: Any, step: int) -> bytes:
    """Rows as JSON. The writer holds the interpreter's lock: in between the event loop gets its turn."""
    pieces = [rows[start : start + step] for start in range(0, len(rows), step)]
    return b"[" + b",".join(orjson.dumps(piece, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] for piece in pieces) + b"]"


def _values(array: NDArray[Any]) -> list[Any]:
    """One value a row: a NumPy scalar or array, which is written in its own precision, or a text or a whole number.

    ONNX Runtime's whole numbers are C's `long long`, a scalar type that the writer of JSON does not know.
    """
    return array.tolist() if array.dtype.kind in "OUSiub" else list(np.ascontiguousarray(array))
