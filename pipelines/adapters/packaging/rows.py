"""The real validation rows, as a model takes them and as a request writes them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import PackageFailed
from pipelines.serving.outputs import Arrays
from pipelines.serving.scalars import column_dtype
from pipelines.values import Field, Layout

MOST_ROWS = 10_000
"""A proof on more rows than this is made on that many, evenly spaced."""
WARMUP_ROWS = 16

# A text that pandas reads from a CSV file for a missing value counts as missing; so does an empty one.
_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}

Raw = dict[str, NDArray[Any]]
"""Columns or named arrays by name, each of shape (rows, ...), as the file has them."""


def read(path: Path, texts: Sequence[str] = ()) -> Raw:
    """Read a file of rows.

    Args:
        path: `.npy`, `.npz`, `.parquet` or `.csv`.
        texts: Columns that are text even where a CSV file makes them look like numbers.

    Returns:
        An `.npy` file's only array stands under the name "".

    Raises:
        PackageFailed: it cannot be read, or has no rows.
    """
    try:
        raw = _read(path, texts)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PackageFailed(
            f"the validation rows in {path.name} cannot be read: {error}",
            instead="they are one array (.npy), named ones (.npz) or a table (.parquet, .csv), none of them pickled",
            then="docs/notebooks.md shows how a validation notebook logs them.",
        ) from error
    lengths = {array.shape[0] if array.ndim else 0 for array in raw.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise PackageFailed(f"{path.name} has no rows, or arrays of different lengths", then="Log the held-out rows.")
    return {name: array[evenly(len(array), MOST_ROWS)] for name, array in raw.items()}


def _read(path: Path, texts: Sequence[str]) -> Raw:
    if path.suffix == ".npy":
        return {"": np.load(path, allow_pickle=False)}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    import pandas as pd

    is_parquet = path.suffix == ".parquet"
    frame = pd.read_parquet(path) if is_parquet else pd.read_csv(path, dtype=dict.fromkeys(texts, str))
    return {str(name): _plain(frame[name]) for name in frame.columns}


def _plain(series: Any) -> NDArray[Any]:
    """A pandas column as NumPy has it: texts and nullable values as objects, a missing one as None."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        naive = series.dt.tz_convert("UTC").dt.tz_localize(None) if series.dt.tz is not None else series
        return np.asarray(naive.to_numpy(), dtype="datetime64[us]")
    if isinstance(series.dtype, np.dtype) and series.dtype != object:
        return np.asarray(series.to_numpy())
    values = np.empty(len(series), dtype=object)
    values[:] = [None if missing else value for value, missing in zip(series, series.isna(), strict=True)]
    return values


def evenly(rows: int, most: int) -> NDArray[np.int64]:
    """At most so many places of `rows`, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).round().astype(np.int64))


def inferred_fields(raw: Raw) -> tuple[Layout, tuple[Field, ...]]:
    """Layout and input fields as the rows themselves suggest them, for a model logged without a signature."""
    if set(raw) == {""}:
        return Layout.TENSOR, (Field("inputs", _dtype(raw[""], "inputs"), raw[""].shape[1:]),)
    fields = tuple(
        Field(name, _dtype(array, name), array.shape[1:], required=not is_missing(array).any())
        for name, array in raw.items()
    )
    return Layout.RECORDS, fields


def _dtype(array: NDArray[Any], name: str) -> str:
    if array.dtype.kind == "M":
        return "datetime"
    if array.dtype.kind in "US":
        return "string"
    if array.dtype.kind == "O":
        kinds = {type(value) for value in array.ravel() if value is not None}
        if kinds <= {bool, np.bool_}:
            return "bool"
        if kinds <= {int, float, np.int64, np.float64}:
            return "float64" if kinds & {float, np.float64} else "int64"
        return "string"
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > np.dtype(np.int64).itemsize:
        raise PackageFailed(
            f"the rows' {name!r} has the type {array.dtype}", instead="numbers, booleans, text and dates"
        )
    return "float32" if array.dtype == np.float16 else str(array.dtype)


def is_missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are missing, in the array's shape."""
    if array.dtype.kind == "O":
        return np.array([value is None or value != value for value in array.ravel()]).reshape(array.shape)
    if array.dtype.kind == "M":
        return np.asarray(np.isnat(array))
    if array.dtype.kind == "f":
        return np.asarray(np.isnan(array))
    return np.zeros(array.shape, dtype=bool)


def arrays(raw: Raw, fields: Sequence[Field], where: str) -> Arrays:
    """The rows by field, in the types that serving hands to a model.

    Raises:
        PackageFailed: a field has no values in the file, or values of another type or shape.
    """
    chosen = _by_field(raw, fields, where)
    return {field.name: _typed(chosen[field.name], field, where) for field in fields}


