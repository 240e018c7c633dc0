"""`turnout test` over real notebooks, kernels and pytest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.line import ROOT, ProjectFolder, make_project

TABLES = """[tool.turnout.models.credit]
train = "notebooks/credit/train.ipynb"
validate = "notebooks/credit/validate.ipynb"
test_parameters = { seed = 5 }
"""
FILE = """import mlflow


def test_the_rows_are_there():
    assert "tests" in mlflow.get_tracking_uri()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectFolder:
    """A project that was never shipped, with a test of its own."""
    made = make_project(tmp_path_factory.mktemp("tests"), TABLES, credit=ROOT / "tests" / "notebooks" / "credit")
    (made.root / "tests").mkdir()
    (made.root / "tests" / "test_credit.py").write_text(FILE)
    return made


def loaded(page: Path) -> list[str]:
    """The addresses that a page loads."""
    html = page.read_text(encoding="utf-8")
    found = re.findall(r"<(?!a\b)\w+[^>]*\s(?:src|href|data|poster|srcset)\s*=\s*[\"']?([^\"'\s>]+)", html)
    return [address for address in found if not address.startswith(("data:", "#"))]


def test_a_models_notebooks_and_files_are_tested(project: ProjectFolder) -> None:
    """All cells of both notebooks and the file pass; a page shows them; no version and no run comes of it."""
    done = project.turnout("test", "credit", "--json", TURNOUT_WARM_KERNELS="1").document
    assert done["ok"] is True
    told = done["models"]["credit"]
    assert {test["outcome"] for test in told["tests"]} == {"passed"}
    assert {test["file"] for test in told["tests"]} == {
        "notebooks/credit/train.ipynb",
        "notebooks/credit/validate.ipynb",
        "tests/test_credit.py",
    }
    page = Path(told["page"])
    html = page.read_text(encoding="utf-8")
    assert loaded(page) == []
    assert not re.search(r"<script|mathjax|require\.js|@import|url\((?!data:)", html, re.I)
    assert "seed = 5" in re.sub(r"<[^>]*>", "", html)
    assert project.json("versions", "credit")["versions"] == []
    assert [path.name for path in sorted(page.parent.iterdir())] == ["report.html", "train.ipynb", "validate.ipynb"]
    project.turnout("down")


@pytest.mark.long
def test_a_failed_cell_is_named(project: ProjectFolder) -> None:
    """Exit code 1, the cell and its error in a line; the next notebook is not run, the page is there all the same."""
    notebook = project.root / "notebooks" / "credit" / "train.ipynb"
    text = notebook.read_text(encoding="utf-8")
    assert text.count("table = applications(600, seed)") == 1
    notebook.write_text(text.replace("table = applications(600, seed)", "table = applications(600 / 0, seed)"))
    done = project.turnout("test", code=1, TURNOUT_WARM_KERNELS="0")
    said = " ".join(done.out.split())
    assert "notebooks/credit/train.ipynb, cell 5 (Make the applications): ZeroDivisionError: division by zero" in said
    assert (project.state / "tests" / "credit" / "report.html").is_file()
    assert "ZeroDivisionError" in (project.state / "tests" / "credit" / "report.html").read_text(encoding="utf-8")
    assert "credits" in project.turnout("test", "credits", code=2).err
