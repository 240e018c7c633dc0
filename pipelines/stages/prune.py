"""prune: remove old versions with their runs, bentos and executed notebooks."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.policy.retention import to_prune
from pipelines.ports import Ports, Reporter
from pipelines.values import ModelVersion, Project, VersionRef


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be.

    Args:
        versions: The versions.
        freed: Bytes freed; 0 for a dry run.
        is_dry: Whether nothing was removed yet.
    """

    versions: tuple[ModelVersion, ...]
    freed: int = 0
    is_dry: bool = True


def plan(
    project: Project, name: str | None, keep: int, ports: Ports, running: frozenset[VersionRef] = frozenset()
) -> Pruned:
    """What `prune` would remove of one model, or of all; never what is `running`."""
    names = [project.model(name).name] if name else sorted(project.models)
    return Pruned(tuple(old for each in names for old in to_prune(ports.registry.versions(each), keep, running)))


def prune(doomed: Pruned, ports: Ports, reporter: Reporter) -> Pruned:
    """Remove what `plan` found.

    The bento goes first: a version without a bento can be packaged again, a bento without a version is lost space.
    """
    freed = 0
    for version in doomed.versions:
        reporter.step(f"removing {version.ref}")
        if version.package is not None:
            freed += ports.packager.remove(version.package)
            ports.registry.record_package(version.ref, None)
            ports.catalogue.remove(version.ref)
        freed += ports.registry.delete(version.ref)
    for name in {version.ref.model for version in doomed.versions}:
        oldest = min((kept.created for kept in ports.registry.versions(name)), default=ports.clock.now())
        freed += ports.executions.prune(name, oldest)
    return Pruned(doomed.versions, freed, is_dry=False)
