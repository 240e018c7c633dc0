"""Notebooks as files: read without a kernel, and without the libraries that take seconds to import."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.errors import BadProject


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook in format 4.

    Raises:
        BadProject: there is none, or it is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadProject(f"there is no notebook {path}") from None
    except OSError as error:
        raise BadProject(f"the notebook {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        said = str(error).partition(": line")[0]
        raise BadProject(
            f"{path} is no notebook: it is not valid JSON ({said})",
            instead="it is a file that JupyterLab opens and saves",
        ) from error
    if not _is_notebook(found):
        raise BadProject(
            f"{path} is no notebook of format 4", then="Open it in JupyterLab and save it; that brings it up to date."
        )
    language = found.get("metadata", {}).get("kernelspec", {}).get("language", "python")
    if str(language).lower() != "python":
        raise BadProject(f"the notebook {path} is written in {language}", instead="Turnout runs Python notebooks")
    return dict(found)


def _is_notebook(found: Any) -> bool:
    if not isinstance(found, dict) or found.get("nbformat") != 4 or not isinstance(found.get("cells"), list):
        return False
    return all(
        isinstance(cell, dict)
        and isinstance(cell.get("cell_type"), str)
        and isinstance(cell.get("source"), str | list)
        and isinstance(cell.get("metadata", {}), dict)
        for cell in found["cells"]
    )


def missing_modules(modules: Iterable[str], beside: Iterable[Path]) -> frozenset[str]:
    """Those that cannot be imported, nor lie as code in one of the folders; nothing is imported."""
    folders = list(beside)
    return frozenset(name for name in modules if not _is_there(name, folders))


def _is_there(name: str, folders: Iterable[Path]) -> bool:
    if any((folder / f"{name}.py").is_file() or (folder / name).is_dir() for folder in folders):
        return True
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
