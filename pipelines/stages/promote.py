"""promote: give the version under judgement the traffic, or make one the champion by hand."""

from __future__ import annotations

from typing import Any

from pipelines.errors import NoSuchVersion, Refused, TurnoutError
from pipelines.ports import Ports, Reporter
from pipelines.stages.resolve import Control, each_once, resolve
from pipelines.values import Alias, ModelVersion, Phase, Project, Verdict, VersionSpec


def is_deployed(model: str, control: Control) -> bool:
    """Whether any version of the model runs."""
    entry = control.operator.status()["models"].get(model)
    return entry is not None and entry["phase"] != Phase.EMPTY.value


def promote_running(
    target: str,
    control: Control,
    reporter: Reporter,
    *,
    is_waiting: bool = False,
    is_dry: bool = False,
) -> dict[str, Any]:
    """Give the candidate all the traffic; it is the champion when its bake is over.

    Args:
        target: The version, or the model for whichever candidate it has.
        control: What it needs.
        reporter: Told the steps.
        is_waiting: Whether to wait for another operator.
        is_dry: Whether only to say what would be done.

    Returns:
        The model's entry in the status afterwards, or the plan when the run is dry.

    Raises:
        Refused: there is no such candidate, or it is not ready.
    """
    model, at, _ = target.partition("@")
    ref = resolve(VersionSpec.parse(target), control) if at else None
    arguments = {"ref": str(ref) if ref else None, "wait": is_waiting, "dry_run": is_dry}
    return control.operator.operate("promote", model, arguments, each_once(reporter.step))


def by_hand(target: str) -> VersionSpec:
    """The version that `target` names, where nothing runs that could be the candidate.

    Raises:
        NoSuchVersion: it names a model alone.
    """
    if "@" not in target:
        raise NoSuchVersion(
            f"{target} runs no candidate that could be promoted",
            then=f"`turnout deploy {target}@N` starts one; `turnout promote {target}@N` makes a version the champion.",
        )
    return VersionSpec.parse(target)


def tag(project: Project, version: ModelVersion, ports: Ports, reporter: Reporter) -> None:
    """Mark the code that a champion was trained from, where the project wants that.

    It is done after the promotion and cannot undo it: a tag that cannot be set is said in one line.
    """
    if not project.tag_promotions:
        return
    revision = version.provenance.revision
    changed = ", with changes that were not committed" if revision.dirty else ""
    message = f"{version.ref} is the champion. It was trained from this commit{changed}."
    try:
        ports.revisions.tag(project.root, str(version.ref), revision, message)
    except TurnoutError as error:
        reporter.step(f"{version.ref} is the champion, and has no tag: {error}")


def promote(project: Project, spec: VersionSpec, ports: Ports) -> ModelVersion:
    """Move `champion` to a packaged version that passed its gates; twice is as good as once.

    Raises:
        Refused: it is not packaged, or a gate on its bento did not pass and nobody forced it.
    """
    version = promotable(project, spec, ports)
    return version if Alias.CHAMPION in version.aliases else ports.registry.set_champion(version.ref)


def promotable(project: Project, spec: VersionSpec, ports: Ports) -> ModelVersion:
    """The version that `spec` names, which is the champion or may become it; nothing is changed.

    Raises:
        Refused: as `promote` says.
    """
    project.model(spec.model)
    version = ports.registry.get(spec)
    if Alias.CHAMPION in version.aliases:
        return version
    package = version.package
    if package is None:
        raise Refused(
            f"{version.ref} is not packaged, so nothing could serve it",
            then=f"`turnout package {version.ref}` does that.",
        )
    if package.checks and package.checks.verdict is not Verdict.PASS and not package.forced:
        failed = ", ".join(check.name for check in package.checks.failed())
        raise Refused(
            f"the gates on the bento of {version.ref} say {package.checks.verdict} ({failed})",
            instead="a champion's bento has passed them",
            then=f"`turnout package {version.ref} --force --reason TEXT` overrides that, on record.",
        )
    return version
