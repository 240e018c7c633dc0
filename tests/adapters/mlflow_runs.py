"""Runs and models written with MLflow's own client, as a notebook would, but in a moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from pipelines.adapters.mlflow_registry.client import open_client, quiet
from tests.fakes import FakeRun


def log_run(environment: dict[str, str], run: FakeRun, experiment: str = "") -> str:
    """Write `run` into the store that `environment` names, with the tags it asks for; return its id."""
    import json

    with quiet():
        client = open_client(environment["MLFLOW_TRACKING_URI"])
        where = _experiment(client, experiment) if experiment else "0"
        run_id = str(client.create_run(where, tags=json.loads(environment["MLFLOW_RUN_CONTEXT"])).info.run_id)
        for name, value in run.metrics.items():
            client.log_metric(run_id, name, value)
        for name, text in run.parameters.items():
            client.log_param(run_id, name, text)
        for model in run.models:
            _log_model(client, where, run_id, model)
        for file in _files(run):
            client.log_artifact(run_id, str(file), "validation")
        client.set_terminated(run_id)
    return run_id


def _experiment(client: Any, name: str) -> str:
    known = client.get_experiment_by_name(name)
    return str(known.experiment_id if known else client.create_experiment(name))


def _log_model(client: Any, experiment: str, run_id: str, name: str) -> None:
    model = client.create_logged_model(experiment, name=name, source_run_id=run_id)
    with TemporaryDirectory() as folder:
        (Path(folder) / "MLmodel").write_text("flavors: {}\n")
        (Path(folder) / "weights.bin").write_bytes(bytes(1000))
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, "READY")


def _files(run: FakeRun) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        if run.predictions:
            table = Path(folder) / "predictions.parquet"
            pd.DataFrame({name: np.asarray(values) for name, values in run.predictions.items()}).to_parquet(table)
            yield table
    if run.inputs is not None:
        yield run.inputs
