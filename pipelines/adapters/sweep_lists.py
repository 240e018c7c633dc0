"""The runs of a sweep as a person's own file lists them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import BadInput


def read_runs(path: Path) -> list[dict[str, str]]:
    """The parameters of each run: of a `.csv` whose first line names them, or a `.json` list of objects.

    Raises:
        BadInput: it cannot be read, or is neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text", then="Save it in that encoding.") from error
    return _of_json(text, path) if path.suffix == ".json" else _of_csv(text, path)


def _of_json(text: str, path: Path) -> list[dict[str, str]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{path} is no JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise BadInput(f"{path} is no list of objects", instead='it is such as [{"epochs": 4}, {"epochs": 8}]')
    return [{str(name): _text(value) for name, value in row.items()} for row in found]


def _text(value: Any) -> str:
    # As a person would type it: Python's own True is none of JSON's words.
    return value if isinstance(value, str) else json.dumps(value)


def _of_csv(text: str, path: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(text)))
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise BadInput(f"line {number} of {path} has not as many values as the first line has names")
    return [{name.strip(): value.strip() for name, value in row.items()} for row in rows]
