"""Tensor requests: what becomes an array, and what is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pipelines.errors import BadRequest
from pipelines.serving.codec import Decoder
from pipelines.values import Field, Layout, Signature

IMAGE = Field("x", "float32", (2, 2))


def decode(field: Field, body: Any) -> np.ndarray[Any, Any]:
    """The array of a body under a signature of that one field."""
    signature = Signature(Layout.TENSOR, (field,), (Field("y", "float32"),))
    raw = body if isinstance(body, bytes) else json.dumps({"inputs": body}).encode()
    arrays, rows = Decoder(signature).decode(raw)
    assert len(arrays[field.name]) == rows
    return arrays[field.name]


@pytest.mark.parametrize(
    ("field", "rows", "expected"),
    [
        (IMAGE, [[[1, 2.5], [3, 4]]], np.array([[[1, 2.5], [3, 4]]], np.float32)),
        (IMAGE, [[[1, 2], [3, 4]]], np.array([[[1, 2], [3, 4]]], np.float32)),
        (IMAGE, [[[0, 0], [0, 0]]] * 3, np.zeros((3, 2, 2), np.float32)),
        (
            Field("x", "float32", (1,)),
            [[3.4028235e38], [-3.4028235e38]],
            np.array([[3.4028235e38], [-3.4028235e38]], np.float32),
        ),
        (Field("x", "float64", (1,)), [[1e300]], np.array([[1e300]])),
        (Field("x", "float64", ()), [1, 2.5], np.array([1, 2.5])),
        (Field("x", "int64", (2,)), [[1, 2], [3, 4.0]], np.array([[1, 2], [3, 4]])),
        (Field("x", "int64", (1,)), [[9007199254740993], [1.0]], np.array([[9007199254740993], [1]])),
        (Field("x", "uint64", (1,)), [[18446744073709551615], [1]], np.array([[18446744073709551615], [1]], np.uint64)),
        (Field("x", "uint8", (2,)), [[0, 255]], np.array([[0, 255]], np.uint8)),
        (Field("x", "bool", (2,)), [[True, False]], np.array([[True, False]])),
        (Field("x", "string", ()), ["a", "true"], np.array(["a", "true"], object)),
        (Field("x", "float32", (None,)), [[1, 2, 3], [4, 5, 6]], np.array([[1, 2, 3], [4, 5, 6]], np.float32)),
        (Field("x", "float32", (None, 1)), [[[1], [2]]], np.array([[[1], [2]]], np.float32)),
    ],
)
def test_rows_become_one_array_of_the_fields_type(field: Field, rows: Any, expected: np.ndarray[Any, Any]) -> None:
    """Values, type and shape are exactly the signature's, whatever way the numbers are written."""
    array = decode(field, rows)
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("field", [IMAGE, Field("x", "int32", (2, 2)), Field("x", "uint8", (2, 2))])
def test_a_large_batch_is_read_in_pieces_and_whole(field: Field) -> None:
    """Piecewise reading, which starts at some thousand rows, loses and reorders nothing."""
    rows = (np.arange(4 * 20_011) % 251).reshape(-1, 2, 2)
    np.testing.assert_array_equal(decode(field, rows.tolist()), rows.astype(field.dtype))


