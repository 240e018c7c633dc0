"""Bentos in memory."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import PackageFailed, TurnoutError
from pipelines.ports import PackageJob
from pipelines.values import (
    Bento,
    Field,
    Layout,
    Modules,
    PackageRecord,
    Parity,
    ServiceFiles,
    ServingMeasure,
    Signature,
    Trial,
    VersionRef,
)

MEASURED = ServingMeasure(latency_p95_ms=1.0, start_seconds=1.0, memory_mb=100.0, requests=200)


class FakePackager:
    """Implements `ports.Packager`: the digest is of what the job says, the measure is given.

    Args:
        measured: What `measure` finds.
        reason: Why there is no ONNX file; empty when there is one.
        failure: What `package` raises, when it does not succeed.
    """

    def __init__(
        self,
        measured: ServingMeasure = MEASURED,
        reason: str = "",
        failure: TurnoutError | None = None,
    ) -> None:
        self.measured = measured
        self.reason = reason
        self.failure = failure
        self.jobs: list[PackageJob] = []
        """What was packaged, in order."""
        self.bentos: dict[str, PackageRecord] = {}
        """What there is, by tag."""
        self.tried: list[ServiceFiles] = []
        """The functions that were tried out, in order."""

    def package(self, job: PackageJob, progress: Callable[[str], None]) -> PackageRecord:
        """Make the record of a bento."""
        progress(f"packaging {job.version.ref}")
        if self.failure is not None:
            raise self.failure
        self.jobs.append(job)
        ref = job.version.ref
        reason = "asked for with --native" if job.native else self.reason
        what = f"{job.version.model_uri} {job.native} {job.rows.name}" + "".join(job.service_code.digests.values())
        record = PackageRecord(
            bento=f"{ref.model}:{ref.number}",
            path=f"bentos/{ref.model}/{ref.number}",
            flavour="sklearn" if reason else "onnx",
            digest=hashlib.sha256(what.encode()).hexdigest(),
            reason=reason,
            parity=None if reason else Parity(rows=10, max_abs_diff=1e-7, agreement=1.0, tolerance=1e-4),
            forced=job.forced,
            service_code=job.service_code.digests,
        )
        self.bentos[record.bento] = record
        return record

    def measure(self, package: PackageRecord) -> ServingMeasure:
        """The given measure, while there is such a bento."""
        self.sources(package)
        return self.measured

    def sources(self, package: PackageRecord) -> Path:
        """The record's path, while there is such a bento."""
        if package.bento not in self.bentos:
            raise PackageFailed(f"the bento {package.bento} is gone", then="`turnout package` makes it again.")
        return Path(package.path)

    def size(self, package: PackageRecord) -> int:
        """A thousand bytes, while there is such a bento."""
        return 1000 if package.bento in self.bentos else 0

    def modules(self, package: PackageRecord | None) -> Modules:
        """The standard library and numpy."""
        del package
        return Modules(frozenset(sys.stdlib_module_names), frozenset({"numpy"}))

    def try_out(self, package: PackageRecord, rows: Path, files: ServiceFiles) -> Trial:
        """As many rows as `package` proves, unless there is a failure to raise."""
        del rows
        self.sources(package)
        if self.failure is not None:
            raise self.failure
        self.tried.append(files)
        return Trial(10, Signature(Layout.TENSOR, (Field("inputs", "float32"),), (Field("outputs", "float32"),)))

    def try_before(self, ref: VersionRef, model: Path, rows: Path, files: ServiceFiles) -> Trial:
        """Rows where there is a function before the model."""
        del ref, model, rows
        if self.failure is not None:
            raise self.failure
        self.tried.append(files)
        signature = Signature(Layout.TENSOR, (Field("inputs", "float32"),), (Field("outputs", "float32"),))
        return Trial(10 if files.get("preprocess") else 0, signature)

    def remove(self, package: PackageRecord) -> int:
        """Forget the bento; it counts 5000 bytes."""
        return 5000 if self.bentos.pop(package.bento, None) else 0


class FakeHosts:
    """Implements `ports.Hosts`: notes what would be served.

    Args:
        failure: What `serve` raises.
    """

    def __init__(self, failure: TurnoutError | None = None) -> None:
        self.failure = failure
        self.served: list[tuple[Path, int]] = []

    def serve(self, sources: Path, port: int) -> None:
        """Note it and return at once."""
        if self.failure is not None:
            raise self.failure
        self.served.append((sources, port))


@dataclass
class FakeCatalogue:
    """Implements `ports.Catalogue` in memory.

    Args:
        bentos: What is packaged.
        changed: Versions whose bento is not what was packaged any more.
    """

    bentos: dict[VersionRef, Bento] = field(default_factory=dict)
    changed: set[VersionRef] = field(default_factory=set)

    def get(self, ref: VersionRef) -> Bento | None:
        """What was put."""
        return self.bentos.get(ref)

    def check(self, bento: Bento) -> None:
        """Refuse those that a test has changed."""
        if bento.ref in self.changed:
            raise PackageFailed(
                f"the bento of {bento.ref} was changed", then=f"`turnout package {bento.ref}` makes it again."
            )

    def put(self, bento: Bento) -> None:
        """Keep it."""
        self.bentos[bento.ref] = bento

    def remove(self, ref: VersionRef) -> None:
        """Forget it."""
        self.bentos.pop(ref, None)

    def numbers(self, model: str) -> list[int]:
        """Those of the model."""
        return sorted(ref.number for ref in self.bentos if ref.model == model)
