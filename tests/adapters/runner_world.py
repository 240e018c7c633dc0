"""Project folders with the test notebooks, each with a runner."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pipelines.adapters.papermill_runner import PapermillRunner
from pipelines.errors import (
    KernelDied,
    NotebookFailed,
    NotebookRaised,
    NotebookTimeout,
)
from pipelines.ports import CellProgress, NotebookJob, NotebookRunner
from pipelines.values import Parameter
from tests.adapters.nurseries import warm_kernels
from tests.fakes import FakeNotebook, FakeRegistry, FakeRunner

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
DEFAULTS: Mapping[str, Parameter] = {
    "count": 3,
    "rate": 0.5,
    "name": "plain",
    "is_fast": True,
    "offset": -1,
    "limit": 10,
}
FAILURES: Mapping[str, type[NotebookFailed]] = {
    "raises.ipynb": NotebookRaised,
    "never_ends.ipynb": NotebookTimeout,
    "kills_kernel.ipynb": KernelDied,
    "leaves_early.ipynb": NotebookRaised,
}


@dataclass
class World:
    """A project folder with the test notebooks, and a runner.

    Args:
        root: The folder.
        runner: The runner.
        seen: The progress it reported.
        is_ordinary: Whether the kernel may be an ordinary one where a warm one was asked for.
    """

    root: Path
    runner: NotebookRunner
    seen: list[CellProgress] = field(default_factory=list)
    is_ordinary: bool = False

    @property
    def output(self) -> Path:
        """Where executed notebooks go."""
        return self.root / ".turnout" / "runs" / "out.ipynb"

    def job(self, name: str, parameters: Mapping[str, Parameter] | None = None, **facts: Any) -> NotebookJob:
        """A job for one of the test notebooks."""
        facts.setdefault("cell_timeout_seconds", 2.0 if name == "never_ends.ipynb" else 60.0)
        return NotebookJob(self.root / "nb" / name, self.output, self.root, parameters or {}, **facts)

    def run(self, name: str, parameters: Mapping[str, Parameter] | None = None, **facts: Any) -> float:
        """Run it."""
        return self.runner.run(self.job(name, parameters, **facts), self.seen.append)

    def executed(self) -> dict[str, Any]:
        """The executed notebook."""
        return dict(json.loads(self.output.read_text(encoding="utf-8")))

    def outputs(self) -> list[dict[str, Any]]:
        """All outputs in it."""
        return [output for cell in self.executed()["cells"] for output in cell.get("outputs", [])]

    def left(self) -> list[str]:
        """What lies beside the executed notebook."""
        return sorted(path.name for path in self.output.parent.iterdir()) if self.output.parent.exists() else []


def copied(tmp_path: Path) -> Path:
    """A folder whose `nb` holds all test notebooks."""
    for kind in ("bad", "odd"):
        shutil.copytree(NOTEBOOKS / kind, tmp_path / "nb", dirs_exist_ok=True)
    return tmp_path


def papermill(tmp_path: Path) -> World:
    """The real runner."""
    return World(copied(tmp_path), PapermillRunner())


def warm(tmp_path: Path) -> World:
    """The real runner with warm kernels."""
    return World(copied(tmp_path), PapermillRunner(warm_kernels(tmp_path)))


def fake(tmp_path: Path) -> World:
    """The fake, scripted to do what the test notebooks do."""
    notebooks = {name: FakeNotebook(cells=("a", "b"), failure=kind("as scripted")) for name, kind in FAILURES.items()}
    notebooks["parameters.ipynb"] = FakeNotebook({**DEFAULTS, "nothing": None, "several": None}, cells=("Show",))
    return World(copied(tmp_path), FakeRunner(FakeRegistry(tmp_path / "registry"), notebooks))


def is_kernel(process: psutil.Process) -> bool:
    """Whether it is a living kernel."""
    try:
        return "ipykernel_launcher" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def has_ended(pid: int) -> bool:
    """Whether the process no longer runs."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def write_notebook(path: Path, sources: list[str]) -> None:
    """A notebook of code cells."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for n, text in enumerate(sources)
    ]
    whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(whole), encoding="utf-8")
