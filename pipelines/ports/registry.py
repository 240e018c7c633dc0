"""Runs and versions, with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipelines.values import (
    Evidence,
    GateReport,
    ModelVersion,
    PackageRecord,
    Parameter,
    Provenance,
    VersionRef,
    VersionSpec,
)


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model that a run logged.

    Args:
        uri: `models:/m-...`.
        name: The name it was logged under.
    """

    uri: str
    name: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run of a notebook, as the tracking store has it."""

    run_id: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    models: Sequence[LoggedModel]


class Registry(Protocol):
    """Runs, versions and their facts. Safe for several processes at once, from the first use on."""

    def environment(self, tag: str) -> dict[str, str]:
        """Variables for a kernel, so that all runs it starts go to this registry and carry `tag`.

        Creates the store when there is none.

        Raises:
            StorageFailed: it cannot be created or opened.
        """

    def runs(self, tag: str) -> list[RunFacts]:
        """The runs started under `tag`, the oldest first, whatever experiment they are in."""

    def attach(self, run_id: str, file: Path, folder: str) -> None:
        """Store a copy of `file` with the run, below `folder`."""

    def evidence(self, run_id: str) -> Evidence:
        """What a validation run logged below `validation/` (docs/notebooks.md has the contract).

        Raises:
            NotebookContract: a table or the rows cannot be read.
        """

    def register(
        self, model: str, run: RunFacts, logged: LoggedModel, parameters: Mapping[str, Parameter], made_from: Provenance
    ) -> ModelVersion:
        """Give the trained model its version number, the next one, never one that was given before."""

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, the newest first; empty when there is none."""

    def get(self, spec: VersionSpec | VersionRef) -> ModelVersion:
        """One version.

        Raises:
            NoSuchVersion: there is none; the message names those there are.
        """

    def record_report(self, report: GateReport, validation: Evidence) -> ModelVersion:
        """Store the verdict, its checks and the validation run with the version; return it as it is now."""

    def record_package(self, ref: VersionRef, package: PackageRecord | None) -> ModelVersion:
        """Store what the version was packaged as (None: no longer); return it as it is now."""

    def set_champion(self, ref: VersionRef) -> ModelVersion:
        """Move `champion` here and `previous` to where it was; the champion itself stays as it is."""

    def local_model(self, version: ModelVersion) -> Path:
        """The folder with the version's MLflow model (the one with the file `MLmodel`)."""

    def code_cells(self, version: ModelVersion) -> list[str] | None:
        """The code cells of the notebook that trained it, as they ran, without the injected parameters.

        None when the executed notebook is gone, or cannot be read any more.
        """

    def executed(self, version: ModelVersion, verb: str) -> Path | None:
        """The executed notebook that trained (`train`) or last judged (`validate`) it; None when it is gone."""

    def requirements(self, version: ModelVersion) -> dict[str, str] | None:
        """The packages its model was saved with, `{"numpy": "==2.4.0"}`; None when nothing says so."""

    def delete(self, ref: VersionRef) -> int:
        """Remove a version, its runs and their files; return the bytes freed.

        Raises:
            Refused: an alias points to it (`champion`, `previous`), or it is the latest one.
        """
