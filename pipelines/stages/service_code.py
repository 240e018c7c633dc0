"""service code: take a function for before or after a model from a cell's text, show it, take it away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BadInput, BadProject, PackageFailed
from pipelines.policy.service_code import check
from pipelines.ports import Ports, Reporter
from pipelines.values import (
    PREPROCESS,
    FunctionName,
    ModelConfig,
    ModelVersion,
    Project,
    ServiceFiles,
    ServiceFunction,
    Trial,
    VersionRef,
    file_name,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One function of a model, as it was and as it is now.

    Args:
        model: The model's name.
        name: Which function.
        path: Its file.
        before: What the file was; None when there was none.
        now: What it is; None when there is none. After `look` with a text it is what would be stored.
        has_rows: Whether example rows lie beside it.
        trial: How it did on real rows; None when there are none yet, or nothing was tried.
        tried_on: The version whose rows those were.
        has_model: Whether the model was in the middle: that of a version which is not packaged is not.
        is_changed: Whether a file was written or removed.
        is_checked: Whether a text was checked.
    """

    model: str
    name: FunctionName
    path: Path
    before: ServiceFunction | None
    now: ServiceFunction | None
    has_rows: bool = False
    trial: Trial | None = None
    tried_on: VersionRef | None = None
    has_model: bool = False
    is_changed: bool = False
    is_checked: bool = False


def files_of(project: Project, model: ModelConfig, ports: Ports) -> ServiceFiles:
    """The service code that the next packaged version of the model applies.

    Raises:
        BadServiceCode: a file is no text.
        BadProject: it cannot be told whose the files are.
    """
    files = ports.functions.read(model.train.parent)
    if files:
        _refuse_sharing(project, model)
    return files


def store(
    project: Project,
    model_name: str,
    name: FunctionName,
    body: str,
    ports: Ports,
    reporter: Reporter,
    *,
    rows: Path | None = None,
    is_dry: bool = False,
) -> Kept:
    """Check the text of a cell and store it beside the model's notebooks.

    It is tried out around the model of the newest packaged version, on the rows of its validation. Where none is
    packaged, what stands before the model is tried on the rows of the newest validated one. Else it is only read, and
    packaging a version tries it out.

    Args:
        project: The project.
        model_name: The model.
        name: The function.
        body: The text of the cell.
        ports: The world.
        reporter: Told what is done.
        rows: A file of example rows as clients send them, when they differ from what the model takes.
        is_dry: Only check.

    Raises:
        BadServiceCode: the text may not stand there; nothing was stored.
        BadInput, BadProject: the call was wrong.
        StorageFailed: the disk is full or read-only.
    """
    model = project.model(model_name)
    if rows is not None and name != PREPROCESS:
        raise BadInput(f"{name} has no rows of its own", instead=f"--rows belongs to %%{PREPROCESS}")
    _refuse_sharing(project, model)
    folder = model.train.parent
    files = ports.functions.read(folder)
    function = ServiceFunction.of(name, model_name, body)
    target = files.having(name, function, ports.functions.rows(rows) if rows is not None else None)
    found = _newest(model_name, ports)
    version, inputs = found or (None, None)
    package = version.package if version else None
    check(function, ports.packager.modules(package))
    trial = None
    if version is not None and inputs is not None:
        reporter.step(f"trying {name} out on the rows of {version.ref}")
        trial = _tried(version, inputs, target, ports)
    is_changed = target != files and not is_dry
    if is_changed:
        ports.functions.write(folder, target)
    return Kept(
        model_name,
        name,
        folder / file_name(name),
        before=files.get(name),
        now=function,
        has_rows=bool(target.rows) and name == PREPROCESS,
        trial=trial,
        tried_on=version.ref if version else None,
        has_model=package is not None,
        is_changed=is_changed,
        is_checked=True,
    )


def show(project: Project, model_name: str, name: FunctionName, ports: Ports) -> Kept:
    """What is stored."""
    model = project.model(model_name)
    files = ports.functions.read(model.train.parent)
    function = files.get(name)
    has_rows = bool(files.rows) and name == PREPROCESS
    return Kept(model_name, name, model.train.parent / file_name(name), function, function, has_rows)


def remove(project: Project, model_name: str, name: FunctionName, ports: Ports) -> Kept:
    """Take a function away, with its example rows; versions that are packaged keep theirs.

    Raises:
        StorageFailed: the folder cannot be written.
    """
    model = project.model(model_name)
    folder = model.train.parent
    files = ports.functions.read(folder)
    before = files.get(name)
    target = files.having(name, None, "" if name == PREPROCESS else None)
    is_changed = target != files
    if is_changed:
        _refuse_sharing(project, model)
        ports.functions.write(folder, target)
    return Kept(model_name, name, folder / file_name(name), before, None, is_changed=is_changed)


def _newest(model: str, ports: Ports) -> tuple[ModelVersion, Path] | None:
    """The newest packaged version whose bento is there, else the newest validated one; with its real rows."""
    fallback = None
    for version in ports.registry.versions(model):
        rows = ports.registry.evidence(version.validation_run_id).inputs if version.validation_run_id else None
        if rows is None:
            continue
        if version.package is None:
            fallback = fallback or (version, rows)
            continue
        try:
            ports.packager.sources(version.package)
        except PackageFailed:
            continue
        return version, rows
    return fallback


def _tried(version: ModelVersion, rows: Path, files: ServiceFiles, ports: Ports) -> Trial | None:
    if version.package is not None:
        return ports.packager.try_out(version.package, rows, files)
    trial = ports.packager.try_before(version.ref, ports.registry.local_model(version), rows, files)
    return trial if trial.rows else None


def _refuse_sharing(project: Project, model: ModelConfig) -> None:
    folder = model.train.parent
    sharing = sorted(name for name, other in project.models.items() if other.train.parent == folder)
    if len(sharing) > 1:
        raise BadProject(
            f"{' and '.join(sharing)} have their training notebooks in the same folder, {folder.name}",
            instead="a model with service code has a folder of its own, where the functions lie",
            then="Move the notebooks of one, and correct their paths in the project file.",
        )
