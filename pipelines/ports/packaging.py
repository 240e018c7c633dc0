"""Making a version what can be served, and finding what was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipelines.values import (
    Bento,
    ModelVersion,
    Modules,
    PackageRecord,
    ServiceFiles,
    ServingMeasure,
    Trial,
    VersionRef,
)


@dataclass(frozen=True, slots=True)
class PackageJob:
    """What a bento is made of.

    Args:
        version: The version.
        model: The folder with its MLflow model.
        rows: The real validation rows: `.npy`, `.npz`, `.parquet` or `.csv`.
        native: Whether to carry the original model without trying an export.
        forced: The reason given with `--force`, or nothing.
        service_code: The functions before and after the model.
    """

    version: ModelVersion
    model: Path
    rows: Path
    native: bool = False
    forced: str = ""
    service_code: ServiceFiles = ServiceFiles()


class Packager(Protocol):
    """Makes bentos."""

    def package(self, job: PackageJob, progress: Callable[[str], None]) -> PackageRecord:
        """Export, prove, build. The same job gives the same digest; an equal bento that exists already is kept.

        Raises:
            MissingExtra: an exporter or the framework is not installed.
            BadServiceCode: a function before or after the model does not do what it has to, on the real rows.
            PackageFailed: the bento could not be built; nothing is left of it.
            StorageFailed: the disk is full or read-only.
        """

    def measure(self, package: PackageRecord) -> ServingMeasure:
        """Start the bento's host alone, send real rows one at a time, stop it.

        Raises:
            PackageFailed: it does not start or answers wrongly.
        """

    def sources(self, package: PackageRecord) -> Path:
        """The folder a host serves from.

        Raises:
            PackageFailed: the bento is gone or was changed; the message says how to make it again.
        """

    def size(self, package: PackageRecord) -> int:
        """The bytes of the bento on disk; 0 when it is gone."""

    def modules(self, package: PackageRecord | None) -> Modules:
        """What service code may import in a bento such as this one; None stands for one with an ONNX file."""

    def try_out(self, package: PackageRecord, rows: Path, files: ServiceFiles) -> Trial:
        """Have functions answer real rows around the model of a bento, in a process of their own, for a limited time.

        Args:
            package: The bento; it stays as it is.
            rows: The real validation rows.
            files: The functions.

        Raises:
            BadServiceCode: a function does not do what it has to; the message names its line and the cause.
            PackageFailed: the bento is gone.
        """

    def try_before(self, ref: VersionRef, model: Path, rows: Path, files: ServiceFiles) -> Trial:
        """Have the function before a model that is not packaged answer its real rows; `model` is its MLflow folder.

        What stands after the model is only loaded. Without a function before it, the trial has no rows.

        Raises:
            BadServiceCode: as `try_out` says.
        """

    def remove(self, package: PackageRecord) -> int:
        """Delete the bento; return the bytes freed. A bento that is gone already frees 0."""


class Catalogue(Protocol):
    """Packaged versions, read without the registry: a deploy must not wait for MLflow's import."""

    def get(self, ref: VersionRef) -> Bento | None:
        """The bento; None when the version is not packaged."""

    def check(self, bento: Bento) -> None:
        """Compare what is on disk with the digest: before a host is started from it.

        Raises:
            PackageFailed: the bento is gone or was changed; the message says how to make it again.
        """

    def put(self, bento: Bento) -> None:
        """Add or replace one.

        Raises:
            StorageFailed: the disk is full or read-only; what was known stays.
        """

    def remove(self, ref: VersionRef) -> None:
        """Forget one; one that is not there is forgotten already."""

    def numbers(self, model: str) -> list[int]:
        """The numbers of a model's packaged versions, rising."""
