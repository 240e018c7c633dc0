"""The quickstart in a copy of the project; `python -m tests.e2e.quickstart` runs it and stores its outputs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from tests.e2e.line import ROOT, free_port

NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"
SANITIZERS = ROOT / "notebooks" / "quickstart.sanitize.cfg"


def copy_project(folder: Path) -> Path:
    """The project's notebooks and its file in a folder of their own, on a port of their own."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = re.search(r"^\[tool\.turnout\]\n.*?(?=^\[tool\.hatch)", text, re.MULTILINE | re.DOTALL)
    assert table is not None
    project = table.group().replace("port = 3000", f"port = {free_port()}")
    (folder / "pyproject.toml").write_text(project, encoding="utf-8")
    return folder


def without_traces(notebook: Any) -> Any:
    """The notebook with its outputs, and without what tells when and by what program it was run."""
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec}
    for cell in notebook.cells:
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = {}
    return notebook


def main() -> None:
    """Run it, and store what its cells show."""
    import nbclient

    with tempfile.TemporaryDirectory() as temporary:
        project = copy_project(Path(temporary) / "turnout")
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        try:
            resources = {"metadata": {"path": str(project / "notebooks")}}
            nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
        finally:
            subprocess.run([sys.executable, "-m", "pipelines.cli", "down", "--yes"], cwd=project, check=False)
    nbformat.write(without_traces(notebook), NOTEBOOK)


if __name__ == "__main__":
    main()
