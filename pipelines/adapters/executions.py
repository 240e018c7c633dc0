"""Executed notebooks below `.turnout/runs/`, one file an execution."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.errors import StorageFailed
from pipelines.ports import Attempt, Clock


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

    def begin(self, attempt: Attempt) -> None:
        """Note an execution in `runs/digits/.train-1a2b3c4d5e6f.json`, with the process that is at it."""
        said = {
            "key": attempt.key,
            "tag": attempt.tag,
            "notebook": attempt.notebook.name,
            "pid": os.getpid(),
            "started": _started(os.getpid()),
        }
        note = self._note(attempt.model, attempt.verb, attempt.key)
        half = note.with_name(f"{note.name}.{os.getpid()}-{secrets.token_hex(3)}")
        try:
            half.write_text(json.dumps(said), encoding="utf-8")
            half.replace(note)
        except OSError as error:
            half.unlink(missing_ok=True)
            raise StorageFailed.from_os(error, "noting that a notebook is executed") from error

    def finished(self, model: str, verb: str, key: str) -> tuple[Attempt, float] | None:
        """The noted execution, when it may be taken over. What cannot be read is no note."""
        try:
            said = json.loads(self._note(model, verb, key).read_bytes())
            attempt = Attempt(model, verb, said["key"], said["tag"], self.folder / model / said["notebook"])
            is_at_it = _started(said["pid"]) == said["started"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        seconds = _seconds(attempt.notebook)
        return (attempt, seconds) if attempt.key == key and not is_at_it and seconds is not None else None

    def settle(self, model: str, verb: str, key: str) -> None:
        """Remove the note."""
        with suppress(OSError):
            self._note(model, verb, key).unlink(missing_ok=True)

    def _note(self, model: str, verb: str, key: str) -> Path:
        return self.folder / model / f".{verb}-{key[:12]}.json"


def _started(pid: int) -> float | None:
    """When a process was started; None when there is none."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.create_time() if process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


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
