"""Cells with service code for the credit model, run in a process as small as a kernel can be."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.e2e.line import ProjectFolder

EUROS = """import numpy as np

PER_EURO = 1.08


def preprocess(inputs):
    columns = dict(inputs)
    columns["income"] = columns.pop("euros") * PER_EURO
    columns["savings"] = np.where(columns["savings"] < 0, 0.0, columns["savings"])
    return columns
"""
"""Clients send the income in euros."""
SHOWN: list[dict[str, Any]] = [
    {"age": 40, "euros": 2000.5, "savings": 100.0, "owns_home": True, "job": "skilled", "purpose": "car"},
    {"age": 30, "euros": 900.0, "savings": None, "owns_home": False, "job": "unskilled", "purpose": None},
]
DECIDE = """def postprocess(outputs):
    good = outputs["probabilities"][:, 1]
    return {"accept": good > 0.7, "good": good.round(4)}
"""
"""Clients get a decision."""

_KERNEL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from ipext.service_code import register
shell = InteractiveShell()
register(shell)
for name, line, body in {cells!r}:
    done = shell.run_cell(f"%%{{name}} {{line}}\\n{{body}}" if body else f"%{{name}} {{line}}")
    if done.error_in_exec:
        sys.exit(1)
"""


def cells(project: ProjectFolder, *given: tuple[str, str, str]) -> subprocess.CompletedProcess[str]:
    """Run cells, each a magic with its line and text, in the folder of the credit model's notebooks."""
    folder = project.root / "notebooks" / "credit"
    (folder / "shown.json").write_text(json.dumps(SHOWN))
    command = [sys.executable, "-c", _KERNEL.format(cells=list(given))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
