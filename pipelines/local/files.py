"""Files that are whole or not there."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from pipelines.errors import StorageFailed


def replace_file(path: Path, content: str, doing: str) -> None:
    """Write `content` beside `path` and rename it there, so that no reader ever sees half of it.

    It is not forced to the disk: what lies in these files means nothing after a reboot, when the journal tells all.

    Raises:
        StorageFailed: the disk is full or read-only; what was there stays.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise StorageFailed.from_os(error, doing) from error
