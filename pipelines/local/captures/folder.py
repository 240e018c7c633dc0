"""The project's folder of captures: settings for the hosts, and the segments that they write.

.turnout/captures/
    digits.json                 what is kept of digits; the hosts read it again as it changes
    salt                        the key of the hashes
    digits@7/TIME-INSTANCE.jsonl    one request a line, the latest segment still growing
    labels/digits/              labels that came by the gateway and wait to be taken in
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.errors import BadInput, StorageFailed
from pipelines.local.files import replace_file
from pipelines.serving.capture import SALT
from pipelines.serving.labels import FOLDER
from pipelines.serving.segments import drop
from pipelines.values import Captured, CaptureSettings, VersionRef, read_ref

_RELEASED_SECONDS = 2 * 3600.0
"""A host begins a new file each hour."""


class CaptureFolder:
    """One project's captures.

    Args:
        path: Where they lie.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def set(self, model: str, settings: CaptureSettings) -> bool:
        """Tell the hosts what to keep of a model; whether that is new.

        Raises:
            StorageFailed: the disk is full or read-only; what they were told before holds.
        """
        wanted = json.dumps(settings.as_dict(), indent=1)
        file = self.path / f"{model}.json"
        with suppress(OSError):
            if file.read_text(encoding="utf-8") == wanted:
                return False
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if settings.hash and not (self.path / SALT).exists():
                self._make_salt()
        except OSError as error:
            raise StorageFailed.from_os(error, "preparing captures") from error
        replace_file(file, wanted, "saying what is captured")
        return True

    def settings(self, model: str) -> CaptureSettings | None:
        """What the hosts were told; None when nothing was."""
        try:
            return CaptureSettings.from_dict(json.loads((self.path / f"{model}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def versions(self, model: str) -> list[VersionRef]:
        """Those of which there are captures, rising."""
        found = []
        for folder in self.path.glob(f"{model}@*"):
            with suppress(BadInput):
                found.append(read_ref(folder.name))
        return sorted(found)

    def segments(self, ref: VersionRef) -> list[Path]:
        """A version's segments, the oldest first."""
        return sorted((self.path / str(ref)).glob("*.jsonl"))

    def tidy(self, model: str, settings: CaptureSettings) -> int:
        """Remove what is too old or too much of all versions together; return how many segments went."""
        versions = self.versions(model)
        gone = drop((segment for ref in versions for segment in self.segments(ref)), settings)
        for ref in versions:
            with suppress(OSError):  # a version whose captures are all gone
                (self.path / str(ref)).rmdir()
        return len(gone)

    def spooled(self, model: str) -> list[Path]:
        """What hosts have put down of a model's labels, the oldest first."""
        return sorted((self.path / FOLDER / model).glob("*.jsonl"))

    def release(self, spooled: Path, offset: int, now: float) -> None:
        """Remove labels that were taken in up to there, unless more may still come to this file."""
        with suppress(OSError):
            status = spooled.stat()
            if status.st_size <= offset and now - status.st_mtime > _RELEASED_SECONDS:
                spooled.unlink()

    def read(self, ref: VersionRef) -> Iterator[Captured]:
        """All captures of a version, the oldest segment first."""
        for segment in self.segments(ref):
            for line, _ in lines(segment, 0):
                found = read_line(line)
                if found is not None:
                    yield found

    def _make_salt(self) -> None:
        with suppress(FileExistsError):
            file = os.open(self.path / SALT, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as salt:
                salt.write(secrets.token_bytes(32))


def lines(segment: Path, offset: int) -> Iterator[tuple[bytes, int]]:
    """The whole lines of a segment from `offset` on, each with the offset after it."""
    try:
        with segment.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # the rest of it is still to come
                offset += len(line)
                yield line, offset
    except OSError:
        return  # it has just been removed


def read_line(line: bytes) -> Captured | None:
    """One line of a segment; None for what is none."""
    import orjson

    try:
        data: dict[str, Any] = orjson.loads(line)
        chosen, generation = _arm(data["arm"])
        return Captured(
            id=data["id"],
            request_id=data["request_id"],
            at=datetime.fromisoformat(data["time"]),
            version=read_ref(data["version"]),
            chosen=chosen,
            generation=generation,
            user=data.get("user", ""),
            inputs=data.get("inputs"),
            outputs=data.get("outputs"),
        )
    except (ValueError, LookupError, TypeError):
        return None


def _arm(mark: str) -> tuple[VersionRef | None, int | None]:
    """`digits@8 12 SALT`: whose turn it was, and under which split."""
    if not mark:
        return None, None
    chosen, generation, *_ = mark.split(" ")
    return read_ref(chosen), int(generation)
