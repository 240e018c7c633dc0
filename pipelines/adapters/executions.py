"""Executed notebooks below `.turnout/runs/`, one file an execution."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.errors import StorageFailed
from pipelines.ports import Clock


@dataclass(frozen=True)
class ExecutionFolder:
    """Implements `ports.Executions` in a folder, with a folder for each model in it."""

    folder: Path
    clock: Clock

    def place(self, model: str, verb: str) -> Path:
        """`runs/digits/20260102-030405-train-1a2b3c.ipynb`: sorted by time, never twice the same."""
        home = self.folder / model
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageFailed.from_os(error, "making room for an executed notebook") from error
        stamp = self.clock.now().astimezone(UTC).strftime("%Y%m%d-%H%M%S")
        return home / f"{stamp}-{verb}-{secrets.token_hex(3)}.ipynb"

    def durations(self, model: str, verb: str, count: int = 3) -> list[float]:
        """The seconds of the last whole executions, as papermill noted them, the latest first."""
        found: list[float] = []
        for notebook in sorted((self.folder / model).glob(f"*-{verb}-*.ipynb"), reverse=True)[: 2 * count]:
            seconds = _seconds(notebook)
            if seconds is not None and len(found) < count:
                found.append(seconds)
        return found

    def prune(self, model: str, before: datetime) -> int:
        """Remove the model's notebooks that were placed before `before`."""
        freed = 0
        for notebook in sorted((self.folder / model).glob("*.ipynb")):
            placed = _placed(notebook)
            if placed is not None and placed < before:
                freed += notebook.stat().st_size
                notebook.unlink(missing_ok=True)
        return freed


def _seconds(notebook: Path) -> float | None:
    """How long an execution took; None for one that did not come to its end."""
    try:
        noted = json.loads(notebook.read_bytes())["metadata"]["papermill"]
        return float(noted["duration"]) if not noted.get("exception") else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _placed(notebook: Path) -> datetime | None:
    try:
        return datetime.strptime(notebook.name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        # Not one of ours: a person's own file is left alone.
        return None
