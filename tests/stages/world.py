"""A project of one model in a world of fakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.errors import TurnoutError
from pipelines.ports import NotebookJob, Ports
from pipelines.stages.package import package
from pipelines.stages.promote import promote
from pipelines.stages.train import Trained, train
from pipelines.stages.validate import Validated, validate
from pipelines.values import (
    Comparison,
    Gates,
    ModelConfig,
    Parameter,
    Project,
    ServingGates,
    Threshold,
    VersionRef,
    VersionSpec,
)
from tests.fakes import FakeDigests, FakeNotebook, FakePackager, FakeReporter, FakeRun, FakeRunner, fake_ports

ROWS = 400


def predictions(accuracy: float) -> dict[str, np.ndarray]:
    """A table of a binary classifier with just that accuracy, wrong on its first rows."""
    label = np.arange(ROWS) % 2
    wrong = np.arange(ROWS) < round((1 - accuracy) * ROWS)
    return {"label": label, "prediction": np.where(wrong, 1 - label, label)}


@dataclass
class World:
    """What a test changes and looks at.

    Args:
        folder: A temporary folder.
        accuracy: Of the versions by model URI as they are validated; 0.95 where nothing is said.
        models: What the training notebook logs.
        failure: How the training notebook ends.
    """

    folder: Path
    accuracy: dict[int, float] = field(default_factory=dict)
    models: Sequence[str] = ("model",)
    failure: TurnoutError | None = None
    gates: Gates = Gates((Threshold("accuracy", min=0.9),), (Comparison("accuracy", margin=0.02),), ServingGates())
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    logged_model: str | None = None
    has_rows: bool = True
    declares: Mapping[str, Parameter] = field(default_factory=lambda: {"model_uri": ""})
    packager: FakePackager = field(default_factory=FakePackager)
    digests: FakeDigests = field(default_factory=FakeDigests)
    reporter: FakeReporter = field(default_factory=FakeReporter)

    def __post_init__(self) -> None:
        self.rows = self.folder / "inputs.npy"
        self.ports: Ports = fake_ports(self.folder, {}, packager=self.packager, digests=self.digests)
        self.refresh()

    def refresh(self) -> None:
        """Write the notebooks anew, after a field was changed."""
        notebooks = {
            "train.ipynb": FakeNotebook(
                {"epochs": 8, "rate": 0.1, "fast": False, "name": "cnn"},
                runs=[FakeRun({"loss": 0.2}, models=self.models)],
                failure=self.failure,
            ),
            "validate.ipynb": FakeNotebook(self.declares, runs=self._validation),
        }
        self.runner.notebooks.clear()
        self.runner.notebooks.update(notebooks)

    @property
    def runner(self) -> FakeRunner:
        """The fake runner."""
        assert isinstance(self.ports.runner, FakeRunner)
        return self.ports.runner

    @property
    def project(self) -> Project:
        """The project as it is configured now."""
        model = ModelConfig(
            "digits",
            self.folder / "train.ipynb",
            self.folder / "validate.ipynb",
            parameters=self.parameters,
            logged_model=self.logged_model,
            gates=self.gates,
        )
        return Project(self.folder, models={"digits": model})

    def ran(self) -> list[str]:
        """The names of the notebooks that ran, in order."""
        return [job.notebook.name for job in self.runner.jobs]

    def train(self, **texts: str) -> Trained:
        """Train a version."""
        return train(self.project, "digits", texts, self.ports, self.reporter)

    def validate(self, number: int, *, reuse: bool = False) -> Validated:
        """Judge a version."""
        return validate(self.project, VersionSpec("digits", number), self.ports, self.reporter, reuse=reuse)

    def champion(self) -> VersionRef:
        """Train, validate, package and promote a version."""
        ref = self.train().version.ref
        self.validate(ref.number)
        spec = VersionSpec("digits", ref.number)
        package(self.project, spec, self.ports, self.reporter)
        return promote(self.project, spec, self.ports).ref

    def _validation(self, job: NotebookJob) -> list[FakeRun]:
        uri = job.parameters["model_uri"]
        number = max(each.ref.number for each in self.ports.registry.versions("digits") if each.model_uri == uri)
        table = predictions(self.accuracy.get(number, 0.95))
        seen = float((table["label"] == table["prediction"]).mean())
        return [FakeRun({"accuracy": seen}, (), table, self.rows if self.has_rows else None)]
