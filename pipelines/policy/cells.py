"""Notebooks as texts: a template whose cells stand below lines such as `=== code only=keras`, made to a notebook."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MARK = "=== "
_ONLY = "only="


@dataclass(frozen=True, slots=True)
class CellText:
    """One cell.

    Args:
        kind: `code` or `markdown`.
        source: Its text.
        tags: Its tags.
    """

    kind: str
    source: str
    tags: tuple[str, ...] = field(default=())


def read_cells(template: str, *variants: str) -> list[CellText]:
    """The cells of a template that belong to one of these, such as `keras`; those without `only=` belong to all."""
    found: list[CellText] = []
    for part in f"\n{template}".split(f"\n{MARK}")[1:]:
        head, _, source = part.partition("\n")
        kind, *words = head.split()
        only = [word.removeprefix(_ONLY).split(",") for word in words if word.startswith(_ONLY)]
        if all(set(variants) & set(names) for names in only):
            tags = tuple(word for word in words if not word.startswith(_ONLY))
            found.append(CellText(kind, source.strip("\n"), tags))
    return found


def notebook(cells: Sequence[CellText]) -> dict[str, Any]:
    """A notebook in format 4.5 without outputs; the same cells get the same ids."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return {
        "cells": [_cell(cell, name) for cell, name in zip(cells, _ids(cells), strict=True)],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def notebook_text(content: Mapping[str, Any]) -> str:
    """A notebook as JupyterLab stores it."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _cell(cell: CellText, name: str) -> dict[str, Any]:
    metadata = {"tags": list(cell.tags)} if cell.tags else {}
    shared: dict[str, Any] = {"cell_type": cell.kind, "id": name, "metadata": metadata}
    if cell.kind == "code":
        shared |= {"execution_count": None, "outputs": []}
    return {**shared, "source": cell.source.splitlines(keepends=True)}


def _ids(cells: Sequence[CellText]) -> Iterator[str]:
    seen: set[str] = set()
    for cell in cells:
        name = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        while name in seen:
            name = hashlib.sha256(name.encode()).hexdigest()[:8]
        seen.add(name)
        yield name
