"""Versions in MLflow's registry, for tests of it."""

from __future__ import annotations

from pathlib import Path

from pipelines.adapters.mlflow_registry import MlflowRegistry
from pipelines.ports import RunFacts
from pipelines.values import ModelVersion, Provenance
from tests.adapters.mlflow_runs import log_run
from tests.fakes import FakeRun


def trained(registry: MlflowRegistry, tag: str = "tag", experiment: str = "") -> RunFacts:
    """A run that logged a model."""
    log_run(registry.environment(tag), FakeRun({"accuracy": 0.9}), experiment)
    return registry.runs(tag)[-1]


def registered(registry: MlflowRegistry, tag: str = "tag", experiment: str = "") -> ModelVersion:
    """A version."""
    run = trained(registry, tag, experiment)
    return registry.register("digits", run, run.models[0], {"epochs": 8}, Provenance("n"))


def files_below(folder: Path) -> set[str]:
    """All files, by their path in the folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
