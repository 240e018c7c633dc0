"""diff: what is different about two versions of a model, and how much is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipelines.errors import BadInput, TurnoutError
from pipelines.policy.differences import CellChange, Compared, compare, compare_cells, directions
from pipelines.policy.sureness import with_intervals
from pipelines.values import ModelVersion, VersionSpec

if TYPE_CHECKING:
    from pipelines.ports import Ports
    from pipelines.values import Project

_NEEDS = ("latency_p95_ms", "start_seconds", "memory_mb")


@dataclass(frozen=True)
class Difference:
    """Two versions, the older on the left when they are given so.

    Args:
        left: One version.
        right: The other one.
        parameters: What the training ran with.
        metrics: Of training and validation, with how sure their changes are.
        gates: The verdicts, by check.
        origin: Code, notebook, data and environment, as far as they are known.
        bento: Flavour, digests, size in bytes, latency and memory as they were measured.
        packages: The requirements that the models were saved with; None where one of them has none.
        cells: The changed code cells of the training notebook as it ran; None where one of them is gone.
        equal_cells: How many code cells are the same.
    """

    left: ModelVersion
    right: ModelVersion
    parameters: Compared
    metrics: Compared
    gates: Compared
    origin: Compared
    bento: Compared
    packages: Compared | None
    cells: tuple[CellChange, ...] | None
    equal_cells: int = 0


def diff(project: Project, left: VersionSpec, right: VersionSpec, ports: Ports) -> Difference:
    """Compare two versions of one model.

    Raises:
        BadInput: they are of two models, or one and the same version.
        NoSuchModel: the project has no such model.
        NoSuchVersion: there is no such version.
    """
    if left.model != right.model:
        raise BadInput(
            f"{left} and {right} are versions of two models",
            instead="a diff compares two versions of one model",
            then=f"`turnout versions {left.model}` lists those of {left.model}.",
        )
    model = project.model(left.model)
    one, other = ports.registry.get(left), ports.registry.get(right)
    if one.ref == other.ref:
        names = f"{left} and {right} are both {one.ref}" if str(left) != str(right) else f"{left} was given twice"
        raise BadInput(
            names, instead="a diff compares two versions", then=f"`turnout versions {one.ref.model}` lists them."
        )
    better = directions(model.gates, (one.report, other.report))
    left_cells, right_cells = ports.registry.code_cells(one), ports.registry.code_cells(other)
    cells = compare_cells(left_cells, right_cells) if left_cells is not None and right_cells is not None else None
    return Difference(
        one,
        other,
        parameters=compare(one.parameters, other.parameters),
        metrics=_metrics(one, other, better, ports),
        gates=compare(_verdicts(one), _verdicts(other)),
        origin=compare(_origin(one), _origin(other)),
        bento=compare(_bento(one, ports), _bento(other, ports), _LESS_IS_BETTER),
        packages=_packages(one, other, ports),
        cells=cells,
        equal_cells=len(right_cells or ()) - sum(change.right is not None for change in cells or ()),
    )


def _metrics(
    one: ModelVersion, other: ModelVersion, better: Mapping[str, Literal["higher", "lower"]], ports: Ports
) -> Compared:
    """With intervals, where both validations still have their rows."""
    found = compare(one.metrics, other.metrics, better)
    if not (found.changes and one.validation_run_id and other.validation_run_id):
        return found
    try:
        left, right = (ports.registry.evidence(version.validation_run_id) for version in (one, other))
    except TurnoutError:
        return found
    return with_intervals(found, (one.ref, left), (other.ref, right))


_LESS_IS_BETTER: dict[str, Literal["higher", "lower"]] = dict.fromkeys(("size", *_NEEDS), "lower")


def _verdicts(version: ModelVersion) -> dict[str, str]:
    checks = version.report.checks if version.report else ()
    own = version.package.checks.checks if version.package and version.package.checks else ()
    return {check.name: check.verdict.value for check in (*checks, *own)}


def _origin(version: ModelVersion) -> dict[str, Any]:
    made_from = version.provenance
    revision = made_from.revision
    known = {
        "code": f"{revision.system} {revision.revision}{', with changes' if revision.dirty else ''}",
        "notebook": made_from.notebook_digest,
        "data": made_from.data_digest,
        "environment": made_from.lock_digest,
    }
    if revision.system == "none":
        del known["code"]
    return {name: value for name, value in known.items() if value}


def _bento(version: ModelVersion, ports: Ports) -> dict[str, Any]:
    package = version.package
    if package is None:
        return {}
    checks = package.checks.checks if package.checks else ()
    seen = {check.name.removeprefix("serving."): check.observed for check in checks}
    found: dict[str, Any] = {"flavour": package.flavour, "size": ports.packager.size(package) or None}
    found |= {name: seen.get(name) for name in _NEEDS}
    found |= {f"{name} code": digest for name, digest in package.service_code.items()}
    return {name: value for name, value in found.items() if value is not None}


def _packages(one: ModelVersion, other: ModelVersion, ports: Ports) -> Compared | None:
    left: Mapping[str, str] | None = ports.registry.requirements(one)
    right = ports.registry.requirements(other)
    return compare(left, right) if left is not None and right is not None else None