def _by_field(raw: Raw, fields: Sequence[Field], where: str) -> Mapping[str, NDArray[Any]]:
    names = [field.name for field in fields]
    if all(name in raw for name in names):
        return raw
    if len(fields) == 1 and len(raw) == 1:
        return {names[0]: next(iter(raw.values()))}
    matrix = raw.get("")
    if matrix is not None and matrix.ndim == 2 and matrix.shape[1] == len(fields):
        return {name: matrix[:, number] for number, name in enumerate(names)}
    if len(fields) == 1 and fields[0].shape:  # a table for a model that takes one array
        return {names[0]: np.stack([np.asarray(column) for column in raw.values()], axis=1)}
    absent = next(name for name in names if name not in raw)
    given = ", ".join(name or "one unnamed array" for name in raw)
    raise PackageFailed(
        f"the validation rows in {where} have no {absent!r}",
        instead=f"they have {given}; the model takes {', '.join(names)}",
        then="Log the rows as the model takes them, and validate again.",
    )


def _typed(array: NDArray[Any], field: Field, where: str) -> NDArray[Any]:
    try:
        values = _convert(array, field)
        if field.shape and values.shape[1:] != field.shape:
            sizes = tuple(-1 if size is None else size for size in field.shape)
            values = values if len(values.shape) == len(sizes) + 1 else values.reshape(len(values), *sizes)
        return values if field.shape else values.reshape(len(values))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise PackageFailed(
            f"the validation rows in {where} do not fit the model's input {field.name!r} ({field.dtype}): {error}",
            then="Log the rows as the model takes them, and validate again.",
        ) from error


def _convert(array: NDArray[Any], field: Field) -> NDArray[Any]:
    target, missing = column_dtype(field), is_missing(array)
    if field.dtype == "string":
        texts = [None if gone else str(value) for value, gone in zip(array.ravel(), missing.ravel(), strict=True)]
        return np.array(texts, dtype=object).reshape(array.shape)
    if field.dtype == "bool":
        flat = zip(array.ravel(), missing.ravel(), strict=True)
        return np.array([None if gone else _truth(value) for value, gone in flat], dtype=target).reshape(array.shape)
    if field.dtype == "datetime" and array.dtype.kind == "O":
        import pandas as pd

        return _plain(pd.Series(pd.to_datetime(pd.Series(list(array)), utc=True)))
    if array.dtype.kind == "O":
        kept = [np.nan if gone else value for value, gone in zip(array, missing, strict=True)]
        array = np.array(kept, dtype=float if missing.any() else None)
    with np.errstate(invalid="ignore"):
        cast = array.astype(target)
    if target.kind in "iu" and (cast != array).any():
        raise ValueError(f"{array[cast != array][0]} is no {target}")
    return cast


def _truth(value: Any) -> bool:
    said = str(value).strip().lower()
    if said not in _TRUTHS:
        raise ValueError(f"{value!r} is neither true nor false")
    return _TRUTHS[said]


def carried(values: Arrays, fields: Sequence[Field]) -> NDArray[np.int64]:
    """The places of the rows that a request can carry.

    Raises:
        PackageFailed: there is none.
    """
    rows = len(next(iter(values.values())))
    found = np.ones(rows, dtype=bool)
    for field in fields:
        array = values[field.name]
        if array.dtype.kind == "f":
            refused = np.isinf(array) if not field.required and not field.shape else ~np.isfinite(array)
            found &= ~refused.reshape(rows, -1).any(axis=1)
    if not found.any():
        raise PackageFailed("no validation row can be sent as a request: each holds NaN or an infinite number")
    return np.flatnonzero(found)


def warmup_rows(values: Arrays, fields: Sequence[Field], layout: Layout) -> list[Any]:
    """Up to WARMUP_ROWS rows as a request writes them, evenly spaced; rows that no request can carry are left out."""
    places = carried(values, fields)
    chosen = places[evenly(len(places), WARMUP_ROWS)]
    if layout is Layout.TENSOR:
        return [_json(values[fields[0].name][row], fields[0]) for row in chosen]
    return [{field.name: _json(values[field.name][row], field) for field in fields} for row in chosen]


def _json(value: Any, field: Field) -> Any:
    if field.shape:
        return value.tolist()
    if value is None or value != value:
        return None
    if field.dtype == "datetime":
        return value.astype("datetime64[us]").item().isoformat()
    plain = value.item() if isinstance(value, np.generic) else value
    return int(plain) if field.is_numeric and not field.is_float else plain
