"""SHA-256 of notebooks, files and folders, and of all that a stage depends on."""

from __future__ import annotations

import glob
import hashlib
import os
import stat
import subprocess
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from pipelines.adapters.cell_code import code_cells
from pipelines.adapters.hash_cache import HashCache
from pipelines.adapters.imported_modules import project_modules
from pipelines.errors import BadProject
from pipelines.values import Dependencies, Digested, Sources

_NOT_CONTENT = {".turnout", ".git", ".svn", ".ipynb_checkpoints", "__pycache__", ".DS_Store"}
"""What comes into being beside the data without being data."""

COMMAND_SECONDS = 60.0
"""A command among the inputs has so long to answer."""
PARTS = 800
"""Of more files than that it is only remembered which declared input changed: a tag has room for no more."""
SHORT = 16


class FileDigests:
    """Digests that are the same on every machine: content and relative names count, nothing else does.

    Args:
        cache: Where the digests of large files are remembered; they are read each time without it.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._digest = HashCache(cache).digest if cache is not None else _read_through

    def notebook(self, path: Path) -> str:
        """The digest of the code cells, in order; line ends and blank cells do not count either.

        Raises:
            BadProject: the file cannot be read, or is no notebook of format 4.
        """
        return _of_parts(source.encode() for source in code_cells(path))

    def files(self, paths: Sequence[Path]) -> str:
        """The digest of files and folders; a folder's files count in depth, whatever order they are found in.

        Names are relative to the folder that all paths have in common. A link inside a folder is not followed: where it
        points to counts. A path with wildcards stands for what it matches.

        Raises:
            BadProject: a path does not exist or cannot be read, or a pattern matches nothing.
        """
        return self._read(paths)[0]

    def depends(self, sources: Sources) -> Digested:
        """All that a stage depends on; see `ports.Digests.depends`."""
        cells = code_cells(sources.notebook)
        root = sources.root.resolve()
        data, read = self._read(sources.inputs)
        said = {command: _output(command, root) for command in sources.commands}
        if said:
            data = _of_parts(part.encode() for part in (data, *(part for pair in said.items() for part in pair)))
        modules = {_name(file, root): _of_text(file) for file in project_modules(sources.notebook, root)}
        code = _of_parts(part.encode() for pair in modules.items() for part in pair) if modules else ""
        lock = self.files([sources.lock]) if sources.lock else ""
        parts = Dependencies(
            notebook=sources.notebook.name,
            cells=tuple(_short(source) for source in cells),
            inputs={**_told(read, sources.inputs, root), **{_shown(name): text[:SHORT] for name, text in said.items()}},
            modules={name: digest[:SHORT] for name, digest in modules.items()},
            lock={sources.lock.name: lock[:SHORT]} if sources.lock else {},
        )
        return Digested(_of_parts(source.encode() for source in cells), data, code, lock, parts)

    def _read(self, paths: Sequence[Path]) -> tuple[str, dict[Path, str]]:
        """The digest of all, and that of each file by its whole path."""
        if not paths:
            return "", {}
        try:
            whole = [path.resolve() for given in paths for path in _matches(given)]
            common = Path(os.path.commonpath([path.parent for path in whole]))
            found = {file: digest for path in whole for file, digest in self._entries(path, common)}
        except OSError as error:
            raise BadProject(
                f"{error.filename} cannot be read: {error.strerror}",
                instead="the inputs of a model and the environment's lock are readable files and folders",
                then="Correct `inputs` in the project file, or put the data there.",
            ) from error
        named = {_name(file, common): digest for file, digest in found.items()}
        return _of_parts(part.encode() for name in sorted(named) for part in (name, named[name])), found

    def _entries(self, path: Path, common: Path) -> Iterator[tuple[Path, str]]:
        """Paths and content digests of everything below `path`."""
        if not stat.S_ISDIR(path.stat().st_mode):
            yield path, self._of_file(path)
            return
        for found in path.iterdir():
            if found.name in _NOT_CONTENT:
                continue
            mode = found.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield found, f"link to {_target(found, common)}"
            elif stat.S_ISDIR(mode):
                yield from self._entries(found, common)
            elif stat.S_ISREG(mode):
                yield found, self._of_file(found)

    def _of_file(self, path: Path) -> str:
        # A pipe or a socket would keep the reader waiting for ever.
        if not path.is_file():
            raise OSError(None, "it is no regular file", str(path))
        return self._digest(path)


def _matches(path: Path) -> list[Path]:
    """The path itself, or what it matches where it is none and has wildcards."""
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    fixed = sum(1 for _ in takewhile(lambda part: not glob.has_magic(part), path.parts))
    # Path.glob would take hidden files as well.
    found = sorted(Path(each) for each in glob.glob(str(path), recursive=True))  # noqa: PTH207
    found = [each for each in found if not _NOT_CONTENT & set(each.parts[fixed:])]
    if not found:
        raise BadProject(
            f"the input {path} matches nothing",
            instead="a pattern among the inputs stands for at least one file",
            then="Correct `inputs` in the project file, or put the data there.",
        )
    return found


def _output(command: str, root: Path) -> str:
    """The digest of what a command among the inputs prints.

    Raises:
        BadProject: it cannot be run, fails, or does not end.
    """
    wrong, then = f"the input command {command!r}", "Correct it in the project file; it runs in the project's folder."
    try:
        done = subprocess.run(  # noqa: S603 - the project's own, as its notebooks are
            ["/bin/sh", "-c", command],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BadProject(f"{wrong} did not end within {COMMAND_SECONDS:.0f} s", then=then) from error
    except OSError as error:
        raise BadProject(f"{wrong} cannot be run: {error.strerror}", then=then) from error
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadProject(f"{wrong} failed with exit code {done.returncode}{f': {last[-1]}' if last else ''}", then=then)
    return hashlib.sha256(done.stdout).hexdigest()


def _told(read: Mapping[Path, str], inputs: Sequence[Path], root: Path) -> dict[str, str]:
    """The digest of each file, by its path in the project; of each declared input where there are very many files."""
    if len(read) <= PARTS:
        return {_name(file, root): digest[:SHORT] for file, digest in sorted(read.items())}
    told = {}
    for path in inputs[:PARTS]:
        below = [whole for each in _matches(path) for whole in (each.resolve(),)]
        mine = {file: digest for file, digest in read.items() if any(file.is_relative_to(place) for place in below)}
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        content = (part.encode() for file in sorted(mine) for part in (_name(file, root), mine[file]))
        told[name] = _of_parts(content)[:SHORT]
    return told


def _shown(command: str) -> str:
    text = " ".join(command.split())
    return f"the output of `{text if len(text) <= 60 else f'{text[:57]}...'}`"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:SHORT]


def _of_text(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
    except OSError as error:
        raise BadProject(f"the module {file} cannot be read: {error.strerror}") from error


def _name(path: Path, root: Path) -> str:
    # macOS spells accents in two characters where others use one.
    return unicodedata.normalize("NFC", Path(os.path.relpath(path, root)).as_posix())


def _target(link: Path, root: Path) -> str:
    target = link.readlink()
    if target.is_absolute() and target.is_relative_to(root):
        return os.path.relpath(target, link.parent)
    return target.as_posix()


def _read_through(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_parts(parts: Iterator[bytes]) -> str:
    """The digest of a sequence; each part is preceded by its length, so that no two sequences look alike."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
