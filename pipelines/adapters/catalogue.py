"""Packaged versions as small JSON files, so that a deployment need not wait for MLflow's import."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import PackageFailed, StorageFailed

if TYPE_CHECKING:
    from pipelines.values import Bento, VersionRef

SCHEMA = 1


class FileCatalogue:
    """Implements `ports.Catalogue` with a file a version: `.turnout/packages/digits/7.json`.

    Args:
        state: The project's state folder. Paths are stored relative to it, so that a project may be moved.
        digest: What a source folder's digest is, as the packager computes it.
    """

    def __init__(self, state: Path, digest: Callable[[Path], str]) -> None:
        self._state = state
        self._digest = digest

    def get(self, ref: VersionRef) -> Bento | None:
        """The bento; None when the version is not packaged.

        Raises:
            PackageFailed: its file cannot be read.
        """
        path = self._path(ref)
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise _unreadable(ref, path, str(error)) from error
        try:
            return self._read(ref, said)
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(ref, path, f"it lacks {error}") from error

    def check(self, bento: Bento) -> None:
        """Read all that is served from and compare it with the digest.

        Raises:
            PackageFailed: the bento is gone or was changed.
        """
        again = f"`turnout package {bento.ref}` makes it again."
        sources = Path(bento.sources)
        if not sources.is_dir():
            raise PackageFailed(f"the bento of {bento.ref} is gone: there is no {sources}", then=again)
        try:
            seen = self._digest(sources)
        except OSError as error:
            raise PackageFailed(f"the bento of {bento.ref} cannot be read: {error}", then=again) from error
        if seen != bento.digest:
            raise PackageFailed(
                f"the bento of {bento.ref} was changed after it was packaged",
                instead=f"its digest is {seen[:12]}, recorded was {bento.digest[:12]}",
                then=again,
            )

    def put(self, bento: Bento) -> None:
        """Add or replace one; a reader sees the old file or the new one.

        Raises:
            StorageFailed: the disk is full or read-only; the old file is as it was.
        """
        path = self._path(bento.ref)
        said = {
            "schema": SCHEMA,
            "ref": str(bento.ref),
            "sources": self._stored(Path(bento.sources)),
            "digest": bento.digest,
            "is_passed": bento.is_passed,
            "forced": bento.forced,
            "memory_mb": bento.memory_mb,
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, json.dumps(said, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise StorageFailed.from_os(error, f"noting that {bento.ref} is packaged") from error

    def remove(self, ref: VersionRef) -> None:
        """Forget one; one that is not there is forgotten already.

        Raises:
            StorageFailed: the folder cannot be written.
        """
        try:
            self._path(ref).unlink(missing_ok=True)
        except OSError as error:
            raise StorageFailed.from_os(error, f"forgetting the bento of {ref}") from error

    def numbers(self, model: str) -> list[int]:
        """The numbers of a model's packaged versions, rising."""
        found = (path.stem for path in (self._state / "packages" / model).glob("*.json"))
        return sorted(int(stem) for stem in found if stem.isdecimal())

    def _path(self, ref: VersionRef) -> Path:
        return self._state / "packages" / ref.model / f"{ref.number}.json"

    def _stored(self, sources: Path) -> str:
        return sources.relative_to(self._state).as_posix() if sources.is_relative_to(self._state) else str(sources)

    def _read(self, ref: VersionRef, said: Any) -> Bento:
        if said["schema"] != SCHEMA:
            raise ValueError(f"schema {SCHEMA}; it has {said['schema']!r}")
        from pipelines.values import Bento

        bento = Bento(
            ref=ref,
            sources=said["sources"],
            digest=said["digest"],
            is_passed=said["is_passed"],
            forced=said["forced"],
            memory_mb=float(said["memory_mb"]),
        )
        # An absolute path stays what it is.
        return replace(bento, sources=str(self._state / bento.sources))


def _replace(path: Path, text: str) -> None:
    """Write whole or not at all, also when the power fails."""
    written = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with written.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except OSError as error:
        with suppress(OSError):
            written.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def _unreadable(ref: VersionRef, path: Path, why: str) -> PackageFailed:
    return PackageFailed(f"cannot read {path}: {why}", then=f"`turnout package {ref}` writes it again.")
