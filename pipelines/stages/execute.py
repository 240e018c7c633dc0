"""Run one notebook under a tag of its own, and find what it logged."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import BadProject, NotebookFailed
from pipelines.ports import Attempt, NotebookJob, Ports, Reporter, RunFacts
from pipelines.values import ModelConfig, Parameter, Project


@dataclass(frozen=True, slots=True)
class Execution:
    """A notebook that ran to its end.

    Args:
        runs: The MLflow runs it started, the oldest first.
        notebook: The executed notebook.
        seconds: How long it took.
    """

    runs: tuple[RunFacts, ...]
    notebook: Path
    seconds: float


def execute(
    project: Project,
    model: ModelConfig,
    verb: str,
    parameters: Mapping[str, Parameter],
    ports: Ports,
    reporter: Reporter,
    *,
    key: str = "",
    resume: bool = False,
) -> Execution:
    """Run the model's notebook for `verb` (`train` or `validate`).

    The executed notebook is kept, and attached to each run it started, whether it succeeded or failed. Whoever has
    recorded the outcome calls `ports.executions.settle`.

    Args:
        project: The project.
        model: The model.
        verb: Which notebook.
        parameters: What is injected.
        ports: The world.
        reporter: Who watches.
        key: Digest of all it depends on.
        resume: Whether an execution with that key counts that came to its end, in a process that ended before the
            outcome was recorded.

    Raises:
        NotebookFailed: as NotebookRunner.run says.
        BadParameter: likewise.
    """
    done = ports.executions.finished(model.name, verb, key) if resume and key else None
    if done is not None:
        attempt, seconds = done
        runs = _attach(ports, attempt.tag, attempt.notebook, verb)
        if runs:
            reporter.step(f"{attempt.notebook.name} had come to its end and is not run again")
            return Execution(tuple(runs), attempt.notebook, seconds)
    # Digests, not a counter: two processes must never share a tag.
    tag = f"{model.name}-{verb}-{secrets.token_hex(8)}"
    notebook = model.train if verb == "train" else model.validate
    job = NotebookJob(
        notebook=notebook,
        output=ports.executions.place(model.name, verb),
        root=project.root,
        parameters=parameters,
        environment=ports.registry.environment(tag),
        cell_timeout_seconds=model.cell_timeout_minutes * 60,
    )
    ports.executions.begin(Attempt(model.name, verb, key, tag, job.output))
    try:
        seconds = ports.runner.run(job, reporter.cell)
    except NotebookFailed:
        ports.executions.settle(model.name, verb, key)
        _attach(ports, tag, job.output, verb)
        raise
    return Execution(tuple(_attach(ports, tag, job.output, verb)), job.output, seconds)


def key_of(**facts: Any) -> str:
    """SHA-256 of facts that are JSON values, in whatever order they are given."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _attach(ports: Ports, tag: str, notebook: Path, verb: str) -> list[RunFacts]:
    runs = ports.registry.runs(tag)
    for run in runs:
        if notebook.exists():
            ports.registry.attach(run.run_id, notebook, f"notebooks/{verb}")
    return runs


def declared(ports: Ports, notebook: Path, needed: str = "") -> dict[str, Parameter]:
    """The notebook's parameters with their defaults.

    Raises:
        BadProject: `needed` is not among them.
    """
    defaults = ports.runner.defaults(notebook)
    if needed and needed not in defaults:
        raise BadProject(
            f"{notebook} declares no parameter {needed}",
            instead=f"its cell tagged `parameters` must assign {needed}",
            then="docs/notebooks.md shows the contract of the two notebooks.",
        )
    return defaults
