"""ship: train, validate and package in one go, skipping what has not changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pipelines.errors import PackageFailed
from pipelines.policy.gates import judge_serving
from pipelines.policy.reasons import told
from pipelines.policy.reuse import reusable, why_train
from pipelines.ports import LoggedModel, Ports, Reporter, RunFacts
from pipelines.stages.deploy import DeployOptions, deploy
from pipelines.stages.package import package
from pipelines.stages.resolve import Control
from pipelines.stages.service_code import files_of
from pipelines.stages.train import effective_parameters, provenance, train
from pipelines.stages.validate import outlook, validate
from pipelines.values import (
    ModelVersion,
    PackageRecord,
    Parameter,
    Project,
    Provenance,
    ServingGates,
    ServingMeasure,
    Verdict,
    VersionSpec,
)

FORCED = ("asked for with --force",)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a shipment: what happened, and why.

    Args:
        stage: Which one.
        outcome: `due` says that it would run.
        reason: Why, and what came of it, in a few words.
        why: Each thing that made it run; empty for one that was reused.
    """

    stage: Literal["train", "validate", "package", "deploy"]
    outcome: Literal["done", "reused", "failed", "due"]
    reason: str
    why: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The step as JSON."""
        return {"stage": self.stage, "outcome": self.outcome, "reason": self.reason, "why": list(self.why)}


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


@dataclass(frozen=True, slots=True)
class Explained:
    """What a shipment would do.

    Args:
        model: The model.
        version: The version that would be taken as it is; None when a new one would be trained.
        steps: Each stage: `due` or `reused`, and why.
    """

    model: str
    version: ModelVersion | None
    steps: tuple[Step, ...]


def ship(
    project: Project,
    name: str,
    texts: Mapping[str, str],
    ports: Ports,
    reporter: Reporter,
    *,
    force: bool = False,
    note: Callable[[Shipped], None] = lambda shipped: None,  # noqa: ARG005
) -> Shipped:
    """Bring the model as it stands now to a packaged version.

    A version trained from the same notebook, modules, parameters, data and environment is taken as it is; so is a
    validation of it that depended on the same, and its bento. What came to its end before an earlier call was killed
    is not run again. When only the service code has changed since it was packaged, the same model gets a new number.

    Args:
        project: The project.
        name: The model.
        texts: Parameters as a person typed them.
        ports: The world.
        reporter: Who watches.
        force: Whether everything runs, also what has not changed. The gates stay as they are.
        note: Told the shipment as far as it has come, after each stage: when the next one raises, that is all.

    Raises:
        TurnoutError: as the stages say. A gate that did not pass raises nothing: its step says `failed`.
    """
    version, trained = _train(project, name, texts, ports, reporter, force=force)
    note(Shipped(version, (trained,)))
    version, validated = _validate(project, version, ports, reporter, force=force)
    note(Shipped(version, (trained, validated)))
    if validated.outcome == "failed":
        return Shipped(version, (trained, validated))
    version, packaged = _package(project, version, ports, reporter, force=force)
    return Shipped(version, (trained, validated, packaged))


def explain(
    project: Project,
    name: str,
    texts: Mapping[str, str],
    ports: Ports,
    deployment: DeployOptions | None = None,
    *,
    force: bool = False,
) -> Explained:
    """What `ship` would run, and why; nothing is run, and nothing written.

    Raises:
        TurnoutError: what stands there cannot be read, or a parameter is wrong.
    """
    seen = _explain(project, name, texts, ports, force=force)
    is_unpackaged = seen.version is not None and seen.version.verdict is not Verdict.PASS
    if deployment is None or (is_unpackaged and seen.steps[-1].outcome == "reused"):
        return seen
    share = "as a shadow" if deployment.share == "shadow" else f"with {deployment.share} % of the traffic"
    why = (f"asked for {share}",)
    return replace(seen, steps=(*seen.steps, Step("deploy", "due", why[0], why)))


def _explain(project: Project, name: str, texts: Mapping[str, str], ports: Ports, *, force: bool) -> Explained:
    model = project.model(name)
    origin = _origin(project, name, texts, ports)
    if force or origin.same is None:
        twin = None if force else origin.twin
        if twin is None:
            why = FORCED if force else origin.why
            first = Step("train", "due", told(why), why)
        else:
            first = Step("train", "reused", f"the model of {twin.ref}, for other service code")
        new = ("the version would be new",)
        return Explained(name, None, (first, *(Step(stage, "due", new[0], new) for stage in ("validate", "package"))))
    version = origin.same
    steps = [Step("train", "reused", _unchanged(version))]
    seen = outlook(project, model, version, ports)
    if why := seen.why(version):
        steps.append(Step("validate", "due", told(why), why))
    elif seen.stands(version):
        steps.append(Step("validate", "reused", "its verdict stands"))
    else:
        steps.append(Step("validate", "reused", "judged anew on the rows and predictions of before"))
    if steps[-1].reason == "its verdict stands" and version.verdict is not Verdict.PASS:
        steps.append(Step("package", "reused", f"it is not packaged: the verdict is {version.verdict}"))
    elif why := _why_package(project, version, ports):
        steps.append(Step("package", "due", told(why), why))
    else:
        steps.append(Step("package", "reused", f"bento {version.package.bento if version.package else ''}"))
    return Explained(name, version, tuple(steps))


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


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a version would be made from, and which one is made from just that."""

    made_from: Provenance
    same: ModelVersion | None
    twin: ModelVersion | None
    why: tuple[str, ...]


