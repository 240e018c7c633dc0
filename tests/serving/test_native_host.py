"""A bento that carries its framework: a scikit-learn pipeline on mixed columns, as MLflow saved it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from pipelines.values import Field, Layout, Manifest, Signature, Task, VersionRef
from tests.serving.bentos import Server, lay_out, running_host

# MLflow says this of its own classes while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")

SIGNATURE = Signature(
    Layout.RECORDS,
    (
        Field("age", "int64"),
        Field("income", "float64", required=False),
        Field("job", "string"),
        Field("member", "bool"),
    ),
    (Field("label", "string"), Field("probabilities", "float64", (2,))),
    Task.CLASSIFICATION,
    ("no", "yes"),
)


def table() -> pd.DataFrame:
    """Sixty people, some without an income."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": random.integers(18, 80, 60),
            "income": np.where(random.random(60) < 0.2, np.nan, random.normal(40, 9, 60).round(2)),
            "job": random.choice(["skilled", "manager"], 60),
            "member": random.random(60) < 0.5,
        }
    )


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """It raises at a job that it has not seen."""
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="error"), ["job"]),
        (SimpleImputer(), ["income", "age"]),
        remainder="passthrough",
    )
    people = table()
    return make_pipeline(columns, LogisticRegression(max_iter=5000)).fit(people, np.where(people.age > 45, "yes", "no"))


@pytest.fixture(scope="module")
def host(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The pipeline's native bento, served."""
    folder = tmp_path_factory.mktemp("credit") / "src"
    manifest = Manifest(VersionRef("credit", 2), "sklearn", SIGNATURE, reason="a test wants it so")
    lay_out(folder, manifest, rows(table().head(4)))
    (folder / "model").rmdir()
    mlflow.sklearn.save_model(
        pipeline, str(folder / "model"), serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
    )
    with running_host(folder) as server:
        yield server


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The frame as records, missing values as null."""
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return found


def test_it_answers_as_the_original_does(host: Server, pipeline: Pipeline) -> None:
    """Labels and probabilities, with missing incomes, of one row and of many."""
    people = table()
    outputs = host.predict(rows(people)).json()["outputs"]
    assert [output["label"] for output in outputs] == pipeline.predict(people).tolist()
    np.testing.assert_allclose([output["probabilities"] for output in outputs], pipeline.predict_proba(people))
    alone = host.predict(rows(people.tail(1))).json()["outputs"]
    np.testing.assert_allclose(alone[0]["probabilities"], outputs[-1]["probabilities"])


def test_an_unseen_category_is_a_422_and_the_host_lives_on(host: Server) -> None:
    """The pipeline raises; the client reads its reason in one line, and the next request is answered."""
    row = rows(table().head(1))[0]
    answer = host.predict([{**row, "job": "astronaut"}])
    assert answer.status_code == 422
    assert answer.json()["error"]["type"] == "model_error"
    assert "unknown categories ['astronaut']" in answer.json()["error"]["what"]
    assert host.predict([row]).status_code == 200
    metrics = host.client.get("/metrics").text
    assert 'turnout_requests_total{model="credit",outcome="model_error",version="2"} 1.0' in metrics


def test_a_wrong_value_never_reaches_the_pipeline(host: Server) -> None:
    """The signature is checked first, as with an exported model."""
    answer = host.predict([{**rows(table().head(1))[0], "age": "old"}])
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "inputs[0].age"
