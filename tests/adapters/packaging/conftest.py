"""A project with one packaged model, made once for all tests that only look at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from pipelines.adapters.packaging import BentoPackager
from pipelines.values import PackageRecord
from tests.adapters.packaging.logged import Logged, log, people, pipeline, risk


@dataclass(frozen=True)
class Project:
    """A project's packager, its logged model, and the bento made of it."""

    state: Path
    packager: BentoPackager
    model: Any
    logged: Logged
    record: PackageRecord
    steps: list[str]


@pytest.fixture(scope="session")
def credit(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """`credit@1`, a pipeline on mixed columns, packaged in `.turnout` of a project elsewhere."""
    folder = tmp_path_factory.mktemp("project")
    model = pipeline(LogisticRegression(max_iter=2000)).fit(people(), risk(people()))
    logged = log(folder, model, people())
    state = folder / ".turnout"
    steps: list[str] = []
    packager = BentoPackager(state, folder)
    record = packager.package(logged.job(), steps.append)
    return Project(state, packager, model, logged, record, steps)
