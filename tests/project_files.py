"""Project files, right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import BadProject
from pipelines.project import read_project

MODEL = """
[tool.turnout.models.digits]
train = "notebooks/train.ipynb"
validate = "notebooks/validate.ipynb"
"""
KEY = "tool.turnout.models.digits"


def made(tmp_path: Path) -> Path:
    """A project's folder with two notebooks and a correct file."""
    folder = tmp_path / "project"
    (folder / "notebooks").mkdir(parents=True)
    for name in ("train", "validate"):
        (folder / "notebooks" / f"{name}.ipynb").write_text("{}", encoding="utf-8")
    write(folder, MODEL)
    return folder


def write(root: Path, text: str) -> None:
    """Replace the project file."""
    (root / "pyproject.toml").write_text(text, encoding="utf-8")


def refusal(root: Path, text: str) -> str:
    """What is said of a wrong file."""
    write(root, text)
    with pytest.raises(BadProject) as caught:
        read_project(root)
    return str(caught.value)
