"""Small JSON documents below `.turnout/`, each written whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from pipelines.errors import Busy, StorageFailed

_POLL_SECONDS = 0.2


class FileNotes:
    """Implements `crews.Notes`.

    Args:
        folder: Where they lie; a name may have a folder of its own in front: `sweeps/digits`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> dict[str, Any] | None:
        """What was written last."""
        try:
            found = json.loads(self._path(name).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, name: str, note: Mapping[str, Any]) -> None:
        """Write it, so that neither a kill nor a power cut leaves half of it."""
        path = self._path(name)
        half = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with half.open("w", encoding="utf-8") as file:
                    json.dump(note, file, indent=1)
                    file.flush()
                    os.fsync(file.fileno())
                half.replace(path)
            finally:
                half.unlink(missing_ok=True)
        except OSError as error:
            error.filename = error.filename or str(path)
            raise StorageFailed.from_os(error, "writing down how far it is") from error

    @contextmanager
    def holding(self, name: str, what: str, waits: Callable[[str], None] | None = None) -> Iterator[None]:
        """Keep other processes away from it; the lock goes with the process that has it."""
        path = self._path(name).with_suffix(".lock")
        lock = FileLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if waits is None:
                    raise Busy(f"{what} is under way already", then="Wait for it, or stop it with Ctrl-C.") from None
                waits(f"waiting: {what} is under way already")
                lock.acquire(poll_interval=_POLL_SECONDS)
        except OSError as error:
            raise StorageFailed.from_os(error, "beginning") from error
        try:
            yield
        finally:
            lock.release()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
