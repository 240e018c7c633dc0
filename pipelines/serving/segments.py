"""Lines of JSON in files of a bounded folder: a file is begun anew after a while, and the oldest ones go."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pipelines.values.capture import CaptureSettings

_SEGMENTS = 16
"""A full folder has about so many."""
_SEGMENT_SECONDS = 3600.0


class Segments:
    """The files of one version that one process writes; other processes write their own into the same folder.

    Args:
        folder: Where they lie; made when the first line comes.
        instance: Names the files, after the time of their beginning.
        put: Writes to an open file, as `os.write` does.
    """

    def __init__(self, folder: Path, instance: str, put: Callable[[int, bytes], int] = os.write) -> None:
        self._put = put
        self._folder = folder
        self._instance = instance[:12]
        self._file = -1
        self._size = 0
        self._begun = 0.0

    def write(self, lines: bytes, settings: CaptureSettings) -> None:
        """Append whole lines; all of them, or none.

        Raises:
            OSError: the disk is full, or something of the kind.
        """
        if not lines:
            return
        if self._file < 0 or self._is_full(settings):
            self._begin(settings)
        written = 0
        try:
            while written < len(lines):
                written += self._put(self._file, lines[written:])
        except OSError:
            # Half a line would be one that no reader understands.
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            self.close()
            raise
        self._size += written

    def tidy(self, settings: CaptureSettings) -> None:
        """Remove what is too old, and the oldest where there is too much."""
        if not self._folder.is_dir():
            return
        drop(self._folder.glob("*.jsonl"), settings)

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _is_full(self, settings: CaptureSettings) -> bool:
        is_long = self._size >= settings.max_mb * 1e6 / _SEGMENTS
        is_old = time.monotonic() - self._begun > _SEGMENT_SECONDS
        # Somebody may have removed it by hand.
        return is_long or is_old or os.fstat(self._file).st_nlink == 0

    def _begin(self, settings: CaptureSettings) -> None:
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.tidy(settings)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{self._instance}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._folder / name, flags, 0o600)
        self._size = 0
        self._begun = time.monotonic()


def drop(segments: Iterable[Path], settings: CaptureSettings, now: float | None = None) -> list[Path]:
    """Remove files that are older than the settings allow, then the oldest of too many bytes; return those removed.

    Args:
        segments: An iterable of paths; their names begin with the time of their beginning.
        settings: The bounds.
        now: The time, in seconds of Unix.
    """
    found = []
    for path in segments:
        with suppress(OSError):
            status = path.stat()
            found.append((path.name, status.st_mtime, status.st_size, path))
    oldest = (time.time() if now is None else now) - settings.max_days * 86400
    total = sum(size for _, _, size, _ in found)
    gone = []
    for _, changed, size, path in sorted(found):
        if changed >= oldest and total <= settings.max_mb * 1e6:
            continue
        with suppress(OSError):
            path.unlink()
            gone.append(path)
            total -= size
    return gone
