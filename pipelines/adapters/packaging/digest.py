"""SHA-256 of a folder by what is in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipelines.values.drift import REFERENCE_NAME

BENTOFILE = "bentofile.yaml"
_PIECE = 1 << 20


def folder_digest(folder: Path, leave_out: frozenset[str] = frozenset()) -> str:
    """Of the relative names and contents of all files, in the order of their names.

    Args:
        folder: The folder; compiled Python files in it do not count.
        leave_out: Relative names that do not count either.

    Returns:
        Hexadecimal; equal trees give equal digests wherever they lie.
    """
    digest = hashlib.sha256()
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for name in sorted(name for name in names if name not in leave_out and "__pycache__" not in name.split("/")):
        digest.update(f"{name}\0{(folder / name).stat().st_size}\0".encode())
        with (folder / name).open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.hexdigest()


def bento_digest(sources: Path) -> str:
    """Of what a bento serves from.

    Its bentofile does not count: BentoML rewrites that one. Neither does its reference: the last digits of its answers
    depend on how many threads added up.
    """
    return folder_digest(sources, frozenset({BENTOFILE, REFERENCE_NAME}))
