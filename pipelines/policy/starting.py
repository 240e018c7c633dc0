"""The files of a project that begins: which they are, what stands in them, and what becomes of those there already."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pipelines.errors import BadInput, BadProject, Refused
from pipelines.policy.cells import notebook, notebook_text, read_cells
from pipelines.policy.ci import SYSTEMS, Pipeline
from pipelines.values.refs import MODEL_NAME
from pipelines.values.starting import Outcome, Sheet

LOCKS = ("requirements.lock", "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "requirements.txt")
PROJECT_FILE = "pyproject.toml"
SMOKE = "tests/smoke.py"


@dataclass(frozen=True, slots=True)
class Kind:
    """A framework that a project may begin with.

    Args:
        flavour: MLflow's name for it.
        extra: Turnout's, for what it takes.
        packages: What the notebooks import besides Turnout's own needs.
        parameter: How a parameter is replaced, as an example.
        arrays: Whether its rows are lists of numbers and not records.
    """

    flavour: str
    extra: str
    packages: tuple[str, ...]
    parameter: str
    arrays: bool = False


KINDS: Mapping[str, Kind] = {
    "sklearn": Kind("sklearn", "sklearn", ("scikit-learn",), "regularisation 10"),
    "keras": Kind("tensorflow", "tensorflow", ("keras", "tensorflow", "scikit-learn"), "epochs 20", arrays=True),
    "torch": Kind("pytorch", "torch", ("torch", "scikit-learn"), "epochs 100", arrays=True),
    "xgboost": Kind("xgboost", "xgboost", ("xgboost", "scikit-learn"), "trees 40"),
    "lightgbm": Kind("lightgbm", "lightgbm", ("lightgbm", "scikit-learn"), "trees 40"),
}
"""The frameworks by the name that a person types."""

_ROWS = (
    ("radius", 20.73, 11.27),
    ("texture", 31.12, 12.96),
    ("perimeter", 135.7, 73.16),
    ("area", 1419.0, 386.3),
    ("smoothness", 0.09469, 0.1237),
    ("compactness", 0.1143, 0.1111),
    ("concavity", 0.1367, 0.079),
    ("concave_points", 0.08646, 0.0555),
    ("symmetry", 0.1769, 0.2018),
    ("fractal_dimension", 0.05674, 0.06914),
)
"""Two held-out patients, one of each kind: what the example of a request asks about."""


def model_name(folder: str) -> str:
    """A name for the model of a folder."""
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.lower()).strip("-_")[:40].strip("-_")
    return name if MODEL_NAME.fullmatch(name) else "model"


def module_of(name: str) -> str:
    """A model's name as a part of Python names."""
    return name.replace("-", "_")


def model_sheets(name: str, framework: str, template: Callable[[str], str]) -> list[Sheet]:
    """The files that are the model's own.

    Args:
        name: The model.
        framework: One of `KINDS`.
        template: The text of one of the package's templates, by its file's name.
    """
    kind, module = KINDS[framework], f"{module_of(name)}_data"
    filled = {"name": name, "module": module, "flavour": kind.flavour, "parameter": kind.parameter}

    def text(file: str) -> str:
        return fill(template(file), filled)

    def cells(file: str) -> str:
        return notebook_text(notebook(read_cells(text(file), framework)))

    home = f"notebooks/{name}"
    return [
        Sheet(f"{home}/train.ipynb", cells("train.cells")),
        Sheet(f"{home}/validate.ipynb", cells("validate.cells")),
        Sheet(f"{home}/{module}.py", text("data.py.txt")),
        Sheet(f"{home}/request.json", _request(arrays=kind.arrays)),
        Sheet(f"tests/test_{module_of(name)}.py", text("test_model.py.txt")),
    ]


def shared_sheets(
    there: Mapping[str, str | None],
    name: str,
    framework: str,
    template: Callable[[str], str],
    version: Callable[[str], str | None],
) -> list[Sheet]:
    """The files that belong to the whole project; what is there already is kept, or added to.

    Args:
        there: What stands in them now, by path; None for one that is not there.
        name: The model.
        framework: One of `KINDS`.
        template: As `model_sheets`.
        version: The installed version of a package; None where it is not installed.
    """
    kind = KINDS[framework]
    port = str(_port(there.get(PROJECT_FILE)))
    readme = fill(template("readme.md.txt"), {"name": name, "module": f"{module_of(name)}_data", "port": port})
    return [_kept("README.md", there, readme), *surroundings(there, kind.extra, kind.packages, template, version)]


def surroundings(
    there: Mapping[str, str | None],
    extra: str,
    packages: Sequence[str],
    template: Callable[[str], str],
    version: Callable[[str], str | None],
) -> list[Sheet]:
    """What Git leaves out, the environment where there is no lock of it, and what asks a version that is deployed."""
    sheets = [ignored(there, template("gitignore.txt"))]
    if not any(there.get(lock) is not None for lock in LOCKS):
        sheets.append(Sheet("requirements.txt", requirements(extra, packages, version)))
    return [*sheets, smoke_sheet(there, template)]


def smoke_sheet(there: Mapping[str, str | None], template: Callable[[str], str]) -> Sheet:
    """What asks the version that was deployed last."""
    return _kept(SMOKE, there, template("smoke.py.txt"))