def _origin(project: Project, name: str, texts: Mapping[str, str], ports: Ports) -> _Origin:
    model = project.model(name)
    parameters: dict[str, Parameter] = effective_parameters(model, texts, ports)
    known, made_from = ports.registry.versions(name), provenance(project, model, ports)
    same = reusable(known, made_from, parameters, files_of(project, model, ports).digests)
    twin = same or reusable(known, made_from, parameters)
    return _Origin(made_from, same, twin, () if twin else why_train(known, made_from, parameters))


def _train(
    project: Project, name: str, texts: Mapping[str, str], ports: Ports, reporter: Reporter, *, force: bool
) -> tuple[ModelVersion, Step]:
    origin = _origin(project, name, texts, ports)
    if origin.same is not None and not force:
        reporter.step(f"training {name}: nothing has changed since {origin.same.ref}")
        return origin.same, Step("train", "reused", _unchanged(origin.same))
    if origin.twin is not None and not force:
        return _again(origin.twin, ports, reporter)
    why = FORCED if force else origin.why
    reporter.step(f"{name} needs training: {told(why)}")
    done = train(project, name, texts, ports, reporter, made_from=origin.made_from, resume=not force)
    return done.version, Step("train", "done", f"{told(why)}; {done.seconds:.1f} s", why)


def _unchanged(version: ModelVersion) -> str:
    return f"code, parameters, data and environment are those of {version.ref}"


def _again(twin: ModelVersion, ports: Ports, reporter: Reporter) -> tuple[ModelVersion, Step]:
    """A new number for a model that is packaged with other service code."""
    run, logged = RunFacts(twin.run_id, {}, {}, ()), LoggedModel(twin.model_uri, "")
    version = ports.registry.register(twin.ref.model, run, logged, twin.parameters, twin.provenance)
    reporter.step(f"the service code has changed since {twin.ref}: its model is {version.ref} as well")
    return version, Step("train", "reused", f"the model of {twin.ref}, for other service code")


def _validate(
    project: Project, version: ModelVersion, ports: Ports, reporter: Reporter, *, force: bool
) -> tuple[ModelVersion, Step]:
    spec = VersionSpec(version.ref.model, version.ref.number)
    seen = outlook(project, project.model(version.ref.model), version, ports)
    stands = seen.stands(version) and not force
    why = FORCED if force else seen.why(version)
    done = validate(project, spec, ports, reporter, reuse=not force)
    if done.report.verdict is not Verdict.PASS:
        failed = ", ".join(f"{check.name} {check.verdict}" for check in done.report.failed())
        return done.version, Step("validate", "failed", failed, why)
    passed = f"all {len(done.report.checks)} checks passed"
    if done.notebook is None:
        how = "its verdict stands" if stands else "on the rows and predictions of before"
        return done.version, Step("validate", "reused", f"{passed}, {how}")
    return done.version, Step("validate", "done", f"{told(why)}; {passed}", why)


def _package(
    project: Project, version: ModelVersion, ports: Ports, reporter: Reporter, *, force: bool
) -> tuple[ModelVersion, Step]:
    why = FORCED if force else _why_package(project, version, ports)
    if not why and version.package is not None:
        reporter.step(f"packaging {version.ref}: its bento {version.package.bento} is there")
        return version, Step("package", "reused", f"bento {version.package.bento}")
    reporter.step(f"{version.ref} needs packaging: {told(why)}")
    done = package(project, VersionSpec(version.ref.model, version.ref.number), ports, reporter)
    checks = done.package.checks
    if checks is not None and checks.verdict is not Verdict.PASS:
        failed = ", ".join(f"{check.name} {check.verdict}" for check in checks.failed())
        return done.version, Step("package", "failed", failed, why)
    return done.version, Step(
        "package", "done", f"{told(why)}; bento {done.package.bento}, {done.package.flavour}", why
    )


def _why_package(project: Project, version: ModelVersion, ports: Ports) -> tuple[str, ...]:
    """Why a version that passed has to be packaged; empty when its bento may stay."""
    record = version.package
    if record is None:
        return (f"{version.ref} is not packaged yet",)
    model = project.model(version.ref.model)
    why = []
    if ports.catalogue.get(version.ref) is None:
        why.append("its bento is not listed among those that may be deployed")
    if dict(record.service_code) != files_of(project, model, ports).digests:
        why.append("the service code changed")
    if record.checks is None or record.checks.verdict is not Verdict.PASS:
        why.append("its bento has not passed its gates")
    elif not _is_asked(record, model.gates.serving):
        why.append("the gates on the bento changed")
    try:
        ports.packager.sources(record)
    except PackageFailed:
        why.append("its bento is gone or was changed")
    return tuple(why)


def _is_asked(record: PackageRecord, gates: ServingGates) -> bool:
    """Whether the bento was judged by just the gates that are asked for now."""
    if record.checks is None:
        return False
    asked = judge_serving(record.checks.ref, gates, ServingMeasure(0.0, 0.0, 0.0, 0)).checks
    return {(check.name, check.required) for check in asked} == {
        (check.name, check.required) for check in record.checks.checks
    }
