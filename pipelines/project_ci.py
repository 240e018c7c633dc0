"""Reads `[tool.turnout.ci]`: what a project says of its continuous integration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from pipelines.project_tables import Key, Reader, Table
from pipelines.values.ci import CiSettings

_OWN = CiSettings()
_LINE = r"[^\r\n]*\S[^\r\n]*"
_COMMANDS = "a list of shell commands of one line each"
Command = Annotated[str, Field(pattern=f"^{_LINE}$")]


class _Ci(Table):
    install: Command = Field(_OWN.install, description="a shell command of one line")
    check: list[Command] = Field(list(_OWN.check), description=_COMMANDS)
    test: list[Command] = Field(list(_OWN.test), description=_COMMANDS)
    smoke: Command = Field(_OWN.smoke, description="a shell command of one line, with MODEL for the model's name")
    bin: str = Field(_OWN.bin, pattern=r"^[\w./-]*$", description='a folder, such as ".venv/bin", or ""')
    branch: str = Field(_OWN.branch, pattern=r"^[\w./-]+$", description="the name of a branch")
    canary: int = Field(_OWN.canary, ge=1, le=100, description="a whole number from 1 to 100, in percent")
    runner: str = Field(_OWN.runner, pattern=r"^[\w./-]+$", description="the label of a runner")
    python: str = Field(_OWN.python, pattern=r"^3\.\d+$", description='a version of Python, such as "3.11"')
    minutes: int = Field(_OWN.minutes, ge=1, le=360, description="a whole number from 1 to 360")


def ci(reader: Reader, table: Any, key: Key) -> CiSettings:
    """What the table says.

    Args:
        reader: Who collects what is wrong.
        table: As the file has it.
        key: Where it stands.
    """
    read = reader.table(_Ci, table, key)
    if read is None:
        return CiSettings()
    return CiSettings(**{name: _fixed(value) for name, value in read.model_dump().items()})


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
