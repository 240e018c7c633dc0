"""Writes the files of a project that begins: all of them, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, packages_distributions
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import psutil

import pipelines
from pipelines.adapters.notebook_files import read_notebook
from pipelines.errors import BadInput, Refused, StorageFailed
from pipelines.values.starting import Outcome, Sheet

_STAGE = ".turnout-init-"
_TEMPLATES = Path(pipelines.__file__).parent / "templates"


def template(name: str) -> str:
    """The text of one of the package's templates."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def installed(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return version_of(package)
    except PackageNotFoundError:
        return None


def brings(module: str) -> str | None:
    """The package that brings a module; None where none is installed."""
    found = packages_distributions().get(module)
    return found[0] if found else None


def own_notebook(path: Path) -> tuple[Path, dict[str, Any]]:
    """A person's own notebook: its whole path, and what is in it.

    Raises:
        BadInput: there is none, or it is none.
    """
    if path.suffix != ".ipynb":
        raise BadInput(f"{path} is no notebook", instead="--from takes a file ending in .ipynb")
    return path.resolve(), read_notebook(path)


class Ground:
    """A folder that becomes a project, or is one.

    Args:
        folder: The folder, absolute; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def text(self, path: str) -> str | None:
        """What stands in a file; None where there is none.

        Raises:
            BadInput: it is no text that can be read.
        """
        file = self.folder / path
        try:
            return file.read_bytes().decode("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnicodeDecodeError as error:
            raise BadInput(f"{file} is not UTF-8 text", then="Move it, and call again.") from error
        except OSError as error:
            raise BadInput(f"{file} cannot be read: {error.strerror}") from error

    def plant(self, sheets: Sequence[Sheet]) -> None:
        """Write them, in their order: the last one is what makes a project of them.

        A killed call leaves whole files at most, and a call with the same files goes on from there.

        Raises:
            StorageFailed: the disk is full or read-only; all is as it was before.
            Refused: a file is in the way; all is as it was before.
        """
        made = _missing(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as undo:
                for folder in made:
                    undo.callback(_remove_empty, folder)
                self._sweep()
                stage = Path(tempfile.mkdtemp(prefix=f"{_STAGE}{os.getpid()}-", dir=self.folder))
                undo.callback(shutil.rmtree, stage, ignore_errors=True)
                written = [(sheet, _write(stage / str(number), sheet.text)) for number, sheet in enumerate(sheets)]
                with ExitStack() as back:
                    for sheet, file in written:
                        self._put(sheet, file, back.callback)
                    back.pop_all()
        except FileExistsError as error:
            said = f"{error.filename2 or error.filename} is in the way, and no file is overwritten"
            raise Refused(said, instead="nothing was written", then="Move it, or choose another folder.") from error
        except OSError as error:
            raise StorageFailed.from_os(error, "writing the project's files") from error

    def _put(self, sheet: Sheet, file: Path, undo: Callable[..., object]) -> None:
        target = self.folder / sheet.path
        if sheet.before == sheet.text:
            return
        for folder in _missing(target.parent):
            undo(_remove_empty, folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if sheet.outcome is Outcome.ADDED:
            old = _write(file.with_suffix(".old"), sheet.before or "")
            for copy in (file, old):
                shutil.copymode(target, copy)
            file.replace(target)
            undo(old.replace, target)
        else:
            # Unlike a rename, a link never takes the place of what is there.
            os.link(file, target)
            undo(target.unlink, missing_ok=True)

    def _sweep(self) -> None:
        """Remove what killed calls have left."""
        for left in self.folder.glob(f"{_STAGE}*"):
            pid = left.name.removeprefix(_STAGE).partition("-")[0]
            if pid.isdigit() and not psutil.pid_exists(int(pid)):
                shutil.rmtree(left, ignore_errors=True)


def _missing(folder: Path) -> Iterable[Path]:
    """Those of a folder and its parents that are not there, the innermost last: it has to be removed first."""
    return [place for place in (*reversed(folder.parents), folder) if not place.exists()]


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _write(path: Path, text: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return path
