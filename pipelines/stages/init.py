"""init: begin a project that ships at once, or add to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipelines.errors import BadInput
from pipelines.policy.starting import (
    KINDS,
    LOCKS,
    PROJECT_FILE,
    SMOKE,
    check_free,
    fill,
    model_sheets,
    project_sheet,
    shared_sheets,
    turnout_of,
)
from pipelines.values import check_model_name
from pipelines.values.starting import Begun, Sheet, Wish

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
    """

    template: Callable[[str], str]
    version: Callable[[str], str | None]


def init(wish: Wish, soil: Soil, seeds: Seeds) -> Begun:
    """Write the files of a new project, or those that a project lacks.

    Args:
        wish: What was asked for, complete.
        soil: The project's folder.
        seeds: What the files are made of.

    Raises:
        BadInput: an impossible name, or a model that is there already. Nothing was written.
        Refused: a file is there that would be written. Nothing was written.
        StorageFailed: the disk is full or read-only. Nothing was written.
    """
    check_model_name(wish.name)
    if wish.framework not in KINDS:
        raise BadInput(f"there is no framework {wish.framework!r}", instead=f"it is one of {', '.join(KINDS)}")
    there = {path: soil.text(path) for path in _SHARED}
    table = fill(seeds.template("model.toml"), {"name": wish.name})
    # First the project file is looked at, last it is written: it makes a project of the others.
    project = project_sheet(there[PROJECT_FILE], wish.name, table, seeds.template("tools.toml"))
    sheets = [
        *(_seen(sheet, soil) for sheet in model_sheets(wish.name, wish.framework, seeds.template)),
        *shared_sheets(there, wish.name, wish.framework, seeds.template, seeds.version),
        project,
    ]
    check_free(sheets)
    soil.plant(sheets)
    port = (turnout_of(project.text) or {}).get("port", 3000)
    return Begun(str(soil.folder), wish.name, tuple(sheets), tuple(_notes(sheets, wish)), _commands(wish.name, port))


def _seen(sheet: Sheet, soil: Soil) -> Sheet:
    return Sheet(sheet.path, sheet.text, soil.text(sheet.path))


def _notes(sheets: list[Sheet], wish: Wish) -> list[str]:
    if any(sheet.path == "requirements.txt" for sheet in sheets):
        return []
    extra = KINDS[wish.framework].extra
    return [
        f"The project has a lock of its own: it needs turnout[{extra}], {', '.join(KINDS[wish.framework].packages)}."
    ]


def _commands(name: str, port: object) -> tuple[str, ...]:
    request = f"curl -s -H content-type:application/json -d @notebooks/{name}/request.json"
    return (
        f"turnout ship {name} --canary 100",
        f"{request} \\\n  http://127.0.0.1:{port}/{name}/predict",
    )
