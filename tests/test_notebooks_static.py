"""All notebooks of the repository as they are stored."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(path for folder in ("notebooks", "tests/notebooks") for path in (ROOT / folder).rglob("*.ipynb"))
MODELS = sorted({path.parent for path in NOTEBOOKS if path.name == "validate.ipynb"})
OURS = {"ipext", "pipelines", "turnout"}
# The only ones that show Turnout itself at work.
SHOWS_TURNOUT = {"quickstart.ipynb"}


def name(path: Path) -> str:
    """A test's id for a path."""
    return str(path.relative_to(ROOT))


def code(path: Path) -> list[dict[str, Any]]:
    """The code cells."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    """A cell's text without the lines that only IPython understands."""
    lines = "".join(cell["source"]).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def imported(path: Path) -> set[str]:
    """The top-level packages that a notebook imports."""
    found: set[str] = set()
    for cell in code(path):
        for node in ast.walk(ast.parse(source(cell))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


def test_there_are_notebooks() -> None:
    """The example and those of the tests are found, so that the tests below look at something."""
    found = {name(path) for path in NOTEBOOKS}
    assert {"notebooks/digits/train.ipynb", "notebooks/digits/validate.ipynb"} <= found
    assert {"credit", "digits", "torch_regression"} <= {folder.name for folder in MODELS}


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.name not in SHOWS_TURNOUT], ids=name)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    """No output, no execution count and no trace of a run is committed: a diff shows what a person changed."""
    for cell in code(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert set(cell["metadata"]) <= {"tags"}
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert set(metadata) <= {"kernelspec", "language_info"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_is_valid_and_its_cells_have_names(path: Path) -> None:
    """Format 4.5, in which each cell has an id of its own; a heading comes first, so that progress has a title."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.name not in SHOWS_TURNOUT], ids=name)
def test_a_notebook_imports_nothing_of_ours(path: Path) -> None:
    """It runs by hand, and in an environment without Turnout."""
    assert imported(path) & OURS == set()


@pytest.mark.parametrize("folder", MODELS, ids=name)
def test_the_notebooks_of_a_model_keep_the_contract(folder: Path) -> None:
    """train.ipynb and validate.ipynb declare parameters, and the validation takes the model it is to judge."""
    from pipelines.adapters.papermill_runner import PapermillRunner

    runner = PapermillRunner()
    assert runner.defaults(folder / "train.ipynb")
    assert runner.defaults(folder / "validate.ipynb")["model_uri"] == ""


def test_both_digits_notebooks_hold_out_the_same_images() -> None:
    """The validation's images are those that the training never sees: both split alike, whatever the seed."""

    def split(path: Path) -> str:
        calls = [
            node
            for cell in code(path)
            for node in ast.walk(ast.parse(source(cell)))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "train_test_split"
        ]
        (call,) = calls
        return ", ".join(ast.unparse(keyword) for keyword in call.keywords)

    digits = ROOT / "notebooks" / "digits"
    held_out = split(digits / "train.ipynb")
    assert held_out == split(digits / "validate.ipynb")
    assert "random_state=0" in held_out
