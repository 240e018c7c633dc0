"""MLflow models as a training notebook logs them, with their validation rows: made in milliseconds, in a folder."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.adapters.packaging.job import WorkerJob
from pipelines.adapters.packaging.mlmodel import LoggedFolder
from pipelines.adapters.packaging.worker import carry_out
from pipelines.ports import PackageJob
from pipelines.values import Manifest, ModelVersion, VersionRef

SEED = 7


@dataclass(frozen=True)
class Logged:
    """A logged model and its validation rows."""

    model: Path
    rows: Path

    def job(self, name: str = "credit", number: int = 1, **options: Any) -> PackageJob:
        """The order to package it."""
        version = ModelVersion(VersionRef(name, number), f"run-{number}", "models:/m-1", datetime.now(UTC))
        return PackageJob(version, self.model, self.rows, **options)

    def exported(self, stage: Path, **options: Any) -> Manifest:
        """What the worker makes of it in `stage`; in this process, which imports the frameworks once for all tests."""
        stage.mkdir(exist_ok=True)
        flavour = LoggedFolder.read(self.model).flavour
        with quiet():
            job = WorkerJob(VersionRef("credit", 1), flavour, self.model, self.rows, stage, **options)
            return Manifest.from_dict(carry_out(job))


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings of the frameworks are ignored, as in the worker process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def log(
    folder: Path,
    model: Any,
    rows: Any,
    flavour: str = "sklearn",
    *,
    answers: Any = None,
    signed: bool = True,
    **options: Any,
) -> Logged:
    """Save a model with `mlflow.<flavour>.save_model` and its rows beside it.

    Args:
        folder: Where.
        model: The trained model.
        rows: A DataFrame, an array, or named arrays.
        flavour: The MLflow flavour.
        answers: For the signature; else what `model.predict` answers.
        signed: Whether the model is logged with a signature.
        options: For `save_model`.
    """
    from importlib import import_module

    with quiet():
        from mlflow.models import infer_signature

        if flavour == "sklearn":
            options.setdefault("serialization_format", "cloudpickle")
        if signed and "signature" not in options:
            answers = model.predict(rows) if answers is None else answers
            options["signature"] = infer_signature(rows, answers)
        import_module(f"mlflow.{flavour}").save_model(
            model, str(folder / "model"), pip_requirements=[flavour], **options
        )
    return Logged(folder / "model", store(folder / "rows", rows))


def store(path: Path, rows: Any) -> Path:
    """Write validation rows as a notebook does."""
    if isinstance(rows, pd.DataFrame):
        rows.to_parquet(path.with_suffix(".parquet"))
        return path.with_suffix(".parquet")
    if isinstance(rows, dict):
        np.savez(path.with_suffix(".npz"), **rows)
        return path.with_suffix(".npz")
    np.save(path.with_suffix(".npy"), rows)
    return path.with_suffix(".npy")


def warmup(stage: Path) -> list[Any]:
    """The warm-up rows the worker wrote."""
    rows: list[Any] = json.loads((stage / "warmup.json").read_text())["inputs"]
    return rows


def people(count: int = 200) -> pd.DataFrame:
    """A table of whole numbers, decimals, booleans and texts; two columns have missing values."""
    chance = np.random.default_rng(SEED)
    table = pd.DataFrame(
        {
            "age": chance.integers(18, 80, count),
            "amount": chance.normal(1000, 300, count),
            "owner": chance.random(count) > 0.5,
            "job": chance.choice(["skilled", "none", "management"], count),
            "duration": chance.normal(20, 5, count),
            "purpose": chance.choice(["car", "radio"], count),
        }
    )
    table.loc[chance.random(count) < 0.2, "duration"] = np.nan
    table.loc[chance.random(count) < 0.2, "purpose"] = None
    return table


def risk(table: pd.DataFrame) -> Any:
    """Good or bad: what the people's columns say, with some noise."""
    noise = np.random.default_rng(SEED).normal(0, 5, len(table))
    return np.where(table.age + table.amount / 50 + noise > 70, "good", "bad")


def cancer() -> tuple[pd.DataFrame, Any]:
    """569 rows of 30 decimals, two classes."""
    from sklearn import datasets

    data = datasets.load_breast_cancer(as_frame=True)
    return data.data, data.target.to_numpy()


def pipeline(estimator: Any) -> Any:
    """An estimator behind the usual preparation of mixed columns."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["age", "amount", "duration"]),
            ("truths", "passthrough", ["owner"]),
            ("texts", texts, ["job", "purpose"]),
        ]
    )
    return make_pipeline(columns, estimator)
