"""The files of a project that begins, as texts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import nbformat
import pytest

import pipelines
from pipelines.errors import BadInput, BadProject, Refused
from pipelines.policy.cells import notebook, notebook_text, read_cells
from pipelines.policy.frameworks import framework_of, look_at
from pipelines.policy.starting import KINDS, check_free, model_name, model_sheets, project_sheet, shared_sheets
from pipelines.values.refs import MODEL_NAME
from pipelines.values.starting import Outcome, Sheet

TEMPLATES = Path(pipelines.__file__).parent / "templates"
TABLE = "[tool.turnout.models.churn]\ntrain = 'a.ipynb'\n"


def template(name: str) -> str:
    """One of the package's templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def shared(there: dict[str, str | None]) -> dict[str, Sheet]:
    """The files of the whole project, where nothing but scikit-learn is installed."""
    version = {"scikit-learn": "1.9"}.get
    return {sheet.path: sheet for sheet in shared_sheets(there, "churn", "sklearn", template, version)}


def test_cells_of_other_variants_are_left_out() -> None:
    """A cell without `only=` belongs to all; tags and texts come through, without blank lines around them."""
    text = "=== markdown\n# Title\n\n=== code parameters only=a,b\nx = 1\n\n=== code only=c\ny = 2\n"
    first, second = read_cells(text, "b")
    assert (first.kind, first.source) == ("markdown", "# Title")
    assert (second.kind, second.source, second.tags) == ("code", "x = 1", ("parameters",))
    assert [cell.source for cell in read_cells(text, "c")] == ["# Title", "y = 2"]


def test_equal_cells_have_ids_of_their_own() -> None:
    """Format 4.5 wants each id once, and the same cells get the same ids each time."""
    cells = read_cells("=== code\nx\n=== code\nx\n", "any")
    made = notebook(cells)
    assert len({cell["id"] for cell in made["cells"]}) == 2
    assert made == notebook(cells)


@pytest.mark.parametrize("framework", KINDS)
def test_the_notebooks_of_each_framework_keep_the_contract(framework: str) -> None:
    """Valid, without outputs, parameters tagged, one model logged with the flavour of the framework, rows logged."""
    sheets = {sheet.path: sheet.text for sheet in model_sheets("churn", framework, template)}
    train, validate = (
        nbformat.reads(sheets[f"notebooks/churn/{name}.ipynb"], as_version=4) for name in ("train", "validate")
    )
    for made in (train, validate):
        nbformat.validate(made)
        assert all(not cell.outputs for cell in made.cells if cell.cell_type == "code")
        assert notebook_text(json.loads(nbformat.writes(made))).count("{{") == 0
    seen, judged = look_at(train), look_at(validate)
    assert seen.tagged
    assert judged.tagged
    assert judged.saves_table
    assert seen.flavours == (KINDS[framework].flavour,)
    found = framework_of(seen.flavours)
    assert found is not None
    assert found.name == KINDS[framework].extra
    assert "churn_data" in seen.imports & judged.imports


def test_a_model_name_comes_of_any_folder_name() -> None:
    """Whatever a folder is called, the name is one that a model may have."""
    assert model_name("Customer Churn 2026") == "customer-churn-2026"
    for folder in ("", "...", "2026", "_x_", "模型", "x" * 90, "a" * 39 + "--b"):
        assert MODEL_NAME.fullmatch(model_name(folder)), folder


def test_a_project_file_keeps_what_is_in_it() -> None:
    """To the letter, comments included; the model comes behind, and the runtime's table when there was none."""
    before = "# ours\n[project]\nname = 'x'  # kept\n"
    sheet = project_sheet(before, "churn", TABLE, "[tool.ruff]\n")
    assert sheet.outcome is Outcome.ADDED
    assert sheet.text.startswith(before)
    assert "[tool.ruff]" not in sheet.text
    assert tomllib.loads(sheet.text)["tool"]["turnout"]["models"]["churn"]["train"] == "a.ipynb"
    again = project_sheet(sheet.text, "other", TABLE.replace("churn", "other"), "")
    assert list(tomllib.loads(again.text)["tool"]["turnout"]["models"]) == ["churn", "other"]
    assert again.text.count("port = 3000") == 1


def test_a_model_that_is_there_is_not_added_again() -> None:
    """The message names it and the option that gives another name."""
    with pytest.raises(BadInput, match=r"a model churn already.*--name"):
        project_sheet(TABLE, "churn", TABLE, "")


@pytest.mark.parametrize(
    ("before", "said"),
    [("[tool\n", "not valid TOML"), ("tool.turnout.models = { other = {} }\n", r"cannot be added.*models\.churn")],
)
def test_a_project_file_that_cannot_be_added_to_is_said(before: str, said: str) -> None:
    """One that is broken, and one whose tables are written in a line: the lines to add are in the message."""
    with pytest.raises(BadProject, match=f"(?s){said}"):
        project_sheet(before, "churn", TABLE, "")


def test_what_is_there_is_kept_or_added_to() -> None:
    """A README and a lock stay as they are; of the .gitignore only the lines are added that it lacks."""
    there: dict[str, str | None] = {"README.md": "ours", ".gitignore": "/.venv\n.turnout", "uv.lock": "x"}
    sheets = shared(there)
    assert sheets["README.md"].outcome is Outcome.KEPT
    assert "requirements.txt" not in sheets
    ignored = sheets[".gitignore"]
    assert ignored.outcome is Outcome.ADDED
    assert ignored.text.startswith("/.venv\n.turnout\n")
    assert ignored.text.count(".turnout") == 1
    assert "reports/" in ignored.text.splitlines()


def test_the_environment_is_pinned_to_what_is_installed() -> None:
    """A change of it makes new versions, so it says which; what is not installed has no number."""
    lines = shared({})["requirements.txt"].text.splitlines()
    assert "scikit-learn==1.9" in lines
    assert "turnout[sklearn]" in lines


def test_a_file_with_another_text_is_in_the_way_and_one_with_the_same_is_not() -> None:
    """All that are in the way are named; a call that was killed half-way can be made again."""
    sheets = [Sheet("a", "1", "2"), Sheet("b", "1", "1"), Sheet("c", "1"), Sheet("d", "1", "0")]
    with pytest.raises(Refused, match="a, d already"):
        check_free(sheets)
    check_free(sheets[1:3])
