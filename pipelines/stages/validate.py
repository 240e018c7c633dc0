"""validate: run the validation notebook on the candidate and on the champion, and judge the gates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import NoSuchVersion, NotebookContract
from pipelines.policy.gates import judge
from pipelines.ports import Ports, Reporter
from pipelines.stages.execute import declared, execute
from pipelines.values import Alias, Evidence, GateReport, ModelConfig, ModelVersion, Parameter, Project, VersionSpec


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


def validate(
    project: Project, spec: VersionSpec, ports: Ports, reporter: Reporter, *, reuse: bool = False
) -> Validated:
    """Judge one version against its gates and, where there is one, against the champion.

    The champion's notebook runs again only when something it depends on has changed; with `reuse` that holds for the
    candidate's too. The gates are judged anew in any case.

    Raises:
        NoSuchModel, NoSuchVersion, NotebookFailed: nothing was recorded.
        NotebookContract: the notebook logged nothing, or no readable table.
    """
    model = project.model(spec.model)
    version = ports.registry.get(spec)
    candidate, notebook, seconds = _evidence(project, model, version, ports, reporter, reuse=reuse)
    rival = _champion(version, ports)
    champion = None
    if rival is not None and model.gates.comparisons:
        evidence, _, more = _evidence(project, model, rival, ports, reporter, reuse=True)
        champion, seconds = (rival.ref, evidence), seconds + more
    report = judge(version.ref, model.gates, candidate, champion)
    return Validated(ports.registry.record_report(report, candidate), report, notebook, seconds)


def _validation_key(project: Project, model: ModelConfig, version: ModelVersion, ports: Ports) -> str:
    """SHA-256 of all that a validation of the version depends on, the gates excepted."""
    lock = project.lock_file
    parts = {
        "model": version.model_uri,
        "notebook": ports.digests.notebook(model.validate),
        "parameters": dict(model.validate_parameters),
        "data": ports.digests.files(model.inputs),
        "lock": ports.digests.files([lock]) if lock else "",
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


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
    project: Project, model: ModelConfig, version: ModelVersion, ports: Ports, reporter: Reporter, *, reuse: bool
) -> tuple[Evidence, Path | None, float]:
    declared(ports, model.validate, needed="model_uri")
    key = _validation_key(project, model, version, ports)
    run_id = _same_validation(version, key, ports) if reuse else ""
    if run_id:
        reporter.step(f"validating {version.ref}: same rows and notebook as before, its result is reused")
        return replace(ports.registry.evidence(run_id), key=key), None, 0.0
    parameters: Mapping[str, Parameter] = {**model.validate_parameters, "model_uri": version.model_uri}
    reporter.step(f"validating {version.ref}: {model.validate.name}")
    execution = execute(project, model, "validate", parameters, ports, reporter)
    if not execution.runs:
        raise NotebookContract(
            f"{model.validate.name} started no MLflow run",
            instead="it logs its metrics, the predictions and the rows in one run",
            then=f"The executed notebook is {execution.notebook}; docs/notebooks.md shows the contract.",
        )
    # A notebook may start helper runs: the one that logged the table counts, else the last.
    found = [ports.registry.evidence(run.run_id) for run in execution.runs]
    with_table = [evidence for evidence in found if evidence.predictions]
    if len(with_table) > 1:
        raise NotebookContract(
            f"{model.validate.name} logged {len(with_table)} tables of predictions, each in a run of its own",
            instead="one run has the metrics, the predictions and the rows",
            then=f"The executed notebook is {execution.notebook}.",
        )
    evidence = with_table[0] if with_table else found[-1]
    return replace(evidence, key=key), execution.notebook, execution.seconds
