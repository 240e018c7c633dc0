"""Reads `[tool.turnout]` in pyproject.toml and checks it key by key.

All mistakes are told at once, each on a line of its own: the key's path, what stands there, what is allowed, and the
nearest name where a name is not known.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field

import pipelines
from pipelines.errors import BadInput, BadProject
from pipelines.place import PROJECT_FILE, START, load, turnout_table
from pipelines.project_automation import check_order, check_timezone
from pipelines.project_ci import ci
from pipelines.project_models import read_model
from pipelines.project_monitoring import alerts, monitoring
from pipelines.project_tables import Reader, Table
from pipelines.values import Project
from pipelines.values.ci import CiSettings

_OWN_PACKAGES = ("pipelines", "ipext")


class _Turnout(Table):
    port: int = Field(3000, ge=1, le=65535, description="a whole number from 1 to 65535")
    models: dict[str, Any] = Field(default={}, description="a table of models, [tool.turnout.models.NAME]")
    timezone: str = Field("", description='the name of a time zone, such as "Europe/Berlin"')
    tag_promotions: bool = Field(default=False, description="true or false")
    monitoring: dict[str, Any] = Field(default={}, description="a table of ports, [tool.turnout.monitoring]")
    warm_kernels: bool | None = Field(None, description="true or false")
    alerts: dict[str, Any] = Field(default={}, description="a table, [tool.turnout.alerts]")
    ci: dict[str, Any] = Field(default={}, description="a table, [tool.turnout.ci]")


def read_project(root: Path) -> Project:
    """Read the project whose folder is `root`.

    Raises:
        BadProject: the file or the folder cannot be used; the message lists everything that is wrong.
    """
    root = root.resolve()
    file = root / PROJECT_FILE
    table = turnout_table(load(file))
    if table is None:
        raise BadProject(f"{file} has no table [tool.turnout]", then=START)
    reader = Reader(root)
    project = _project(reader, table)
    problems = [*_shadows(root), *reader.problems]
    if project is None or problems:
        listed = problems[0] if len(problems) == 1 else "".join(f"\n  {problem}" for problem in problems)
        raise BadProject(f"{file}: {listed}")
    return project


class Watched:
    """A project whose file may change while a process lives on.

    Args:
        project: As it was read first.
    """

    def __init__(self, project: Project) -> None:
        self._good = project
        self._seen = self._changed()

    def now(self) -> Project:
        """The project as its file has it now; as it was last good, while the file is broken."""
        changed = self._changed()
        if changed != self._seen:
            self._seen = changed
            with suppress(BadInput):
                self._good = read_project(self._good.root)
        return self._good

    def _changed(self) -> int:
        try:
            return (self._good.root / PROJECT_FILE).stat().st_mtime_ns
        except OSError:
            return 0


def _project(reader: Reader, table: Any) -> Project | None:
    key = ("tool", "turnout")
    read = reader.table(_Turnout, table, key)
    if read is None:
        return None
    models = {name: read_model(reader, name, value, (*key, "models", name)) for name, value in read.models.items()}
    sound = {name: model for name, model in models.items() if model is not None}
    watched = monitoring(reader, read.monitoring, read.port, (*key, "monitoring"))
    if len(sound) == len(models):
        check_order(reader, {name: model.automation for name, model in sound.items()}, (*key, "models"))
    zone = check_timezone(reader, read.timezone, (*key, "timezone"))
    told = alerts(reader, read.alerts, (*key, "alerts"))
    built = ci(reader, read.ci, (*key, "ci"))
    return Project(reader.root, read.port, sound, watched, read.warm_kernels, zone, read.tag_promotions, told, built)


def read_ci(text: str, root: Path) -> CiSettings:
    """What the text of a project file says of continuous integration, its notebooks perhaps not being there yet.

    Raises:
        BadProject: it is wrong; the message lists everything that is.
    """
    table = turnout_table(tomllib.loads(text)) or {}
    reader = Reader(root)
    found = ci(reader, table.get("ci", {}), ("tool", "turnout", "ci"))
    if reader.problems:
        raise BadProject(f"{root / PROJECT_FILE}: {'; '.join(reader.problems)}")
    return found


def _shadows(root: Path) -> Iterable[str]:
    """The project's own modules that carry the name of one of Turnout's packages.

    The project's folder comes first where notebooks import from, and Turnout's packages first elsewhere: one of the
    two would take the other's place. A folder without any Python file shadows nothing.
    """
    own = Path(pipelines.__file__).resolve().parent
    for name in _OWN_PACKAGES:
        for found in (root / name, root / f"{name}.py"):
            is_code = found.is_file() if found.suffix else found.is_dir() and any(found.rglob("*.py"))
            if is_code and found.resolve() != own.with_name(name):
                kind = "module" if found.suffix else "folder"
                yield f"the {kind} {found} has the name of a package of Turnout's, {own.with_name(name)}; rename yours"
