"""Where a project is and which models it names: what a command in a hurry needs to know of it.

`pipelines.project` reads and checks all of it, and takes half a second for that.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import BadProject, NoProject, NoSuchModel

PROJECT_FILE = "pyproject.toml"
START = """`turnout init .` begins one here. By hand, add this to it:

    [tool.turnout.models.digits]
    train = "notebooks/digits/train.ipynb"
    validate = "notebooks/digits/validate.ipynb"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A project's folder and the names of its models.

    Args:
        root: The folder, absolute.
        models: The models' names.
        port: The gateway's port, as it is written: nothing is checked here.
    """

    root: Path
    models: tuple[str, ...]
    port: Any = 3000

    @classmethod
    def of(cls, start: Path) -> Place:
        """The project around `start`.

        Raises:
            BadProject: there is none, or its file cannot be read.
        """
        root = find_project(start)
        table = turnout_table(load(root / PROJECT_FILE))
        models = table.get("models") if isinstance(table, Mapping) else None
        port = table.get("port", 3000) if isinstance(table, Mapping) else 3000
        return cls(root, tuple(sorted(models)) if isinstance(models, Mapping) else (), port)

    @property
    def state(self) -> Path:
        """Where all state lives."""
        return self.root / ".turnout"

    def check(self, model: str) -> str:
        """Return the name of a model of the project.

        Raises:
            NoSuchModel: it has none of that name; the message names those there are.
        """
        if model in self.models:
            return model
        raise NoSuchModel(
            f"the project has no model {model!r}",
            instead=f"it has {', '.join(self.models) or 'none yet'}",
            then=f"A table [tool.turnout.models.{model}] in {self.root / PROJECT_FILE} adds one.",
        )


def find_project(start: Path) -> Path:
    """The nearest folder, from `start` upwards, whose pyproject.toml has a table [tool.turnout].

    Raises:
        NoProject: there is none.
        BadProject: a file on the way cannot be read.
    """
    start = start.resolve()
    seen: Path | None = None
    for folder in (start, *start.parents):
        file = folder / PROJECT_FILE
        if file.is_file():
            if turnout_table(load(file)) is not None:
                return folder
            seen = seen or file
    if seen:
        raise NoProject(f"{seen} has no table [tool.turnout]", then=START)
    raise NoProject(f"{start} lies in no project: no {PROJECT_FILE} here or above", then=START)


def load(file: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        BadProject: it cannot be read.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadProject(f"{file} does not exist", then=START) from error
    except OSError as error:
        raise BadProject(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadProject(f"{file} is not UTF-8 text (line {line})", then="Save it in that encoding.") from error
    except tomllib.TOMLDecodeError as error:
        raise BadProject(f"{file} is not valid TOML: {error}", then="Correct that line.") from error


def turnout_table(document: Mapping[str, Any]) -> Any:
    """The table [tool.turnout], whatever it is; None when there is none."""
    tool = document.get("tool")
    return tool.get("turnout") if isinstance(tool, dict) else None