@pytest.mark.parametrize(
    ("field", "rows", "place", "came", "expected"),
    [
        (IMAGE, [[[1, 2], [3, "4"]]], "inputs[0][1][1]", "the text '4'", "a number (float32)"),
        (IMAGE, [[[1, 2], [3, 4]], [[1, 2], [None, 4]]], "inputs[1][1][0]", "null", "a number (float32)"),
        (IMAGE, [[[1, 2], [3, True]]], "inputs[0][1][1]", "true", "a number (float32)"),
        (IMAGE, [[[True, False], [True, True]]], "inputs[0][0][0]", "true", "a number (float32)"),
        (IMAGE, [[[1, 2], [3, 1e39]]], "inputs[0][1][1]", "the number 1e+39", "a number (float32)"),
        (IMAGE, [[[1, 2], [3, {"a": 1}]]], "inputs[0][1][1]", "an object", "a number (float32)"),
        (IMAGE, [[[1, 2], [3]]], "inputs[0][1]", "a list of 1", "the length 2"),
        (IMAGE, [[[1, 2], [3, 4], [5, 6]]], "inputs[0]", "a list of 3", "the length 2 (a row has the shape (2, 2))"),
        (IMAGE, [[1, 2, 3, 4]], "inputs[0]", "a list of 4", "a list of lists with the length 2"),
        (IMAGE, [[[1, 2], [3, [4]]]], "inputs[0][1][1]", "a list of 1", "a number (float32)"),
        (IMAGE, [[[[1], [2]], [[3], [4]]]], "inputs[0][0][0]", "a list of 1", "a number"),
        (IMAGE, [7], "inputs[0]", "the number 7", "a list of lists"),
        (IMAGE, [[]], "inputs[0]", "an empty list", "a list of lists"),
        (Field("x", "int8", (1,)), [[128]], "inputs[0][0]", "the number 128", "a whole number from -128 to 127 (int8)"),
        (Field("x", "uint8", (1,)), [[1], [-1]], "inputs[1][0]", "the number -1", "from 0 to 255"),
        (Field("x", "int64", (1,)), [[1.5]], "inputs[0][0]", "the number 1.5", "a whole number"),
        (Field("x", "int64", (1,)), [[1e300]], "inputs[0][0]", "the number 1e+300", "a whole number"),
        (Field("x", "int64", (1,)), [[9223372036854775808]], "inputs[0][0]", "9223372036854775808", "a whole number"),
        (Field("x", "int64", (2,)), [[1, True]], "inputs[0][1]", "true", "a whole number"),
        (Field("x", "bool", (2,)), [[True, 1]], "inputs[0][1]", "the number 1", "true or false"),
        (Field("x", "bool", (1,)), [["true"]], "inputs[0][0]", "the text 'true'", "true or false"),
        (Field("x", "float64", ()), [1, "2"], "inputs[1]", "the text '2'", "a number (float64)"),
        (Field("x", "float64", ()), [True], "inputs[0]", "true", "a number (float64)"),
        (Field("x", "string", ()), ["a", 1], "inputs[1]", "the number 1", "a text"),
        (Field("x", "float32", (None,)), [[]], "inputs[0]", "an empty list", "the length any length but 0"),
        (Field("x", "float32", (None,)), [[1, 2], [1]], "inputs[0]", "different shapes", "all rows"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(field: Field, rows: Any, place: str, came: str, expected: str) -> None:
    """The message says where, what came and what is expected, and the answer is a 400."""
    with pytest.raises(BadRequest) as caught:
        decode(field, rows)
    assert (caught.value.status, caught.value.field) == (400, place)
    assert came in caught.value.what
    assert expected in caught.value.instead


def test_a_boolean_among_thousands_of_numbers_is_found() -> None:
    """NumPy reads true as 1; the place is named all the same, in the middle of a large batch."""
    rows: list[Any] = np.zeros((9_000, 2, 2)).tolist()
    rows[8_000][1][0] = False
    with pytest.raises(BadRequest, match=r"inputs\[8000\]\[1\]\[0\] is false"):
        decode(IMAGE, rows)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"  \n", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b'{"inputs": [[[1, 2], [3, NaN]]]}', "the body is not JSON"),
        (b'{"inputs": [[[1, 2], [3, Infinity]]]}', "the body is not JSON"),
        (b'{"inputs": [[[1, 2], [3, 1e999]]]}', "the body is not JSON"),
        (b'{"inputs": "\\ud800"}', "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[[[1]]]", "the body is a list of 1"),
        (b"null", "the body is null"),
        (b'"inputs"', "the body is the text 'inputs'"),
        (b"{}", 'the body lacks the key "inputs"'),
        (b'{"instances": [1]}', "the body has an unknown key 'instances'"),
        (b'{"inputs": [[[1,2],[3,4]]], "parameters": {}}', "the body has an unknown key 'parameters'"),
        (b'{"inputs": []}', "inputs is an empty list"),
        (b'{"inputs": {}}', "inputs is an object"),
        (b'{"inputs": null}', "inputs is null"),
        (b'{"inputs": 3}', "inputs is the number 3"),
    ],
)
def test_a_body_that_is_no_request_is_refused(body: bytes, message: str) -> None:
    """Broken and foreign bodies get one clear sentence each."""
    with pytest.raises(BadRequest) as caught:
        decode(IMAGE, body)
    assert caught.value.status == 400
    assert message in str(caught.value)


def test_too_many_lists_are_refused_before_they_fill_the_memory() -> None:
    """Short lists take fifty times their text in memory: counted first, parsed only when bearable."""
    with pytest.raises(BadRequest, match="lists and objects") as caught:
        decode(IMAGE, b'{"inputs": [' + b"[]," * 2_000_001 + b"[]]}")
    assert caught.value.status == 413


def test_deep_nesting_below_the_parsers_limit_is_a_wrong_value() -> None:
    """A thousand brackets parse, and are then just another wrong shape."""
    with pytest.raises(BadRequest, match=r"inputs\[0\]"):
        decode(IMAGE, b'{"inputs": ' + b"[" * 1000 + b"]" * 1000 + b"}")
