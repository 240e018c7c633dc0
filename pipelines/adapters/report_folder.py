"""The files of a report: the document, and beside it what it shows."""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines.adapters.notebook_files import read_notebook
from pipelines.errors import BadInput, BadProject, StorageFailed

_OURS = re.compile(r"(train|validate)(-\d+\.png|\.ipynb)|gates\.json")
_MOST_PICTURES = 30


class ReportFolder:
    """`FILE.md` with a folder `FILE_files`, and perhaps a file of JUnit XML.

    Args:
        markdown: The document; None where nobody asked for it.
        junit: The XML; likewise.
    """

    def __init__(self, markdown: Path | None, junit: Path | None) -> None:
        self._markdown, self._junit = markdown, junit

    @property
    def files(self) -> Path | None:
        """The folder beside the document."""
        return self._markdown.with_name(f"{self._markdown.stem}_files") if self._markdown else None

    def clear(self) -> None:
        """Make room before the work, and remove what an earlier shipment left: no report is better than an old one.

        Raises:
            BadInput: a folder stands where a file shall be.
            StorageFailed: nothing can be written there.
        """
        try:
            for path in filter(None, (self._markdown, self._junit)):
                if path.is_dir():
                    raise BadInput(f"{path} is a folder", instead="the report is a file")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.touch()
                path.unlink()
            for old in self.files.glob("*") if self.files and self.files.is_dir() else ():
                if _OURS.fullmatch(old.name):
                    old.unlink()
        except OSError as error:
            raise StorageFailed.from_os(error, "making room for the report") from error

    def keep(
        self, notebooks: Mapping[str, Path], gates: Mapping[str, Any]
    ) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """Put the notebooks, their plots and the gates beside the document.

        Returns:
            Where each thing lies, by name, and the plots with their titles; paths are relative to the document.

        Raises:
            StorageFailed: the disk is full or read-only.
        """
        folder = self.files
        if folder is None:
            return {}, []
        files, pictures = {}, []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "gates.json").write_text(json.dumps(gates, indent=2) + "\n", encoding="utf-8")
            files["gates as JSON"] = f"{folder.name}/gates.json"
            for verb, notebook in notebooks.items():
                shutil.copyfile(notebook, folder / f"{verb}.ipynb")
                files[f"executed notebook, {verb}"] = f"{folder.name}/{verb}.ipynb"
                for number, (title, picture) in enumerate(plots(notebook), start=1):
                    name = f"{verb}-{number}.png"
                    (folder / name).write_bytes(picture)
                    pictures.append((f"{verb}: {title}", f"{folder.name}/{name}"))
        except OSError as error:
            raise StorageFailed.from_os(error, "writing the report") from error
        return files, pictures

    def write(self, markdown: str, junit: str) -> None:
        """Write what was asked for.

        Raises:
            StorageFailed: the disk is full or read-only.
        """
        try:
            for path, text in ((self._markdown, markdown), (self._junit, junit)):
                if path is not None:
                    # What cannot be encoded is part of a person's text: it is spelled out.
                    path.write_bytes(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise StorageFailed.from_os(error, "writing the report") from error


def plots(notebook: Path) -> list[tuple[str, bytes]]:
    """The pictures that an executed notebook shows: the heading above each, and the PNG; none of a damaged file."""
    found: list[tuple[str, bytes]] = []
    title = notebook.stem
    with suppress(BadProject):
        for cell in read_notebook(notebook)["cells"]:
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                heading = re.match(r"#+\s+(.+)", source)
                title = heading[1].strip() if heading else title
            for output in cell.get("outputs", ()):
                picture = _png(output)
                if picture is not None and len(found) < _MOST_PICTURES:
                    found.append((title, picture))
    return found


def _png(output: Any) -> bytes | None:
    try:
        data = output["data"]["image/png"]
        return base64.b64decode("".join(data), validate=False)
    except (LookupError, TypeError, binascii.Error):
        return None
