"""The functions before and after a model, as files beside its notebooks."""

from __future__ import annotations

import csv
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines.errors import BadServiceCode, StorageFailed
from pipelines.values import FUNCTIONS, ROWS_FILE, ServiceFiles, ServiceFunction, file_name
from pipelines.values.service_code import plain

LARGEST_ROWS = 2 << 20
"""Bytes of a file of example rows: it stands in version control, and a diff of it is read."""
_LARGEST_CODE = 1 << 20


class FileFunctions:
    """Implements `ports.Functions` with files that version control keeps."""

    def read(self, folder: Path) -> ServiceFiles:
        """What lies in the folder.

        Raises:
            BadServiceCode: a file is no text.
            StorageFailed: a file cannot be read.
        """
        found = [
            ServiceFunction(name, text)
            for name in FUNCTIONS
            if (text := _text(folder / file_name(name), _LARGEST_CODE)) is not None
        ]
        ours = tuple(function for function in found if function.is_ours)
        others = tuple(file_name(function.name) for function in found if not function.is_ours)
        return ServiceFiles(ours, _text(folder / ROWS_FILE, LARGEST_ROWS) or "", others)

    def write(self, folder: Path, files: ServiceFiles) -> None:
        """Make the folder hold just these; a file that has its text already is not touched.

        Raises:
            BadServiceCode: a file of somebody's own has the name.
            StorageFailed: the disk is full or read-only; each file has its old text or its new one.
        """
        for name in FUNCTIONS:
            function = files.get(name)
            if function is not None and file_name(name) in files.others:
                raise BadServiceCode(
                    f"{folder / file_name(name)} is there already, and its first line does not say that it is such a "
                    "function",
                    instead=f"`# turnout: {name}` says so",
                    then="Give that file another name, or such a first line.",
                )
        try:
            # The rows first: they say nothing without their function, and a function without its rows is refused.
            _put(folder / ROWS_FILE, files.rows or None)
            for name in FUNCTIONS:
                if file_name(name) not in files.others:
                    function = files.get(name)
                    _put(folder / file_name(name), function.text if function else None)
        except OSError as error:
            raise StorageFailed.from_os(error, "storing service code") from error

    def rows(self, path: Path) -> str:
        """The text of ROWS_FILE for a person's own file of example rows.

        Raises:
            BadServiceCode: it is no list of rows, or too large.
        """
        text = _text(path, LARGEST_ROWS)
        if text is None:
            raise BadServiceCode(f"there is no file {path}", instead="--rows names a .json or .csv file")
        rows = _read_csv(text, path) if path.suffix.lower() == ".csv" else _read_json(text, path)
        if not isinstance(rows, list) or not rows:
            raise BadServiceCode(f"{path.name} holds no list of rows", instead='it is [row, ...] or {"inputs": [...]}')
        # A row a line, so that a diff of it can be read.
        return '{"inputs": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]}\n"


def _text(path: Path, most: int) -> str | None:
    try:
        if path.stat().st_size > most:
            raise BadServiceCode(f"{path} is larger than {most:,} bytes", then="Keep a few rows that differ.")
        return path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise BadServiceCode(f"{path} is not UTF-8 text: {error.reason}", then="Save it in that encoding.") from error
    except OSError as error:
        raise StorageFailed(f"{path} cannot be read: {error.strerror}") from error


def _read_json(text: str, path: Path) -> Any:
    try:
        said = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadServiceCode(
            f"{path.name} is not JSON: {error}", instead="--rows names a .json or .csv file"
        ) from error
    return said["inputs"] if isinstance(said, dict) and set(said) == {"inputs"} else said


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _read_csv(text: str, path: Path) -> list[dict[str, Any]]:
    try:
        header, *lines = list(csv.reader(plain(text).splitlines(), strict=True)) or [[]]
    except csv.Error as error:
        raise BadServiceCode(f"{path.name} is not CSV: {error}") from error
    if len(set(header)) != len(header) or not all(header):
        raise BadServiceCode(f"the first line of {path.name} does not name each column once")
    lines = [line for line in lines if line]
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise BadServiceCode(f"row {number} of {path.name} has {len(line)} values", instead=f"it has {len(header)}")
    columns = [_typed([line[place] for line in lines]) for place in range(len(header))]
    return [dict(zip(header, values, strict=True)) for values in zip(*columns, strict=True)]


def _typed(texts: list[str]) -> list[Any]:
    """A column of a CSV file: all numbers, all truths, or texts; an empty place is null."""
    for kind in (_truth, int, _number):
        with suppress(ValueError):
            return [kind(text) if text else None for text in texts]
    return [text or None for text in texts]


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _number(text: str) -> float:
    number = float(text)
    if number - number != 0:  # NaN and the infinite ones are no JSON
        raise ValueError(text)
    return number


def _put(path: Path, text: str | None) -> None:
    """Write whole or not at all; None removes."""
    if text is None:
        path.unlink(missing_ok=True)
        return
    content = text.encode()
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with written.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except OSError:
        with suppress(OSError):
            written.unlink(missing_ok=True)
        raise
