"""The functions before and after a model, as a person wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pipelines.values import ServiceFiles


class Functions(Protocol):
    """The functions before and after a model, as they lie beside its notebooks."""

    def read(self, folder: Path) -> ServiceFiles:
        """What lies in the folder.

        Raises:
            BadServiceCode: a file is no text, or far too long.
            StorageFailed: a file cannot be read.
        """

    def write(self, folder: Path, files: ServiceFiles) -> None:
        """Make the folder hold just these functions and rows; what has its text already is not touched.

        Raises:
            BadServiceCode: a file of somebody's own has the name of one.
            StorageFailed: the disk is full or read-only; each file has its old text or its new one.
        """

    def rows(self, path: Path) -> str:
        """A person's own file of example rows (.json, .csv) as a request body.

        Raises:
            BadServiceCode: there is no such file, or it holds no rows.
        """
