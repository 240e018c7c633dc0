"""Reading what a validation notebook logged: what docs/notebooks.md allows, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.adapters.mlflow_registry.evidence import find_inputs, read_predictions
from pipelines.errors import NotebookContract

GOOD: dict[str, Any] = {"label": [0, 1, 1], "prediction": [0, 1, 0], "probability_1": [0.1, 0.9, 0.4]}


def test_nothing_logged_is_nothing_read(tmp_path: Path) -> None:
    """Neither the folder nor the files have to be there."""
    assert read_predictions(tmp_path / "validation") == {}
    assert find_inputs(tmp_path / "validation") is None


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_is_read_by_column(tmp_path: Path, suffix: str) -> None:
    """Parquet and CSV give the same arrays: whole numbers, fractions, booleans and texts, in the table's order."""
    table = pd.DataFrame({**GOOD, "is_old": [True, False, True], "group": ["a", "b", "ü"]})
    write = table.to_parquet if suffix == "parquet" else table.to_csv
    write(tmp_path / f"predictions.{suffix}", index=False)
    read = read_predictions(tmp_path)
    assert list(read) == list(table.columns)
    assert [column.dtype.kind for column in read.values()] == ["i", "i", "f", "b", "O"]
    assert {name: column.tolist() for name, column in read.items()} == table.to_dict("list")
    assert all(isinstance(column, np.ndarray) and column.shape == (3,) for column in read.values())


def test_missing_values_are_left_to_the_gates(tmp_path: Path) -> None:
    """pandas' nullable types become NumPy's, with nan where a number is missing; nothing is refused for it."""
    table = pd.DataFrame(
        {
            "label": pd.array([1, 2, 3], dtype="Int64"),
            "prediction": pd.array([1, None, 3], dtype="Int64"),
            "error": pd.array([0.5, None, 0.25], dtype="Float64"),
            "is_old": pd.array([True, False, True], dtype="boolean"),
        }
    )
    table.to_parquet(tmp_path / "predictions.parquet")
    read = read_predictions(tmp_path)
    assert read["label"].dtype == np.int64
    np.testing.assert_array_equal(read["prediction"], [1, np.nan, 3])
    np.testing.assert_array_equal(read["error"], [0.5, np.nan, 0.25])
    assert read["is_old"].dtype == np.bool_


def test_a_model_of_several_outputs_has_a_label_and_a_prediction_for_each(tmp_path: Path) -> None:
    """label_<output> and prediction_<output> stand for label and prediction."""
    columns = {"label_price": [1.0], "prediction_price": [1.5], "label_days": [3], "prediction_days": [4]}
    pd.DataFrame(columns).to_parquet(tmp_path / "predictions.parquet")
    assert list(read_predictions(tmp_path)) == list(columns)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"prediction": [1]}, "no column label; it has prediction"),
        ({"label": [1], "probability_1": [0.5]}, "no column prediction; it has label, probability_1"),
        ({"label": [], "prediction": []}, "has no rows"),
        ({"label": [1], "prediction": [1], "probability_1": ["high"]}, "has texts in probability_1"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    """The message says what the table lacks and where the contract stands."""
    pd.DataFrame(table).to_parquet(tmp_path / "predictions.parquet")
    with pytest.raises(NotebookContract, match=said) as refused:
        read_predictions(tmp_path)
    assert "validation/predictions.parquet" in str(refused.value)
    assert "docs/notebooks.md" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("predictions.parquet", b"no parquet"), ("predictions.csv", b""), ("predictions.csv", b'label,"\n\xff\xfe')],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """Broken and empty files are named, without a traceback of pandas."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotebookContract, match=f"validation/{name} cannot be read"):
        read_predictions(tmp_path)


def test_two_tables_are_one_too_many(tmp_path: Path) -> None:
    """Which of them counts is not guessed; the same goes for the rows."""
    table = pd.DataFrame(GOOD)
    table.to_parquet(tmp_path / "predictions.parquet")
    table.to_csv(tmp_path / "predictions.csv")
    with pytest.raises(NotebookContract, match=r"both predictions\.parquet and predictions\.csv"):
        read_predictions(tmp_path)
    np.save(tmp_path / "inputs.npy", np.zeros(3))
    table.to_csv(tmp_path / "inputs.csv")
    with pytest.raises(NotebookContract, match=r"both inputs\.npy and inputs\.csv"):
        find_inputs(tmp_path)


def _npy(folder: Path) -> Path:
    np.save(folder / "inputs.npy", np.zeros((3, 2), np.float32))
    return folder / "inputs.npy"


def _npz(folder: Path) -> Path:
    np.savez(folder / "inputs.npz", left=np.zeros((3, 2)), right=np.zeros(3))
    return folder / "inputs.npz"


def _parquet(folder: Path) -> Path:
    pd.DataFrame({"age": [1, 2, 3]}).to_parquet(folder / "inputs.parquet")
    return folder / "inputs.parquet"


def _csv(folder: Path) -> Path:
    pd.DataFrame({"age": [1, 2, 3]}).to_csv(folder / "inputs.csv", index=False)
    return folder / "inputs.csv"


@pytest.mark.parametrize("write", [_npy, _npz, _parquet, _csv])
def test_rows_are_found_in_every_form(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """One array, several named ones, or a table."""
    assert find_inputs(tmp_path) is None
    assert write(tmp_path) == find_inputs(tmp_path)


def _pickled(folder: Path) -> None:
    np.save(folder / "inputs.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _scalar(folder: Path) -> None:
    np.save(folder / "inputs.npy", np.float32(1))


def _no_array(folder: Path) -> None:
    (folder / "inputs.npy").write_bytes(b"no array")


def _empty(folder: Path) -> None:
    np.save(folder / "inputs.npy", np.zeros((0, 2)))


def _uneven(folder: Path) -> None:
    np.savez(folder / "inputs.npz", left=np.zeros(3), right=np.zeros(2))


def _no_arrays(folder: Path) -> None:
    np.savez(folder / "inputs.npz")


def _no_table(folder: Path) -> None:
    (folder / "inputs.parquet").write_bytes(b"no table")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_pickled, "cannot be read"),
        (_scalar, "cannot be read: a single number has no rows"),
        (_no_array, "cannot be read"),
        (_empty, "has no rows"),
        (_uneven, r"has arrays of \[2, 3\] rows"),
        (_no_arrays, "has no rows"),
        (_no_table, "cannot be read"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(tmp_path: Path, write: Callable[[Path], None], said: str) -> None:
    """Pickles are never opened; nothing, single numbers and arrays of different lengths are no rows."""
    write(tmp_path)
    with pytest.raises(NotebookContract, match=said):
        find_inputs(tmp_path)
