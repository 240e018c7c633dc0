"""Reads what a validation notebook logged below `validation/`; docs/notebooks.md has the contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import MissingExtra, NotebookContract

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "validation"
_TABLES = (".parquet", ".csv")
_ROWS = (".npy", ".npz", ".parquet", ".csv")
_SEE = "docs/notebooks.md shows what a validation notebook logs."


def read_predictions(folder: Path) -> dict[str, Any]:
    """The per-row table by column, each a NumPy array of shape (rows,); empty when none was logged.

    Raises:
        NotebookContract: there are two tables, or it cannot be read, or lacks what it needs.
    """
    file = _only(folder, "predictions", _TABLES)
    if file is None:
        return {}
    frame = _frame(file)
    if frame.empty:
        raise _wrong(file, "has no rows", "it has one for each held-out row")
    columns = [str(name) for name in frame.columns]
    for needed in ("label", "prediction"):
        # A model with several outputs has one of each: label_price, prediction_price.
        if not any(name == needed or name.startswith(f"{needed}_") for name in columns):
            raise _wrong(file, f"has no column {needed}", f"it has {', '.join(columns)}")
    if len(set(columns)) < len(columns):
        raise _wrong(file, "names a column twice", "each column has a name of its own")
    for name in columns:
        if name.startswith("probability_") and frame[name].dtype.kind not in "fiu":
            raise _wrong(file, f"has texts in {name}", "probabilities are numbers")
    return {name: _array(frame[name]) for name in columns}


def find_inputs(folder: Path) -> Path | None:
    """The file with the real validation rows, None when none was logged.

    Raises:
        NotebookContract: there are two, or it cannot be read, or has no rows.
    """
    file = _only(folder, "inputs", _ROWS)
    if file is not None and not _count(file):
        raise _wrong(file, "has no rows", "it has the rows that the model predicted")
    return file


def _only(folder: Path, stem: str, suffixes: tuple[str, ...]) -> Path | None:
    found = [folder / f"{stem}{suffix}" for suffix in suffixes if (folder / f"{stem}{suffix}").is_file()]
    if len(found) > 1:
        raise NotebookContract(
            f"the validation logged both {found[0].name} and {found[1].name}", instead="it logs one of them", then=_SEE
        )
    return found[0] if found else None


def _wrong(file: Path, what: str, instead: str) -> NotebookContract:
    return NotebookContract(f"{FOLDER}/{file.name} {what}", instead=instead, then=_SEE)


def _frame(file: Path) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra.of("all", "pandas", "reading the table of predictions") from None
    try:
        return pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    except Exception as error:
        raise _wrong(file, f"cannot be read: {_first_line(error)}", f"it is a {file.suffix[1:]} table") from error


def _array(column: pd.Series[Any]) -> Any:
    import numpy as np

    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    # pandas' own types: numbers become NumPy's, with nan where a value is missing, and everything else objects.
    kind = column.dtype.kind
    if kind in "iub" and not column.isna().any():
        return column.to_numpy(dtype=np.bool_ if kind == "b" else np.int64)
    if kind in "iuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.to_numpy(dtype=object)


def _count(file: Path) -> int:
    import numpy as np

    try:
        if file.suffix == ".npy":
            return _length(np.load(file, mmap_mode="r", allow_pickle=False))
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                lengths = {_length(arrays[name]) for name in arrays.files}
            if len(lengths) > 1:
                raise _wrong(file, f"has arrays of {sorted(lengths)} rows", "all have the same number")
            return lengths.pop() if lengths else 0
        return len(_frame(file))
    except NotebookContract:
        raise
    except Exception as error:
        raise _wrong(file, f"cannot be read: {_first_line(error)}", f"it is a {file.suffix} file") from error


def _length(array: Any) -> int:
    if array.ndim == 0:
        raise ValueError("a single number has no rows")
    return len(array)


def _first_line(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return said[0] if said else type(error).__name__
