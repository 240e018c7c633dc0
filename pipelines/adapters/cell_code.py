"""The Python of a notebook's code cells, without what only IPython understands."""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipelines.errors import BadProject

_MAGIC = re.compile(r"^(\s*)(?:[\w.,\s]+=\s*)?[%!].*$")
_HELP = re.compile(r"^\s*\??[\w.]+\?{1,2}\s*$")
_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun")
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+[.\w]+[ \t]+import[ \t]+(?:\([^)]*\)|[^(\n]+)|import[ \t]+[\w., \t]+)$", re.M
)


def code_cells(path: Path) -> list[str]:
    """The sources of the code cells, in order; blank ones are left out, line ends are those of Unix.

    Raises:
        BadProject: the file cannot be read, or is no notebook of format 4.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = [_source(cell) for cell in cells if cell["cell_type"] == "code"]
    except OSError as error:
        raise BadProject(f"the notebook {path} cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise BadProject(
            f"{path} is not a Jupyter notebook",
            instead="it is JSON of notebook format 4",
            then="Save it in Jupyter.",
        ) from error
    return [source for source in sources if source.strip()]


def trees(sources: Iterable[str]) -> Iterator[ast.Module]:
    """The syntax trees of cells; of one that is no Python, its import statements alone."""
    for source in sources:
        if source.lstrip().startswith("%%") and not source.lstrip().startswith(_PYTHON_CELLS):
            continue
        yield tree(_without_magics(source))


def tree(source: str) -> ast.Module:
    """The syntax tree of a text; where it has a mistake, of its import statements alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes: whoever runs the code is told
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            pass
        body = []
        for line in _IMPORT.findall(source):
            try:
                body += ast.parse(textwrap.dedent(line)).body
            except (SyntaxError, ValueError):
                continue
    return ast.Module(body=body, type_ignores=[])


def run_files(sources: Iterable[str]) -> list[str]:
    """What `%run` names in cells."""
    lines = (line.strip() for source in sources for line in source.splitlines())
    words = [line.split() for line in lines if line.startswith("%run ")]
    named = (next((word for word in each[1:] if not word.startswith("-")), "") for each in words)
    return [name.strip("'\"") for name in named if name]


def _source(cell: dict[str, Any]) -> str:
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    return text.replace("\r\n", "\n")


def _without_magics(source: str) -> str:
    return "\n".join(_plain(line) for line in source.splitlines())


def _plain(line: str) -> str:
    if (found := _MAGIC.match(line)) is not None:
        return f"{found[1]}pass"
    return "pass" if _HELP.match(line) else line
