"""Table requests: columns of every type, missing values, and what is refused with its field."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from pipelines.errors import BadRequest
from pipelines.serving.codec import Decoder
from pipelines.values import Field, Layout, Signature

ROW = {"age": 31, "income": 2.5, "job": "skilled", "member": True, "since": "2024-05-17"}
FIELDS = (
    Field("age", "int32"),
    Field("income", "float32"),
    Field("job", "string"),
    Field("member", "bool"),
    Field("since", "datetime"),
)


def decode(fields: tuple[Field, ...], rows: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of those rows."""
    signature = Signature(Layout.RECORDS, fields, (Field("y", "float32"),))
    return Decoder(signature).decode(json.dumps({"inputs": rows}).encode())[0]


def optional(dtype: str) -> Field:
    """A column `x` whose values may be missing."""
    return Field("x", dtype, required=False)


def test_each_column_has_its_fields_type() -> None:
    """Whole numbers, floats, texts, booleans and dates, one array a column."""
    columns = decode(FIELDS, [ROW, {**ROW, "age": 7.0, "income": 3, "since": "2024-05-17T09:30:00.5+02:00"}])
    assert {name: str(column.dtype) for name, column in columns.items()} == {
        "age": "int32",
        "income": "float32",
        "job": "object",
        "member": "bool",
        "since": "datetime64[us]",
    }
    assert columns["age"].tolist() == [31, 7]
    assert columns["income"].tolist() == [2.5, 3.0]
    assert columns["job"].tolist() == ["skilled", "skilled"]
    assert columns["member"].tolist() == [True, True]
    assert columns["since"].tolist() == [datetime(2024, 5, 17), datetime(2024, 5, 17, 7, 30, 0, 500_000)]


@pytest.mark.parametrize(
    ("dtype", "given", "expected"),
    [
        ("float32", 1.5, "[1.5 nan nan]"),
        ("float64", 2, "[ 2. nan nan]"),
        ("int8", 3, "[ 3. nan nan]"),
        ("bool", True, "[True None None]"),
        ("string", "a", "['a' None None]"),
        (
            "datetime",
            "2024-05-17",
            "['2024-05-17T00:00:00.000000'                        'NaT'\n                        'NaT']",
        ),
    ],
)
def test_a_missing_value_is_null_or_no_key(dtype: str, given: Any, expected: str) -> None:
    """Both become NaN, None or NaT, and leave the values beside them alone."""
    column = decode((optional(dtype),), [{"x": given}, {"x": None}, {}])["x"]
    assert str(column) == expected


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "string", "datetime"])
def test_a_column_of_missing_values_alone_keeps_its_type(dtype: str) -> None:
    """No value at all is no reason for another type."""
    full = {"float32": 1.0, "int64": 1, "bool": True, "string": "a", "datetime": "2024-05-17"}[dtype]
    alone = decode((optional(dtype),), [{}, {"x": None}])["x"]
    assert alone.dtype == decode((optional(dtype),), [{"x": full}])["x"].dtype
    assert len(alone) == 2


@pytest.mark.parametrize(
    ("change", "place", "came", "expected"),
    [
        ({"age": "31"}, "inputs[1].age", "the text '31'", "a whole number from -2147483648 to 2147483647 (int32)"),
        ({"age": 1.5}, "inputs[1].age", "the number 1.5", "a whole number"),
        ({"age": True}, "inputs[1].age", "true", "a whole number"),
        ({"age": None}, "inputs[1].age", "null", "a whole number"),
        ({"age": 2**31}, "inputs[1].age", "the number 2147483648", "a whole number"),
        ({"age": [1]}, "inputs[1].age", "a list of 1", "a whole number"),
        ({"income": "2"}, "inputs[1].income", "the text '2'", "a number (float32)"),
        ({"income": False}, "inputs[1].income", "false", "a number (float32)"),
        ({"income": 1e39}, "inputs[1].income", "the number 1e+39", "a number (float32)"),
        ({"income": None}, "inputs[1].income", "null", "a number (float32)"),
        ({"job": 3}, "inputs[1].job", "the number 3", "a text"),
        ({"job": None}, "inputs[1].job", "null", "a text"),
        ({"member": 1}, "inputs[1].member", "the number 1", "true or false"),
        ({"member": "true"}, "inputs[1].member", "the text 'true'", "true or false"),
        ({"since": "17.5.2024"}, "inputs[1].since", "the text '17.5.2024'", "ISO 8601"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "inputs[1].since", "the text", "ISO 8601"),
        ({"since": 1715904000}, "inputs[1].since", "the number 1715904000", "ISO 8601"),
    ],
)
def test_a_wrong_value_is_named_with_its_field(change: dict[str, Any], place: str, came: str, expected: str) -> None:
    """The message says which row and field, what came and what is expected."""
    with pytest.raises(BadRequest) as caught:
        decode(FIELDS, [ROW, {**ROW, **change}])
    assert (caught.value.status, caught.value.field) == (400, place)
    assert came in caught.value.what
    assert expected in caught.value.instead


def test_an_optional_field_says_that_null_will_do() -> None:
    """Whoever sends a wrong value for an optional field learns that it may be missing."""
    with pytest.raises(BadRequest, match=r"a whole number from -128 to 127 \(int8\), or null"):
        decode((optional("int8"),), [{"x": 200}, {}])


def test_an_unknown_field_is_refused_with_the_nearest_name() -> None:
    """A typing mistake is no missing value."""
    with pytest.raises(BadRequest) as caught:
        decode(FIELDS, [ROW, {**ROW, "incom": 1}])
    assert caught.value.field == "inputs[1].incom"
    assert "Did you mean 'income'?" in str(caught.value)


def test_a_missing_required_field_is_named() -> None:
    """Only optional fields may be left out."""
    with pytest.raises(BadRequest) as caught:
        decode((*FIELDS, optional("bool")), [{name: value for name, value in ROW.items() if name != "job"}])
    assert caught.value.field == "inputs[0].job"
    assert "x (optional)" in caught.value.instead


@pytest.mark.parametrize("row", [None, 3, "a", [1], True])
def test_a_row_that_is_no_object_is_refused(row: Any) -> None:
    """Each row of a table is a record."""
    with pytest.raises(BadRequest, match=r"inputs\[1\] is"):
        decode(FIELDS, [ROW, row])


def test_several_named_tensors_stand_beside_columns() -> None:
    """A record may hold arrays; a missing one of numbers is NaN throughout."""
    fields = (Field("a", "float32", (2,)), Field("b", "float64", (2,), required=False), Field("flag", "bool"))
    columns = decode(fields, [{"a": [1, 2], "b": [3, 4], "flag": True}, {"a": [5, 6], "flag": False}])
    assert columns["a"].tolist() == [[1, 2], [5, 6]]
    np.testing.assert_array_equal(columns["b"], [[3, 4], [np.nan, np.nan]])
    with pytest.raises(BadRequest) as caught:
        decode(fields, [{"a": [1, True], "flag": True}])
    assert caught.value.field == "inputs[0].a[1]"