def requirements(extra: str, packages: Sequence[str], version: Callable[[str], str | None]) -> str:
    """The environment, pinned to what is installed here: the versions that a model was trained with."""

    def pinned(package: str, with_extra: str = "") -> str:
        found = version(package)
        return f"{package}{with_extra}=={found}" if found else f"{package}{with_extra}"

    lines = [pinned("turnout", f"[{extra}]"), *(pinned(one) for one in (*packages, "pytest", "ruff"))]
    return "\n".join(["# A change here makes new versions: the environment is part of each.", *lines]) + "\n"


def project_sheet(there: str | None, name: str, table: str, tools: str) -> Sheet:
    """The project file with one more model; what is in it stays, to the letter.

    Args:
        there: Its text; None where there is none yet.
        name: The model.
        table: The model's tables.
        tools: Settings of ruff and pytest, for a project that begins.

    Raises:
        BadInput: it has a model of that name.
        BadProject: it cannot be read, or cannot be added to.
    """
    if there is None:
        return Sheet(PROJECT_FILE, f"[tool.turnout]\nport = 3000\n\n{table}\n{tools}")
    turnout = turnout_of(there)
    if turnout is not None and name in turnout.get("models", {}):
        raise BadInput(
            f"the project has a model {name} already",
            instead="another one has another name",
            then="`turnout init . --name NAME` adds one; nothing was written.",
        )
    head = "" if turnout is not None else "[tool.turnout]\nport = 3000\n\n"
    text = f"{there.rstrip()}\n\n{head}{table}"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = f"a table cannot be added to {PROJECT_FILE}: {error}"
        raise BadProject(said, then=f"Write it there yourself, and call again:\n\n{table}") from error
    return Sheet(PROJECT_FILE, text, there, Outcome.ADDED)


def turnout_of(text: str | None) -> dict[str, Any] | None:
    """The table [tool.turnout] of a project file; None where it has none.

    Raises:
        BadProject: it is not TOML.
    """
    try:
        found = tomllib.loads(text or "").get("tool", {}).get("turnout")
    except tomllib.TOMLDecodeError as error:
        raise BadProject(f"{PROJECT_FILE} is not valid TOML: {error}", then="Correct that line.") from error
    return found if isinstance(found, dict) else None


def models_of(text: str | None) -> list[str]:
    """The models of a project file, each behind those that it comes after.

    Raises:
        BadProject: it is not TOML, or the models come after one another in a circle.
    """
    models = (turnout_of(text) or {}).get("models", {})
    order: TopologicalSorter[str] = TopologicalSorter()
    for name, table in models.items() if isinstance(models, dict) else ():
        after = table.get("after", ()) if isinstance(table, dict) else ()
        order.add(name, *(other for other in after if other in models))
    try:
        return list(order.static_order())
    except CycleError as error:
        raise BadProject(f"models come after one another in a circle: {', '.join(error.args[1])}") from error


def ci_sheets(systems: Sequence[str], pipeline: Pipeline) -> list[Sheet]:
    """The files of systems for continuous integration.

    Raises:
        BadInput: there is no such system.
    """
    for system in systems:
        if system not in SYSTEMS:
            raise BadInput(f"there is no system {system!r} for --ci", instead=f"it is one of {', '.join(SYSTEMS)}")
    return [Sheet(path, render(pipeline)) for path, render in (SYSTEMS[system] for system in dict.fromkeys(systems))]


def check_free(sheets: Sequence[Sheet]) -> None:
    """No file is there that would be written, unless it has just that text: an earlier call may have been killed.

    Raises:
        Refused: some are; they are named.
    """
    taken = [one.path for one in sheets if one.outcome is Outcome.NEW and one.before not in (None, one.text)]
    if taken:
        raise Refused(
            f"there {'is' if len(taken) == 1 else 'are'} {', '.join(taken)} already, and no file is overwritten",
            instead="nothing was written",
            then="Move what is there, or choose another folder or another `--name`.",
        )


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its `{{names}}` replaced."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template)


def _kept(path: str, there: Mapping[str, str | None], text: str) -> Sheet:
    before = there.get(path)
    if before is None:
        return Sheet(path, text)
    return Sheet(path, before, before, Outcome.KEPT if before != text else Outcome.NEW)


def ignored(there: Mapping[str, str | None], text: str) -> Sheet:
    """What Git leaves out: the lines of `text`, behind those that are there."""
    before = there.get(".gitignore")
    if before is None or before == text:
        return Sheet(".gitignore", text, before)
    known = {line.strip().strip("/") for line in before.splitlines()}
    missing = [line for line in text.splitlines() if line.strip("/") not in known]
    if not missing:
        return Sheet(".gitignore", before, before, Outcome.KEPT)
    gap = "" if before.endswith("\n") or not before else "\n"
    return Sheet(".gitignore", f"{before}{gap}{chr(10).join(missing)}\n", before, Outcome.ADDED)


def _request(*, arrays: bool) -> str:
    if arrays:
        lines = [", ".join(str(row[column]) for row in _ROWS) for column in (1, 2)]
        rows = ",\n".join(f"    [{line}]" for line in lines)
    else:
        records = [",\n".join(f'      "{row[0]}": {row[column]}' for row in _ROWS) for column in (1, 2)]
        rows = ",\n".join(f"    {{\n{record}\n    }}" for record in records)
    return f'{{\n  "inputs": [\n{rows}\n  ]\n}}\n'


def _port(project: str | None) -> Any:
    return (turnout_of(project) or {}).get("port", 3000)
