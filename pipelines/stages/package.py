"""package: make a bento of a version that passed, and judge the bento itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipelines.errors import BadInput, NotebookContract, Refused
from pipelines.policy.gates import judge_serving
from pipelines.ports import PackageJob, Ports, Reporter
from pipelines.values import Bento, ModelVersion, PackageRecord, Project, Verdict, VersionSpec


@dataclass(frozen=True, slots=True)
class Packaged:
    """A version and its bento."""

    version: ModelVersion
    package: PackageRecord


def package(
    project: Project,
    spec: VersionSpec,
    ports: Ports,
    reporter: Reporter,
    *,
    native: bool = False,
    reason: str | None = None,
) -> Packaged:
    """Package one version; `reason` overrides gates that did not pass, and is recorded.

    Raises:
        Refused: the version is not validated, or did not pass and no reason was given.
        NotebookContract: its validation logged no rows to prove an export on.
        PackageFailed, MissingExtra, StorageFailed: no bento was made; an earlier one is untouched.
    """
    if reason is not None and not reason.strip():
        raise BadInput("--force without a reason", then="Say why with --reason TEXT; it is recorded with the version.")
    model = project.model(spec.model)
    version = ports.registry.get(spec)
    _refuse_unproven(version, reason)
    evidence = ports.registry.evidence(version.validation_run_id)
    if evidence.inputs is None:
        raise NotebookContract(
            f"the validation of {version.ref} logged no rows",
            instead=f"{model.validate.name} logs validation/inputs.npy, .npz, .parquet or .csv",
            then=f"Add that, then `turnout validate {version.ref}`; docs/notebooks.md shows how.",
        )
    job = PackageJob(
        version=version,
        model=ports.registry.local_model(version),
        rows=evidence.inputs,
        native=native,
        forced=reason or "",
    )
    made = ports.packager.package(job, reporter.step)
    reporter.step("measuring the bento: start, one-row latency, memory")
    measure = ports.packager.measure(made)
    report = judge_serving(version.ref, model.gates.serving, measure)
    record = replace(made, checks=report, forced=reason or "")
    recorded = ports.registry.record_package(version.ref, record)
    ports.catalogue.put(
        Bento(
            ref=version.ref,
            sources=str(ports.packager.sources(record)),
            digest=record.digest,
            is_passed=Verdict.PASS is version.verdict is report.verdict,
            forced=record.forced,
            memory_mb=measure.memory_mb,
        )
    )
    return Packaged(recorded, record)


def _refuse_unproven(version: ModelVersion, reason: str | None) -> None:
    if version.verdict is None:
        raise Refused(
            f"{version.ref} has not been validated, and an export is proved on validation rows",
            then=f"`turnout validate {version.ref}` does that.",
        )
    if version.verdict is not Verdict.PASS and reason is None:
        failed = ", ".join(check.name for check in version.report.failed()) if version.report else ""
        raise Refused(
            f"the gates of {version.ref} say {version.verdict}" + (f" ({failed})" if failed else ""),
            instead="only a version that passed is packaged",
            then=f"`turnout package {version.ref} --force --reason TEXT` overrides that, on record.",
        )
