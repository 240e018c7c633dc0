"""Labels as a person's own file lists them: read row by row, so that its length does not matter."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pipelines.errors import BadInput
from pipelines.values.labels import IDS, LABEL, Label, read_label

_BATCH = 10_000
_WANTED = "it has the columns request_id and label"


def read_labels(path: Path) -> Iterator[Label]:
    """The labels of a file, one a row, by the file's ending.

    `.csv` and `.tsv` name their columns in the first line (`,`, `;` or tabs between them), `.jsonl` and `.ndjson` have
    an object a line, `.parquet` has columns. Other columns are left aside. A request of several rows has a list.

    Raises:
        BadInput: the file, or one of its rows, cannot be used; the message names the row.
    """
    kinds: Mapping[str, Callable[[Path], Iterator[tuple[str, Any, Any]]]] = {
        ".csv": _of_table,
        ".tsv": _of_table,
        ".jsonl": _of_json_lines,
        ".ndjson": _of_json_lines,
        ".parquet": _of_parquet,
    }
    read = kinds.get(path.suffix.lower())
    if read is None:
        raise BadInput(f"{path} is of no kind that is known", instead=f"its name ends with {', '.join(kinds)}")
    return _checked(path, read)


def _checked(path: Path, read: Callable[[Path], Iterator[tuple[str, Any, Any]]]) -> Iterator[Label]:
    is_empty = True
    try:
        for where, key, value in read(path):
            is_empty = False
            try:
                label = read_label(key, value)
            except BadInput as error:
                then = "Leave out what is not known yet." if value is None or value == "" else ""
                raise BadInput(f"{where} of {path}: {error.what}", instead=error.instead, then=then) from error
            yield label
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text", then="Save it in that encoding.") from error
    if is_empty:
        raise BadInput(f"{path} has no labels", instead=_WANTED)


def _of_table(path: Path) -> Iterator[tuple[str, Any, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        delimiter = max("\t" if path.suffix.lower() == ".tsv" else ",;\t", key=first.count)
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            names = [name.strip() for name in next(rows, [])]
            key, value = _columns(path, names)
            for row in rows:
                if not row:
                    continue
                where = f"line {rows.line_num}"
                if len(row) != len(names):
                    raise BadInput(
                        f"{where} of {path} has {len(row)} values", instead=f"the first line has {len(names)} names"
                    )
                yield where, row[key], _list(row[value])
        except csv.Error as error:
            raise BadInput(f"line {rows.line_num} of {path} is no line of a table: {error}") from error


def _list(text: str) -> Any:
    """A list in a cell, `[3, 5]`; another text as it is."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _columns(path: Path, names: Sequence[str]) -> tuple[int, int]:
    key = next((names.index(name) for name in IDS if name in names), None)
    if key is None or LABEL not in names:
        missing = LABEL if key is not None else IDS[0]
        near = get_close_matches(missing, names, 1)
        there = ", ".join(filter(None, names[:10])) or "nothing"
        raise BadInput(
            f"{path} has no column {missing}, only {there}",
            instead=_WANTED,
            then=f"Perhaps {near[0]} has to be renamed." if near else "",
        )
    return key, names.index(LABEL)


def _of_json_lines(path: Path) -> Iterator[tuple[str, Any, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"line {number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BadInput(f"{where} of {path} is no JSON: {error}", instead="each line is an object") from error
            if not isinstance(row, dict):
                raise BadInput(
                    f"{where} of {path} is no object", instead='it is such as {"request_id": "...", "label": 3}'
                )
            key, value = _columns(path, list(row))
            found = list(row.values())
            yield where, found[key], found[value]


def _of_parquet(path: Path) -> Iterator[tuple[str, Any, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with path.open("rb") as file:
            table = parquet.ParquetFile(file)
            names = table.schema_arrow.names
            key, value = _columns(path, names)
            number = 0
            for batch in table.iter_batches(_BATCH, columns=[names[key], names[value]]):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row[names[key]], row[names[value]]
    except pyarrow.ArrowException as error:
        raise BadInput(f"{path} is no Parquet file: {error}") from error
