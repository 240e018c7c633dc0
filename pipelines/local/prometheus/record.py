"""What was started to watch a project, as it is noted on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORD = "processes.json"


def read_record(folder: Path) -> dict[str, dict[str, Any]]:
    """What is noted below `.turnout/monitoring`, by name; nothing where nothing is, or it cannot be read."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def known_instances(state: Path) -> set[str]:
    """The instance ids of what was started: nobody is to take them for orphans."""
    return {str(one["instance"]) for one in read_record(state / "monitoring").values()}
