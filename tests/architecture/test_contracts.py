"""The import contracts: they hold for every package there is, and the architecture's page shows them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
APART = {"serving"}
"""What a bento carries a copy of stands beside the layers."""


def contracts() -> dict[str, Any]:
    """Those of the project file, by their sentence."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return {one["name"]: one for one in tomllib.load(file)["tool"]["importlinter"]["contracts"]}


def layers() -> list[list[str]]:
    """The rows, the highest first; without the name of the package that all but one are in."""
    rows = contracts()["Imports point down only"]["layers"]
    return [[name.removeprefix("pipelines.") for name in row.split(" | ")] for row in rows]


def modules(names: list[str]) -> set[str]:
    """Without that name."""
    return {name.removeprefix("pipelines.") for name in names}


def every_module() -> set[str]:
    """All that can be imported below `pipelines`, and the extension."""
    found = {path.stem for path in (ROOT / "pipelines").glob("*.py")} - {"__init__"}
    return found | {path.parent.name for path in (ROOT / "pipelines").glob("*/__init__.py")} | {"ipext"}


def test_every_module_has_a_layer() -> None:
    """A new package without one would be checked by nobody."""
    assert {name for row in layers() for name in row} == every_module() - APART


def test_what_runs_in_a_bento_may_import_nothing_else() -> None:
    """The sentence speaks of all but errors and values, and so does the contract."""
    contract = contracts()["What runs inside a bento stands on errors and values alone"]
    assert modules(contract["source_modules"]) == APART
    assert modules(contract["forbidden_modules"]) == every_module() - APART - {"errors", "values"}


def test_nobody_but_adapters_and_bentos_may_know_the_frameworks() -> None:
    """Who is not named in the contract could import them unseen."""
    contract = contracts()["Only adapters know papermill, MLflow, BentoML and the exporters"]
    assert modules(contract["source_modules"]) == every_module() - APART - {"adapters"}


def test_the_architectures_page_shows_the_layers() -> None:
    """Row by row, as they are checked."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (drawn,) = re.findall(r"^```\n(ipext\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [row.split(" | ") for row in drawn.splitlines()] == layers()


def test_the_architectures_page_says_what_each_room_is_for() -> None:
    """Each has a row of the table; what reads the project file shares one."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = modules(re.findall(r"`(pipelines\.\w+|ipext)`", "".join(re.findall(r"^\|.*?\|", page, re.MULTILINE))))
    assert {name for name in every_module() if not name.startswith("project_")} <= told
