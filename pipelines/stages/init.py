"""init: begin a project that ships at once, or add to one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pipelines.errors import BadInput
from pipelines.policy.adopted import adopt
from pipelines.policy.ci import pipeline_of
from pipelines.policy.starting import (
    KINDS,
    LOCKS,
    PROJECT_FILE,
    SMOKE,
    check_free,
    ci_sheets,
    fill,
    ignored,
    model_sheets,
    models_of,
    project_sheet,
    shared_sheets,
    smoke_sheet,
    surroundings,
    turnout_of,
)
from pipelines.values import check_model_name
from pipelines.values.ci import CiSettings
from pipelines.values.starting import Begun, Outcome, Sheet, Wish

_LEFT_OUT = ".turnout/\n.venv/\nreports/\n"
"""What a pipeline makes beside the code; unless Git leaves it out, each version would count as one of changed code."""
_SHARED = (PROJECT_FILE, "README.md", ".gitignore", SMOKE, *LOCKS)


class Soil(Protocol):
    """A folder that becomes a project, or is one."""

    folder: Path

    def text(self, path: str) -> str | None:
        """What stands in a file; None where there is none."""

    def plant(self, sheets: Sequence[Sheet]) -> None:
        """Write all of them, or none.

        Raises:
            StorageFailed: the disk is full or read-only.
            Refused: a file is in the way.
        """


@dataclass(frozen=True, slots=True)
class Seeds:
    """What a project is made of.

    Args:
        template: The text of one of the package's templates, by its file's name.
        version: The installed version of a package; None where it is not installed.
        settings: What the text of a project file says of continuous integration; the folder is for messages.
        notebook: A person's own notebook, by its path as it was typed: the whole path, and what is in it.
        brings: The package that brings a module; None where none is installed.
    """

    template: Callable[[str], str]
    version: Callable[[str], str | None]
    settings: Callable[[str, Path], CiSettings]
    notebook: Callable[[str], tuple[Path, Mapping[str, Any]]]
    brings: Callable[[str], str | None]


def wants_model(wish: Wish, soil: Soil) -> bool:
    """Whether a model is to be made, and not only files for continuous integration in a project that has models."""
    wanted = wish.name or wish.framework or wish.source or not wish.systems
    return bool(wanted or not models_of(soil.text(PROJECT_FILE)))


def init(wish: Wish, soil: Soil, seeds: Seeds) -> Begun:
    """Write the files of a new project, or those that a project lacks.

    Args:
        wish: What was asked for: with a name a model is made, of a framework or of a notebook.
        soil: The project's folder.
        seeds: What the files are made of.

    Raises:
        BadInput: an impossible name, or a model that is there already. Nothing was written.
        Refused: a file is there that would be written. Nothing was written.
        StorageFailed: the disk is full or read-only. Nothing was written.
    """
    there = {path: soil.text(path) for path in _SHARED}
    project = there[PROJECT_FILE] or ""
    planned = _Planned()
    if wish.name:
        check_model_name(wish.name)
        planned = _adopted(wish, there, soil, seeds) if wish.source else _fresh(wish, there, seeds)
        project = planned.sheets[-1].text
    sheets = planned.sheets
    # The project file comes last: it makes a project of the others.
    settings = seeds.settings(project, soil.folder) if wish.systems else None
    if settings is not None:
        sheets = [*_ci(wish, project, there, settings, seeds, sheets), *sheets]
    sheets = [sheet if sheet.before is not None else replace(sheet, before=soil.text(sheet.path)) for sheet in sheets]
    check_free(sheets)
    soil.plant(sheets)
    notes = (*planned.notes, *_notes(sheets, wish, there, planned.needed, settings))
    port = (turnout_of(project) or {}).get("port", 3000)
    commands = _commands(wish.name, port, planned.request) if wish.name else ()
    told = tuple(replace(sheet, outcome=Outcome.KEPT) if sheet.before == sheet.text else sheet for sheet in sheets)
    return Begun(str(soil.folder), wish.name, told, notes, commands, planned.additions)


@dataclass(frozen=True, slots=True)
class _Planned:
    """A model's files, the project file last; what it needs to be installed, and an example of a request."""

    sheets: list[Sheet] = field(default_factory=list)
    needed: tuple[str, ...] = ()
    request: str = ""
    notes: tuple[str, ...] = ()
    additions: tuple[tuple[str, str], ...] = ()


