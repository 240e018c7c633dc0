"""ship: train, validate and package in one go, skipping what has not changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.errors import PackageFailed
from pipelines.policy.gates import judge_serving
from pipelines.policy.reuse import reusable
from pipelines.ports import LoggedModel, Ports, Reporter, RunFacts
from pipelines.stages.deploy import DeployOptions, deploy
from pipelines.stages.package import package
from pipelines.stages.resolve import Control
from pipelines.stages.service_code import files_of
from pipelines.stages.train import effective_parameters, provenance, train
from pipelines.stages.validate import validate
from pipelines.values import (
    ModelVersion,
    PackageRecord,
    Project,
    ServingGates,
    ServingMeasure,
    Verdict,
    VersionSpec,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a shipment: what happened, and why."""

    stage: Literal["train", "validate", "package", "deploy"]
    outcome: Literal["done", "reused", "failed"]
    reason: str


@dataclass(frozen=True, slots=True)
class Shipped:
    """A shipment: the version as it is now and what each stage did; it succeeded when no stage failed.

    Args:
        version: The version.
        steps: What each stage did.
        deployment: The model's entry in the status, when it was deployed.
    """

    version: ModelVersion
    steps: tuple[Step, ...] = field(default=())
    deployment: Mapping[str, Any] | None = None

    @property
    def is_done(self) -> bool:
        """Whether the version passed and is packaged."""
        return all(step.outcome != "failed" for step in self.steps)


def ship(project: Project, name: str, texts: Mapping[str, str], ports: Ports, reporter: Reporter) -> Shipped:
    """Bring the model as it stands now to a packaged version.

    A version trained from the same notebook, parameters, data and environment is taken as it is; so is a validation
    of it that depended on the same, and its bento. When only the service code has changed since it was packaged, the
    same model gets a new number.

    Raises:
        TurnoutError: as the stages say. A gate that did not pass raises nothing: its step says `failed`.
    """
    version, trained = _train(project, name, texts, ports, reporter)
    version, validated = _validate(project, version, ports, reporter)
    if validated.outcome == "failed":
        return Shipped(version, (trained, validated))
    version, packaged = _package(project, version, ports, reporter)
    return Shipped(version, (trained, validated, packaged))


def ship_on(shipped: Shipped, options: DeployOptions, control: Control, reporter: Reporter) -> Shipped:
    """Deploy what `ship` packaged.

    Raises:
        TurnoutError: as `stages.deploy` says; the version stays packaged.
    """
    ref = shipped.version.ref
    _, entry = deploy(VersionSpec(ref.model, ref.number), options, control, reporter)
    weight = entry["versions"].get(str(ref), {"weight": 0})["weight"]
    step = Step("deploy", "done", f"{entry['phase']}, {weight} % of the traffic")
    return Shipped(shipped.version, (*shipped.steps, step), entry)


def _train(
    project: Project, name: str, texts: Mapping[str, str], ports: Ports, reporter: Reporter
) -> tuple[ModelVersion, Step]:
    model = project.model(name)
    parameters = effective_parameters(model, texts, ports)
    known, made_from = ports.registry.versions(name), provenance(project, model, ports)
    same = reusable(known, made_from, parameters, files_of(project, model, ports).digests)
    if same is not None:
        reporter.step(f"training {name}: nothing has changed since {same.ref}")
        return same, Step("train", "reused", f"notebook, parameters, data and environment are those of {same.ref}")
    twin = reusable(known, made_from, parameters)
    if twin is not None:
        return _again(twin, ports, reporter)
    done = train(project, name, texts, ports, reporter)
    return done.version, Step("train", "done", f"{done.seconds:.1f} s")


def _again(twin: ModelVersion, ports: Ports, reporter: Reporter) -> tuple[ModelVersion, Step]:
    """A new number for a model that is packaged with other service code."""
    run, logged = RunFacts(twin.run_id, {}, {}, ()), LoggedModel(twin.model_uri, "")
    version = ports.registry.register(twin.ref.model, run, logged, twin.parameters, twin.provenance)
    reporter.step(f"the service code has changed since {twin.ref}: its model is {version.ref} as well")
    return version, Step("train", "reused", f"the model of {twin.ref}, for other service code")


def _validate(project: Project, version: ModelVersion, ports: Ports, reporter: Reporter) -> tuple[ModelVersion, Step]:
    spec = VersionSpec(version.ref.model, version.ref.number)
    done = validate(project, spec, ports, reporter, reuse=True)
    if done.report.verdict is not Verdict.PASS:
        failed = ", ".join(f"{check.name} {check.verdict}" for check in done.report.failed())
        return done.version, Step("validate", "failed", failed)
    passed = f"all {len(done.report.checks)} checks passed"
    if done.notebook is None:
        return done.version, Step("validate", "reused", f"{passed}, on the rows and predictions of before")
    return done.version, Step("validate", "done", passed)


def _package(project: Project, version: ModelVersion, ports: Ports, reporter: Reporter) -> tuple[ModelVersion, Step]:
    record = version.package
    is_listed = ports.catalogue.get(version.ref) is not None
    model = project.model(version.ref.model)
    is_current = record is not None and dict(record.service_code) == files_of(project, model, ports).digests
    if record is not None and is_listed and is_current and _has_passed(record, model.gates.serving):
        try:
            ports.packager.sources(record)
        except PackageFailed:
            reporter.step(f"packaging {version.ref} again: its bento is gone or was changed")
        else:
            reporter.step(f"packaging {version.ref}: its bento {record.bento} is there")
            return version, Step("package", "reused", f"bento {record.bento}")
    done = package(project, VersionSpec(version.ref.model, version.ref.number), ports, reporter)
    checks = done.package.checks
    if checks is not None and checks.verdict is not Verdict.PASS:
        failed = ", ".join(f"{check.name} {check.verdict}" for check in checks.failed())
        return done.version, Step("package", "failed", failed)
    return done.version, Step("package", "done", f"bento {done.package.bento}, {done.package.flavour}")


def _has_passed(record: PackageRecord, gates: ServingGates) -> bool:
    """Whether the bento has passed just the gates that are asked for now."""
    if record.checks is None or record.checks.verdict is not Verdict.PASS:
        return False
    asked = judge_serving(record.checks.ref, gates, ServingMeasure(0.0, 0.0, 0.0, 0)).checks
    return {(check.name, check.required) for check in asked} == {
        (check.name, check.required) for check in record.checks.checks
    }
