"""A store of MLflow, made once and copied for each test: making one takes two seconds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.adapters.mlflow_registry import MlflowRegistry


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a project whose registry was just opened for the first time."""
    state = tmp_path_factory.mktemp("template") / ".turnout"
    MlflowRegistry(state).environment("template")
    return state


@pytest.fixture
def state(mlflow_template: Path, tmp_path: Path) -> Path:
    """A fresh store in a state folder of the test's own."""
    return Path(shutil.copytree(mlflow_template, tmp_path / "project" / ".turnout"))


@pytest.fixture
def nothing_beside(tmp_path: Path) -> Iterator[None]:
    """No test leaves MLflow's own litter in the folder it runs in."""
    before = set(Path.cwd().iterdir())
    yield
    assert {path.name for path in set(Path.cwd().iterdir()) - before} & {"mlruns", "mlflow.db", "mlartifacts"} == set()
    assert tmp_path