def _fresh(wish: Wish, there: Mapping[str, str | None], seeds: Seeds) -> _Planned:
    """A model on data that comes with scikit-learn."""
    if wish.framework not in KINDS:
        raise BadInput(f"there is no framework {wish.framework!r}", instead=f"it is one of {', '.join(KINDS)}")
    kind = KINDS[wish.framework]
    table = fill(seeds.template("model.toml"), {"name": wish.name})
    sheets = [
        *model_sheets(wish.name, wish.framework, seeds.template),
        *shared_sheets(there, wish.name, wish.framework, seeds.template, seeds.version),
        project_sheet(there[PROJECT_FILE], wish.name, table, seeds.template("tools.toml")),
    ]
    return _Planned(sheets, (f"turnout[{kind.extra}]", *kind.packages), f"notebooks/{wish.name}/request.json")


def _adopted(wish: Wish, there: Mapping[str, str | None], soil: Soil, seeds: Seeds) -> _Planned:
    """A model of a notebook that is there."""
    source, content = seeds.notebook(wish.source)
    is_inside = source.is_relative_to(soil.folder)
    path = source.relative_to(soil.folder).as_posix() if is_inside else source.name
    made = adopt(wish.name, path, content, seeds.template, is_inside=is_inside)
    packages = sorted(filter(None, {seeds.brings(name) for name in made.imports - {"mlflow"}}))
    sheets = [
        *made.sheets,
        *surroundings(there, made.extra, packages, seeds.template, seeds.version),
        project_sheet(there[PROJECT_FILE], wish.name, made.table, seeds.template("own_tools.toml")),
    ]
    request = f".turnout/bentoml/bentos/{wish.name}/1/src/warmup.json"
    return _Planned(sheets, (f"turnout[{made.extra}]", *packages), request, made.notes, made.additions)


def _ci(
    wish: Wish,
    project: str,
    there: Mapping[str, str | None],
    settings: CiSettings,
    seeds: Seeds,
    planned: Sequence[Sheet],
) -> list[Sheet]:
    files = {path for path, text in there.items() if text is not None} | {sheet.path for sheet in planned}
    lock = next((path for path in LOCKS if path in files), "requirements.txt")
    sheets = ci_sheets(wish.systems, pipeline_of(settings, models_of(project), lock))
    if SMOKE in settings.smoke and SMOKE not in files:
        sheets.append(smoke_sheet(there, seeds.template))
    left_out = ignored(there, _LEFT_OUT)
    if left_out.outcome is not Outcome.KEPT and not wish.name:
        sheets.append(left_out)
    return sheets


def _notes(
    sheets: Sequence[Sheet],
    wish: Wish,
    there: Mapping[str, str | None],
    needed: Sequence[str],
    settings: CiSettings | None,
) -> Iterator[str]:
    written = {sheet.path for sheet in sheets}
    if wish.name and "requirements.txt" not in written:
        yield f"The project has a lock of its own, which stays as it is. The model needs {', '.join(needed)}."
    if wish.systems:
        yield "The deployment runs on a machine of your own, beside the daemon: the comments in the file say how."
    lacks = there["requirements.txt"] is None and "requirements.txt" not in written
    if settings is not None and lacks and settings.install == CiSettings().install:
        yield "There is no requirements.txt: set `install` in [tool.turnout.ci], and write the file anew."


def _commands(name: str, port: object, request: str) -> tuple[str, ...]:
    asked = f"curl -s -H content-type:application/json -d @{request}"
    return (
        f"turnout ship {name} --canary 100",
        f"{asked} \\\n  http://127.0.0.1:{port}/{name}/predict",
    )
