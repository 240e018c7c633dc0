"""What each framework needs to be installed, and what a notebook's code gives away of itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.values.health import NotebookFacts


@dataclass(frozen=True, slots=True)
class Framework:
    """One that Turnout knows to export.

    Args:
        name: Of the extra, and of `--framework`.
        flavour: MLflow's name for it: `mlflow.FLAVOUR.log_model`.
        package: What holds its classes.
        modules: What the extra brings, by the names they are imported under.
    """

    name: str
    flavour: str
    package: str
    modules: tuple[str, ...]


FRAMEWORKS = (
    Framework("sklearn", "sklearn", "sklearn", ("sklearn", "skl2onnx", "skops", "onnx")),
    Framework("tensorflow", "tensorflow", "keras", ("tensorflow", "keras", "tf2onnx", "onnx")),
    Framework("torch", "pytorch", "torch", ("torch", "onnxscript", "onnx")),
    Framework("xgboost", "xgboost", "xgboost", ("xgboost", "onnxmltools", "skl2onnx", "onnx")),
    Framework("lightgbm", "lightgbm", "lightgbm", ("lightgbm", "onnxmltools", "skl2onnx", "onnx")),
)
_BY_FLAVOUR = {one.flavour: one for one in FRAMEWORKS} | {"keras": FRAMEWORKS[1]}


def framework_of(flavours: Sequence[str]) -> Framework | None:
    """The framework of the first flavour that is known."""
    return next((_BY_FLAVOUR[flavour] for flavour in flavours if flavour in _BY_FLAVOUR), None)


def look_at(notebook: Mapping[str, Any]) -> NotebookFacts:
    """What a notebook in format 4 says of itself; nothing of it is run."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    imports: set[str] = set()
    flavours: list[str] = []
    broken = None
    saves_table = False
    for number, cell in enumerate(cells, start=1):
        try:
            tree = ast.parse(plain_python(source_of(cell)))
        except (SyntaxError, ValueError):
            broken = broken or number
            continue
        imports |= set(_imports(tree))
        flavours += logged_flavours(tree)
        saves_table = saves_table or any(
            isinstance(node, ast.Constant) and str(node.value).partition("/")[0] == "validation"
            for node in ast.walk(tree)
        )
    tagged = any("parameters" in cell.get("metadata", {}).get("tags", ()) for cell in cells)
    return NotebookFacts(tagged, frozenset(imports), tuple(flavours), saves_table, broken)


def source_of(cell: Mapping[str, Any]) -> str:
    """A cell's text, which a file may hold as one string or as a list of lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def plain_python(source: str) -> str:
    """The text with the lines that only IPython understands blanked, so that line numbers stay."""
    if source.lstrip().startswith("%%"):
        return ""
    lines = (
        f"{line[: len(line) - len(line.lstrip())]}pass" if line.lstrip()[:1] in ("%", "!", "?") else line
        for line in source.splitlines()
    )
    return "\n".join(lines)


def logged_flavours(tree: ast.AST) -> list[str]:
    """The `FLAVOUR` of each call of `mlflow.FLAVOUR.log_model` in the order of the text."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    attr="log_model", value=ast.Attribute(attr=flavour, value=ast.Name(id="mlflow" | "mf"))
                )
            ):
                found.append(flavour)
            case ast.Call(func=ast.Attribute(attr="log_model", value=ast.Name(id=name))) if name in _BY_FLAVOUR:
                found.append(name)
    return found


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
