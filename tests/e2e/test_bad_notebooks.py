"""Notebooks that go wrong, run by the real command: each ends in one clear line, and the next run works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.line import ROOT, ProjectFolder, make_project

NOTEBOOKS = ROOT / "tests" / "notebooks"
BAD = {
    "raises": ("NotebookRaised", "ZeroDivisionError"),
    "kills_kernel": ("KernelDied", "kernel"),
    "never_ends": ("NotebookTimeout", "cell_timeout_minutes"),
    "logs_no_model": ("NotebookContract", "no model"),
    "logs_two_models": ("NotebookContract", "'small', 'large'"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectFolder:
    """A project with a model for each bad notebook, and a good one."""
    minutes = {name: 0.05 if name == "never_ends" else 5 for name in BAD}
    tables = [
        f"[tool.turnout.models.{name}]\ntrain = 'notebooks/bad/{name}.ipynb'\n"
        f"validate = 'notebooks/credit/validate.ipynb'\ncell_timeout_minutes = {minutes[name]}\n"
        for name in BAD
    ]
    good = "[tool.turnout.models.credit]\ntrain = 'notebooks/credit/train.ipynb'\n"
    tables.append(f"{good}validate = 'notebooks/credit/validate.ipynb'\n")
    root = tmp_path_factory.mktemp("bad")
    return make_project(root, "\n".join(tables), bad=NOTEBOOKS / "bad", credit=NOTEBOOKS / "credit")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_notebook_ends_in_one_line_and_makes_no_version(project: ProjectFolder, name: str) -> None:
    """Exit code 1; the last line names the kind of failure and its cause; the executed notebook is kept."""
    kind, cause = BAD[name]
    done = project.turnout("train", name, code=1)
    last = done.err.strip().splitlines()[-1]
    assert last.startswith(f"{kind}: ")
    assert cause in last
    assert done.out == ""
    assert project.json("versions", name)["versions"] == []
    assert list((project.state / "runs" / name).glob("*-train-*.ipynb"))


def test_a_good_notebook_runs_after_all_of_them(project: ProjectFolder) -> None:
    """What went wrong before stands in nobody's way."""
    assert project.json("train", "credit")["ref"] == "credit@1"


def test_a_notebook_outside_the_project_is_refused(tmp_path: Path) -> None:
    """Neither by `..` nor by a link does a notebook come from elsewhere."""
    tables = "[tool.turnout.models.credit]\ntrain = '{}'\nvalidate = 'notebooks/credit/validate.ipynb'\n"
    folder = make_project(tmp_path / "inside", tables.format("../train.ipynb"), credit=NOTEBOOKS / "credit")
    outside = tmp_path / "train.ipynb"
    outside.write_bytes((NOTEBOOKS / "credit" / "train.ipynb").read_bytes())
    (folder.root / "linked.ipynb").symlink_to(outside)
    for path in ("../train.ipynb", "linked.ipynb", str(outside)):
        (folder.root / "pyproject.toml").write_text(tables.format(path), encoding="utf-8")
        done = folder.turnout("train", "credit", code=2)
        assert "outside" in done.err
        assert not folder.state.exists()
