"""What is known of a trained version, and what the stages hand to one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from pipelines.values.dependencies import Dependencies
from pipelines.values.gates import GateReport, Verdict
from pipelines.values.manifest import Parity
from pipelines.values.project import Parameter
from pipelines.values.refs import Alias, VersionRef


@dataclass(frozen=True, slots=True)
class Revision:
    """Where the code stood.

    Args:
        system: `git`, `svn`, or `none` outside of both.
        revision: The commit hash or revision number; empty without a system or before the first commit.
        dirty: Whether the working copy differs from it.
    """

    system: str = "none"
    revision: str = ""
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a version was made from; SHA-256 hex digests, empty where there is nothing to digest.

    Args:
        notebook_digest: Of the training notebook's code cells.
        data_digest: Of the declared inputs.
        lock_digest: Of the environment's lock.
        revision: Where the code stood.
        code_digest: Of the project's own modules that the notebook imports.
        upstream_digest: Of the results of the models it builds on.
        parts: The same part by part; None for a version of an earlier release.
    """

    notebook_digest: str = ""
    data_digest: str = ""
    lock_digest: str = ""
    revision: Revision = Revision()
    code_digest: str = ""
    upstream_digest: str = ""
    parts: Dependencies | None = None


@dataclass(frozen=True, slots=True)
class ServingMeasure:
    """What the packaged bento needed on this machine.

    Args:
        latency_p95_ms: 95th percentile of sequential one-row requests, in milliseconds.
        start_seconds: From the start of the process to the first answer.
        memory_mb: Resident memory of the host afterwards, 10^6 bytes.
        requests: How many requests the percentile rests on.
    """

    latency_p95_ms: float
    start_seconds: float
    memory_mb: float
    requests: int


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """A version's bento.

    Args:
        bento: Its tag, `digits:7`.
        path: The bento's folder, relative to the project's state folder.
        flavour: `onnx`, or the MLflow flavour of a native bento.
        digest: SHA-256 of everything in it that is served; equal inputs give an equal one.
        reason: Why a native bento carries its framework; empty for `onnx`.
        parity: The proof, for `onnx`.
        checks: The gates on the bento itself, judged.
        forced: The reason given with `--force`, when a gate had not passed.
        service_code: SHA-256 of the functions before and after the model, by name; empty without any.
    """

    bento: str
    path: str
    flavour: str
    digest: str
    reason: str = ""
    parity: Parity | None = None
    checks: GateReport | None = None
    forced: str = ""
    service_code: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON."""
        return {
            "bento": self.bento,
            "path": self.path,
            "flavour": self.flavour,
            "digest": self.digest,
            "reason": self.reason,
            "parity": self.parity.as_dict() if self.parity else None,
            "checks": self.checks.as_dict() if self.checks else None,
            "forced": self.forced,
            "service_code": dict(self.service_code),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            bento=data["bento"],
            path=data["path"],
            flavour=data["flavour"],
            digest=data["digest"],
            reason=data["reason"],
            parity=Parity(**data["parity"]) if data["parity"] else None,
            checks=GateReport.from_dict(data["checks"]) if data["checks"] else None,
            forced=data["forced"],
            service_code=data.get("service_code", {}),
        )


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version as the registry knows it.

    Args:
        ref: Its name.
        run_id: The MLflow run that trained it.
        model_uri: Where MLflow finds the model, `models:/m-...`.
        created: When it was registered, UTC.
        parameters: What the notebook ran with, its defaults included.
        metrics: Of the training run, then those of the validation run over them.
        verdict: Of the last validation; None before the first.
        aliases: The aliases that point here now.
        provenance: What it was made from.
        report: The last gate report.
        package: Its bento, once packaged.
        validation_run_id: The MLflow run of the last validation.
        validation_key: Digest of all that this validation depended on; an equal key gives an equal result.
        validation_parts: The same part by part; None where that was not recorded.
        judged_key: Digest of all that the verdict depended on, gates and champion included.
    """

    ref: VersionRef
    run_id: str
    model_uri: str
    created: datetime
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None
    aliases: frozenset[Alias] = frozenset()
    provenance: Provenance = Provenance()
    report: GateReport | None = None
    package: PackageRecord | None = None
    validation_run_id: str = ""
    validation_key: str = ""
    validation_parts: Dependencies | None = None
    judged_key: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The version as JSON."""
        return {
            "ref": str(self.ref),
            "model": self.ref.model,
            "version": self.ref.number,
            "run_id": self.run_id,
            "created": self.created.isoformat(),
            "verdict": self.verdict.value if self.verdict else None,
            "aliases": sorted(alias.value for alias in self.aliases),
            "metrics": dict(self.metrics),
            "parameters": dict(self.parameters),
            "notebook_digest": self.provenance.notebook_digest,
            "data_digest": self.provenance.data_digest,
            "lock_digest": self.provenance.lock_digest,
            "code_digest": self.provenance.code_digest,
            "revision": self.provenance.revision.revision,
            "revision_system": self.provenance.revision.system,
            "dirty": self.provenance.revision.dirty,
            "package": self.package.as_dict() if self.package else None,
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a validation run left behind.

    Args:
        run_id: Its MLflow run.
        metrics: The metrics it logged.
        predictions: The per-row table by column, each of shape (rows,); empty when none was logged.
        inputs: The file with the real validation rows, or None: `.npy`, `.npz`, `.parquet` or `.csv`.
        key: Digest of all that the validation depended on.
        parts: The same part by part.
        judged_key: Digest of all that the verdict on it depends on, gates and champion included.
    """

    run_id: str
    metrics: Mapping[str, float]
    predictions: Mapping[str, Any] = field(default_factory=dict)
    inputs: Path | None = None
    key: str = ""
    parts: Dependencies | None = None
    judged_key: str = ""
