"""package: make a bento of a version that passed, and judge the bento itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipelines.errors import BadInput, NotebookContract, Refused
from pipelines.policy.gates import judge_serving
from pipelines.policy.service_code import check
from pipelines.ports import PackageJob, Ports, Reporter
from pipelines.stages.service_code import files_of
from pipelines.values import Bento, ModelVersion, PackageRecord, Project, ServiceFiles, Verdict, VersionSpec


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
        Refused: the version is not validated, did not pass, or is packaged with other service code, and no reason was
            given.
        BadServiceCode: a function before or after the model does not do what it has to.
        NotebookContract: its validation logged no rows to prove an export on.
        PackageFailed, MissingExtra, StorageFailed: no bento was made; an earlier one is untouched.
    """
    if reason is not None and not reason.strip():
        raise BadInput("--force without a reason", then="Say why with --reason TEXT; it is recorded with the version.")
    model = project.model(spec.model)
    version = ports.registry.get(spec)
    _refuse_unproven(version, reason)
    files = files_of(project, model, ports)
    for name in files.others:
        reporter.step(f"{name} beside the notebooks is left alone: its first line does not say that it is service code")
    _refuse_other_code(version, files, reason)
    for function in files.functions:
        check(function, None)  # before an export that takes minutes; what it imports is checked when the bento is known
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
        service_code=files,
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


def _refuse_other_code(version: ModelVersion, files: ServiceFiles, reason: str | None) -> None:
    """A version's number stands for its answers: what is packaged keeps them."""
    if version.package is None or dict(version.package.service_code) == files.digests or reason is not None:
        return
    before = ", ".join(version.package.service_code) or "no service code"
    raise Refused(
        f"{version.ref} is packaged already, and its service code has changed since (it has {before})",
        instead="a packaged version keeps the answers it has",
        then=f"`turnout ship {version.ref.model}` makes a new version of the same model with what is there now; "
        f"`turnout package {version.ref} --force --reason TEXT` changes this one, on record.",
    )
