"""Which of a project's modules a notebook imports: read off, never run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.adapters.imported_modules import project_modules


def project(root: Path, cells: list[str], **files: str) -> Path:
    """A project with a notebook in `nb/`, and files by their path, `__` for a slash, `INIT` for `__init__`."""
    (root / "nb").mkdir(parents=True)
    for name, text in files.items():
        path = root / f"{name.replace('__', '/').replace('INIT', '__init__')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    notebook = root / "nb" / "n.ipynb"
    code = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    notebook.write_text(json.dumps({"cells": code, "nbformat": 4}), encoding="utf-8")
    return notebook


def found(root: Path, cells: list[str], **files: str) -> list[str]:
    """What the notebook imports, relative to the project."""
    notebook = project(root, cells, **files)
    return [path.relative_to(root.resolve()).as_posix() for path in project_modules(notebook, root, [])]


@pytest.mark.parametrize(
    "cell",
    [
        "import features",
        "import numpy, features as f",
        "from features import scale",
        "def late():\n    import features",
        "try:\n    import features\nexcept ImportError:\n    pass",
        "import importlib\nimportlib.import_module('features')",
        "__import__('features')",
        "%matplotlib inline\nimport features",
        "files = !ls\nimport features",
        "%%time\nimport features",
        "import features\nthis is no Python",
        "from features import (\n    scale,\n    cut,\n)\nthis is no Python",
        "%run features.py",
        "%run -i features",
    ],
)
def test_every_way_to_import_counts(tmp_path: Path, cell: str) -> None:
    """Plain, renamed, in a function, by a literal name, beside magics and in a cell that is not quite Python."""
    assert found(tmp_path, [cell], nb__features="") == ["nb/features.py"]


@pytest.mark.parametrize(
    "cell", ["name = 'features'", "# import features", "%%bash\nimport features", "import feature", "'import features'"]
)
def test_what_is_no_import_does_not(tmp_path: Path, cell: str) -> None:
    """Texts, comments, cells of another language and other names."""
    assert found(tmp_path, [cell], nb__features="") == []


def test_modules_are_followed_through_one_another(tmp_path: Path) -> None:
    """Also relative imports, packages with their `__init__`, submodules taken by name, and circles."""
    assert found(
        tmp_path,
        ["from shapes.round import circle\nimport chain"],
        nb__shapes__INIT="",
        nb__shapes__round="from . import base\nfrom .deep.far import thing",
        nb__shapes__base="",
        nb__shapes__other="",
        nb__shapes__deep__far="from ..late import x",
        nb__shapes__late="",
        nb__chain="import ring",
        nb__ring="import chain",
    ) == sorted(
        [
            "nb/chain.py",
            "nb/ring.py",
            "nb/shapes/__init__.py",
            "nb/shapes/base.py",
            "nb/shapes/deep/far.py",
            "nb/shapes/late.py",
            "nb/shapes/round.py",
        ]
    )


def test_a_star_may_take_every_module_of_a_package(tmp_path: Path) -> None:
    """What `__all__` names is not known without running it: all count."""
    seen = found(tmp_path, ["from shapes import *"], nb__shapes__INIT="", nb__shapes__a="", nb__shapes__b="")
    assert seen == ["nb/shapes/__init__.py", "nb/shapes/a.py", "nb/shapes/b.py"]


def test_the_notebooks_own_folder_comes_first(tmp_path: Path) -> None:
    """As in a kernel; then what a cell puts into sys.path, then the project's folder and its src."""
    assert found(tmp_path, ["import tools"], nb__tools="", tools="") == ["nb/tools.py"]
    assert found(tmp_path / "b", ["import tools"], tools="", src__tools="") == ["tools.py"]
    assert found(tmp_path / "c", ["import tools"], src__tools="") == ["src/tools.py"]
    added = "import sys\nsys.path.insert(0, '../lib')\nimport tools"
    assert found(tmp_path / "d", [added], lib__tools="", tools="") == ["lib/tools.py"]


def test_the_standard_library_comes_first(tmp_path: Path) -> None:
    """A file calendar.py, at the root or beside the notebook, is not what `import calendar` gets in a kernel."""
    assert found(tmp_path, ["import calendar"], calendar="", nb__calendar="") == []
    added = "import sys\nsys.path.insert(0, '../lib')\nimport calendar"
    assert found(tmp_path / "b", [added], lib__calendar="") == ["lib/calendar.py"]


def test_what_lies_outside_or_is_installed_does_not_count(tmp_path: Path) -> None:
    """Installed packages are the lock's business; a link out of the project leads nowhere."""
    root = tmp_path / "project"
    notebook = project(root, ["import linked, installed"])
    (tmp_path / "elsewhere.py").touch()
    (root / "nb" / "linked.py").symlink_to(tmp_path / "elsewhere.py")
    site = root / ".venv" / "lib" / "site-packages"
    site.mkdir(parents=True)
    (site / "installed.py").touch()
    assert project_modules(notebook, root, [str(site)]) == []


def test_a_broken_module_counts_all_the_same(tmp_path: Path) -> None:
    """Its mistake is the notebook's to report."""
    assert found(tmp_path, ["import features"], nb__features="def :\nimport other", nb__other="") == [
        "nb/features.py",
        "nb/other.py",
    ]
