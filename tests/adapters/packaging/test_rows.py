"""Validation rows: from a file to what a model takes, and to what a request says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.adapters.packaging.rows import MOST_ROWS, arrays, inferred_fields, read, warmup_rows
from pipelines.errors import PackageFailed
from pipelines.values import Field, Layout

COLUMNS = (
    Field("age", "int64"),
    Field("visits", "int32", required=False),
    Field("member", "bool"),
    Field("asked", "bool", required=False),
    Field("code", "string"),
    Field("since", "datetime", required=False),
    Field("income", "float32", required=False),
)
TABLE = pd.DataFrame(
    {
        "age": [31, 58],
        "visits": pd.array([3, None], dtype="Int64"),
        "member": [True, False],
        "asked": pd.array([None, True], dtype="boolean"),
        "code": ["007", "12"],
        "since": pd.to_datetime(["2024-05-17T09:30:00", None]),
        "income": [42.5, np.nan],
    }
)
REQUEST = [
    {
        "age": 31,
        "visits": 3,
        "member": True,
        "asked": None,
        "code": "007",
        "since": "2024-05-17T09:30:00",
        "income": 42.5,
    },
    {"age": 58, "visits": None, "member": False, "asked": True, "code": "12", "since": None, "income": None},
]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_becomes_the_request_it_stands_for(suffix: str, tmp_path: Path) -> None:
    """Types and gaps survive Parquet and CSV, and a text of digits stays a text."""
    path = tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        TABLE.to_parquet(path)
    else:
        TABLE.to_csv(path, index=False)
    values = arrays(read(path, texts=["code"]), COLUMNS, path.name)

    assert warmup_rows(values, COLUMNS, Layout.RECORDS) == REQUEST
    assert {name: array.dtype.kind for name, array in values.items()} == {
        "age": "i",
        "visits": "f",
        "member": "b",
        "asked": "O",
        "code": "O",
        "since": "M",
        "income": "f",
    }


def test_one_array_becomes_nested_lists(tmp_path: Path) -> None:
    """An .npy file is what a tensor model takes."""
    images = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    np.save(tmp_path / "rows.npy", images)
    field = Field("inputs", "float32", (2, 2))
    values = arrays(read(tmp_path / "rows.npy"), (field,), "rows.npy")

    assert warmup_rows(values, (field,), Layout.TENSOR) == images.tolist()


def test_named_arrays_become_records(tmp_path: Path) -> None:
    """An .npz file has one array an input."""
    np.savez(tmp_path / "rows.npz", a=np.ones((2, 3)), b=np.zeros((2, 1)))
    fields = (Field("a", "float64", (3,)), Field("b", "float64", (1,)))
    values = arrays(read(tmp_path / "rows.npz"), fields, "rows.npz")

    assert warmup_rows(values, fields, Layout.RECORDS) == [{"a": [1.0, 1.0, 1.0], "b": [0.0]}] * 2


def test_a_matrix_serves_a_table_by_its_columns_and_a_table_a_vector(tmp_path: Path) -> None:
    """What a scikit-learn notebook logs as an array is a table to its model, and the other way round."""
    np.save(tmp_path / "rows.npy", np.array([[1.0, 2.0], [3.0, 4.0]]))
    columns = (Field("a", "float64"), Field("b", "float64"))
    assert arrays(read(tmp_path / "rows.npy"), columns, "rows.npy")["b"].tolist() == [2.0, 4.0]

    pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]}).to_parquet(tmp_path / "rows.parquet")
    vector = (Field("inputs", "float64", (2,)),)
    found = arrays(read(tmp_path / "rows.parquet"), vector, "rows.parquet")
    assert found["inputs"].tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    """A person sees at once what was logged and what the model takes."""
    TABLE.drop(columns="age").to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(PackageFailed, match=r"have no 'age'; they have visits, member.*; the model takes age, visits"):
        arrays(read(tmp_path / "rows.parquet"), COLUMNS, "rows.parquet")


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ([1.5, 2.0], Field("x", "int64"), "1.5 is no int64"),
        ([300, 2], Field("x", "int8"), "300 is no int8"),
        (["yes", "no"], Field("x", "bool"), "'yes' is neither true nor false"),
        (["a", "b"], Field("x", "float32"), "could not convert string to float"),
        ([1.0, 2.0], Field("x", "float32", (3,)), "cannot reshape"),
    ],
)
def test_values_of_another_type_are_refused(values: list[object], field: Field, said: str, tmp_path: Path) -> None:
    """Nothing is rounded or cut off to make rows fit."""
    pd.DataFrame({"x": values}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(PackageFailed, match=f"do not fit the model's input 'x' .*{said}"):
        arrays(read(tmp_path / "rows.parquet"), (field,), "rows.parquet")


def test_rows_that_no_request_can_carry_are_not_warmup_rows() -> None:
    """JSON has no infinity; NaN is a gap where one may be, and elsewhere refused."""
    fields = (Field("x", "float64"), Field("y", "float64", required=False))
    values = {"x": np.array([1.0, np.nan, 3.0, 4.0]), "y": np.array([1.0, 2.0, np.nan, np.inf])}

    assert warmup_rows(values, fields, Layout.RECORDS) == [{"x": 1.0, "y": 1.0}, {"x": 3.0, "y": None}]
    with pytest.raises(PackageFailed, match="no validation row can be sent as a request"):
        warmup_rows({"x": np.array([np.inf]), "y": np.array([1.0])}, fields, Layout.RECORDS)


def test_many_rows_are_thinned_evenly(tmp_path: Path) -> None:
    """A proof on more rows than MOST_ROWS takes that many, the first and the last among them."""
    np.save(tmp_path / "rows.npy", np.arange(MOST_ROWS * 3))
    found = read(tmp_path / "rows.npy")[""]

    assert len(found) == MOST_ROWS
    assert (found[0], found[-1]) == (0, MOST_ROWS * 3 - 1)


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "rows.parquet", "rows.csv"])
def test_files_that_cannot_be_read_are_refused(name: str, tmp_path: Path) -> None:
    """Garbage is named as such, and what is asked for instead."""
    (tmp_path / name).write_bytes(b"\x93garbage\x00")
    with pytest.raises(PackageFailed, match=f"{name} (cannot be read|has no rows)"):
        arrays(read(tmp_path / name), (Field("x", "float64"),), name)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    """Reading rows must not run code."""
    np.save(tmp_path / "rows.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(PackageFailed, match=r"cannot be read: .*allow_pickle=False"):
        read(tmp_path / "rows.npy")


def test_no_rows_are_refused(tmp_path: Path) -> None:
    """Nothing can be proved on them."""
    np.save(tmp_path / "rows.npy", np.zeros((0, 3)))
    with pytest.raises(PackageFailed, match="has no rows"):
        read(tmp_path / "rows.npy")


def test_fields_are_inferred_from_rows(tmp_path: Path) -> None:
    """For a model logged without a signature: types as they stand, columns with gaps optional."""
    TABLE.to_parquet(tmp_path / "rows.parquet")
    layout, fields = inferred_fields(read(tmp_path / "rows.parquet"))

    assert layout is Layout.RECORDS
    assert {field.name: (field.dtype, field.required) for field in fields} == {
        "age": ("int64", True),
        "visits": ("int64", False),
        "member": ("bool", True),
        "asked": ("bool", False),
        "code": ("string", True),
        "since": ("datetime", False),
        "income": ("float64", False),
    }
