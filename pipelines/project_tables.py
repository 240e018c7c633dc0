"""Tables of the project file, read one by one: what is wrong is collected and told in one form."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.values import Parameter

Number = Annotated[float, Field(allow_inf_nan=False)]
Key = tuple[str, ...]
"""Where something stands in the file."""


class Table(BaseModel):
    """A table of the project file; each field's description says what is allowed."""

    model_config = ConfigDict(extra="forbid", strict=True)


_T = TypeVar("_T", bound=BaseModel)


class Reader:
    """Turns tables into values, and collects what is wrong instead of stopping at the first mistake.

    Args:
        root: The project's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[str] = []

    def table(self, kind: type[_T], value: Any, key: Key, example: str = "") -> _T | None:
        """The table as `kind`, or None after its mistakes have been noted."""
        if not isinstance(value, dict):
            self.wrong(key, f" is {shown(value)}; it must be a table{f' such as {example}' if example else ''}")
            return None
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            allowed = {field.alias or name: field.description or "" for name, field in kind.model_fields.items()}
            wrong = error.errors(include_url=False, include_context=False)
            for problem in wrong:
                self.problems.append(_said(problem["type"], problem["loc"], problem["input"], key, allowed))
        # What is right is read all the same, so that the mistakes deeper down are told in the same breath.
        bad = {problem["loc"][0] for problem in wrong}
        try:
            return kind.model_validate({name: part for name, part in value.items() if name not in bad})
        except ValidationError:
            return None

    def wrong(self, key: Key, said: str) -> None:
        """Note a mistake: the key's path and what is wrong with it."""
        self.problems.append(f"{path_of(key)}{said}")

    def inside(self, path: str, key: Key) -> Path | None:
        """The absolute path, links resolved, when it lies in the project."""
        try:
            full = (self.root / path).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            self.wrong(key, f" is {path!r}, which is no usable path: {error}")
            return None
        if full.is_relative_to(self.root):
            return full
        self.wrong(key, f" is {path!r}, which lies outside the project; it must lie below {self.root}")
        return None

    def parameters(self, table: Mapping[str, Any], key: Key) -> dict[str, Parameter]:
        """Values for a notebook, after the mistakes among them have been noted."""
        for name, value in table.items():
            if not name.isidentifier() or keyword.iskeyword(name):
                self.wrong((*key, name), " is no name a Python variable can have")
            elif not isinstance(value, bool | int | float | str):
                self.wrong((*key, name), f" is {shown(value)}; it must be a number, a text, true or false")
            elif isinstance(value, float) and not math.isfinite(value):
                self.wrong((*key, name), f" is {value}; numbers must be finite")
        return dict(table)


def _said(kind: str, place: tuple[int | str, ...], value: Any, key: Key, allowed: Mapping[str, str]) -> str:
    name = str(place[0])
    # What pydantic appends to a name or an index (a member of a union) is none of the reader's business.
    index = "".join(f"[{part}]" for part in place[1:] if isinstance(part, int))
    path = path_of((*key, name)) + index
    if kind == "extra_forbidden":
        return f"{path} is not known{nearest(name, allowed)}; allowed here: {listed(allowed)}"
    if kind == "missing":
        return f"{path} is missing; it must be {allowed[name]}"
    return f"{path} is {shown(value)}; it must be {allowed[name]}"


def path_of(key: Iterable[str]) -> str:
    """A key as the file would write it."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' for part in key)


def shown(value: Any) -> str:
    """A value as a message shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    text = repr(value) if isinstance(value, str | list | int | float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint at the name that may have been meant; empty when none is near."""
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def listed(names: Iterable[str]) -> str:
    """Names in a row."""
    return ", ".join(names)


def as_float(value: float | None) -> float | None:
    """A number of the file, where there is one."""
    return None if value is None else float(value)
