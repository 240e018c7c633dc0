"""validate: run the validation notebook on the candidate and on the champion, and judge the gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines import __version__
from pipelines.errors import NoSuchVersion, NotebookContract
from pipelines.policy.gates import judge
from pipelines.policy.reasons import changes
from pipelines.ports import Ports, Reporter
from pipelines.stages.execute import declared, execute, key_of
from pipelines.stages.train import sources
from pipelines.values import (
    Alias,
    Dependencies,
    Evidence,
    GateReport,
    ModelConfig,
    ModelVersion,
    Parameter,
    Project,
    VersionSpec,
)


@dataclass(frozen=True, slots=True)
class Validated:
    """A judged version.

    Args:
        version: The version, its verdict recorded.
        report: The checks.
        notebook: The executed validation notebook of the candidate; None when its earlier result was judged anew.
        seconds: How long the notebooks took in all.
    """

    version: ModelVersion
    report: GateReport
    notebook: Path | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a validation of a version now would depend on, and what is there already.

    Args:
        key: Digest of all that its notebook's result depends on.
        parts: The same part by part.
        run_id: An earlier run of the notebook with the same result; empty when it has to run.
        rival: The champion it is compared with.
        rival_key: As `key`, of the champion.
        judged_key: Digest of all that its verdict depends on.
    """

    key: str
    parts: Dependencies
    run_id: str
    rival: ModelVersion | None
    rival_key: str
    judged_key: str

    def stands(self, version: ModelVersion) -> bool:
        """Whether the version's recorded verdict is what judging it now would say."""
        return version.report is not None and self.judged_key == version.judged_key and bool(self.run_id)

    def why(self, version: ModelVersion) -> tuple[str, ...]:
        """Why the notebook has to run; empty when it has not."""
        if self.run_id:
            return ()
        if not version.validation_key:
            return (f"{version.ref} has not been validated yet",)
        return changes(version.validation_parts, self.parts) or ("what the validation depends on changed",)


def validate(
    project: Project, spec: VersionSpec, ports: Ports, reporter: Reporter, *, reuse: bool = False
) -> Validated:
    """Judge one version against its gates and, where there is one, against the champion.

    The champion's notebook runs again only when something it depends on has changed; with `reuse` that holds for the
    candidate's too, and a verdict that depended on just the same stands. Else the gates are judged anew.

    Raises:
        NoSuchModel, NoSuchVersion, NotebookFailed: nothing was recorded.
        NotebookContract: the notebook logged nothing, or no readable table.
    """
    model = project.model(spec.model)
    version = ports.registry.get(spec)
    declared(ports, model.validate, needed="model_uri")
    seen = outlook(project, model, version, ports)
    if reuse and seen.stands(version) and version.report is not None:
        reporter.step(f"validating {version.ref}: its verdict stands, nothing it depends on has changed")
        return Validated(version, version.report, None, 0.0)
    candidate, notebook, seconds = _evidence(project, model, version, seen, ports, reporter, reuse=reuse)
    champion = (version.ref, candidate) if Alias.CHAMPION in version.aliases else None
    if seen.rival is not None:
        there = replace(seen, key=seen.rival_key, run_id=_same_validation(seen.rival, seen.rival_key, ports))
        evidence, _, more = _evidence(project, model, seen.rival, there, ports, reporter, reuse=True)
        champion, seconds = (seen.rival.ref, evidence), seconds + more
    report = judge(version.ref, model.gates, candidate, champion)
    recorded = ports.registry.record_report(report, replace(candidate, judged_key=seen.judged_key))
    for key in (seen.key, seen.rival_key):
        ports.executions.settle(model.name, "validate", key)
    return Validated(recorded, report, notebook, seconds)


def outlook(project: Project, model: ModelConfig, version: ModelVersion, ports: Ports) -> Outlook:
    """What a validation of the version would depend on now; nothing is run or changed."""
    found = ports.digests.depends(sources(project, model, model.validate))

    def key(of: ModelVersion) -> str:
        facts = {"code": found.code} if found.code else {}  # without modules, the key of an earlier release
        return key_of(
            model=of.model_uri,
            notebook=found.notebook,
            parameters=dict(model.validate_parameters),
            data=found.data,
            lock=found.lock,
            **facts,
        )

    own = key(version)
    rival = _champion(version, ports) if model.gates.comparisons else None
    rival_key = key(rival) if rival is not None else ""
    parts = replace(found.parts, upstream={"the model": version.model_uri}, parameters=model.validate_parameters)
    judged = key_of(
        validation=own, gates=repr(model.gates), champion=str(rival.ref) if rival else "", of=rival_key, by=__version__
    )
    return Outlook(own, parts, _same_validation(version, own, ports), rival, rival_key, judged)


def _champion(candidate: ModelVersion, ports: Ports) -> ModelVersion | None:
    try:
        champion = ports.registry.get(VersionSpec(candidate.ref.model, Alias.CHAMPION))
    except NoSuchVersion:
        return None
    return champion if champion.ref != candidate.ref else None


def _same_validation(version: ModelVersion, key: str, ports: Ports) -> str:
    """The run of a validation that depended on the same: the version's own, or one of its model by another number."""
    known = [version, *ports.registry.versions(version.ref.model)]
    return next((each.validation_run_id for each in known if each.validation_key == key), "")


def _evidence(
    project: Project,
    model: ModelConfig,
    version: ModelVersion,
    seen: Outlook,
    ports: Ports,
    reporter: Reporter,
    *,
    reuse: bool,
) -> tuple[Evidence, Path | None, float]:
    if reuse and seen.run_id:
        reporter.step(f"validating {version.ref}: same rows and notebook as before, its result is reused")
        return replace(ports.registry.evidence(seen.run_id), key=seen.key, parts=seen.parts), None, 0.0
    parameters: Mapping[str, Parameter] = {**model.validate_parameters, "model_uri": version.model_uri}
    reporter.step(f"validating {version.ref}: {model.validate.name}")
    execution = execute(project, model, "validate", parameters, ports, reporter, key=seen.key, resume=reuse)
    if not execution.runs:
        ports.executions.settle(model.name, "validate", seen.key)
        raise NotebookContract(
            f"{model.validate.name} started no MLflow run",
            instead="it logs its metrics, the predictions and the rows in one run",
            then=f"The executed notebook is {execution.notebook}; docs/notebooks.md shows the contract.",
        )
    # A notebook may start helper runs: the one that logged the table counts, else the last.
    found = [ports.registry.evidence(run.run_id) for run in execution.runs]
    with_table = [evidence for evidence in found if evidence.predictions]
    if len(with_table) > 1:
        ports.executions.settle(model.name, "validate", seen.key)
        raise NotebookContract(
            f"{model.validate.name} logged {len(with_table)} tables of predictions, each in a run of its own",
            instead="one run has the metrics, the predictions and the rows",
            then=f"The executed notebook is {execution.notebook}.",
        )
    evidence = with_table[0] if with_table else found[-1]
    return replace(evidence, key=seen.key, parts=seen.parts), execution.notebook, execution.seconds
