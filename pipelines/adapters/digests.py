"""SHA-256 of notebooks, files and folders."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import BadProject

_NOT_CONTENT = {".turnout", ".git", ".svn", ".ipynb_checkpoints", "__pycache__", ".DS_Store"}
"""What comes into being beside the data without being data."""


class FileDigests:
    """Digests that are the same on every machine: content and relative names count, nothing else does."""

    def notebook(self, path: Path) -> str:
        """The digest of the code cells, in order; line ends and blank cells do not count either.

        Raises:
            BadProject: the file cannot be read, or is no notebook of format 4.
        """
        try:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            sources = [_source(cell) for cell in cells if cell["cell_type"] == "code"]
        except OSError as error:
            raise BadProject(f"the notebook {path} cannot be read: {error.strerror}") from error
        except (ValueError, LookupError, TypeError) as error:
            raise BadProject(
                f"{path} is not a Jupyter notebook",
                instead="it is JSON of notebook format 4",
                then="Save it in Jupyter.",
            ) from error
        return _of_parts(source.encode() for source in sources if source.strip())

    def files(self, paths: Sequence[Path]) -> str:
        """The digest of files and folders; a folder's files count in depth, whatever order they are found in.

        Names are relative to the folder that all paths have in common. A link inside a folder is not followed: where it
        points to counts.

        Raises:
            BadProject: a path does not exist or cannot be read.
        """
        if not paths:
            return ""
        whole = [path.resolve() for path in paths]
        root = Path(os.path.commonpath([path.parent for path in whole]))
        try:
            entries = {name: digest for path in whole for name, digest in _entries(path, root)}
        except OSError as error:
            raise BadProject(
                f"{error.filename} cannot be read: {error.strerror}",
                instead="the inputs of a model and the environment's lock are readable files and folders",
                then="Correct `inputs` in the project file, or put the data there.",
            ) from error
        return _of_parts(part.encode() for name in sorted(entries) for part in (name, entries[name]))


def _source(cell: dict[str, Any]) -> str:
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    return text.replace("\r\n", "\n")


def _entries(path: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Relative names and content digests of everything below `path`."""
    if not stat.S_ISDIR(path.stat().st_mode):
        yield _name(path, root), _of_file(path)
        return
    for found in path.iterdir():
        if found.name in _NOT_CONTENT:
            continue
        mode = found.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield _name(found, root), f"link to {_target(found, root)}"
        elif stat.S_ISDIR(mode):
            yield from _entries(found, root)
        elif stat.S_ISREG(mode):
            yield _name(found, root), _of_file(found)


def _name(path: Path, root: Path) -> str:
    # macOS spells accents in two characters where others use one.
    return unicodedata.normalize("NFC", path.relative_to(root).as_posix())


def _target(link: Path, root: Path) -> str:
    target = link.readlink()
    if target.is_absolute() and target.is_relative_to(root):
        return os.path.relpath(target, link.parent)
    return target.as_posix()


def _of_file(path: Path) -> str:
    # A pipe or a socket would keep the reader waiting for ever.
    if not path.is_file():
        raise OSError(None, "it is no regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_parts(parts: Iterator[bytes]) -> str:
    """The digest of a sequence; each part is preceded by its length, so that no two sequences look alike."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
