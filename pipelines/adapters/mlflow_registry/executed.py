"""What a run and its model say about how they came to be: the executed notebook and the requirements."""

from __future__ import annotations

import json
import re
from pathlib import Path

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?\s*([^;#]*)")
_INJECTED = "injected-parameters"


def code_cells(notebook: Path) -> list[str] | None:
    """The sources of its code cells without blank ones and the injected parameters; None when it cannot be read."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        sources = [_source(cell) for cell in cells if cell["cell_type"] == "code" and not _is_injected(cell)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # A file that a person damaged later: what it held is no longer known, and nothing else depends on it.
        return None
    return [source for source in sources if source.strip()]


def requirements(file: Path) -> dict[str, str] | None:
    """Packages and what is asked of their versions; None without a readable file."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    found = (_REQUIREMENT.match(line) for line in lines)
    return {match[1].lower().replace("_", "-"): match[3].strip() for match in found if match}


def _source(cell: dict[str, str | list[str]]) -> str:
    source = cell["source"]
    return (source if isinstance(source, str) else "".join(source)).replace("\r\n", "\n")


def _is_injected(cell: dict[str, dict[str, list[str]]]) -> bool:
    return _INJECTED in cell.get("metadata", {}).get("tags", [])
