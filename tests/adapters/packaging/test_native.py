"""Models that travel as they are, since no export of them exists or none is proved equal, each with its reason."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import ensemble, linear_model
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

from pipelines.values import Field
from tests.adapters.packaging.logged import cancer, log, people, pipeline, quiet, risk, warmup

PEOPLE = people()
RISK = risk(PEOPLE)


class Parity(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of somebody's own, which no converter knows."""

    def fit(self, rows: Any, labels: Any) -> Parity:
        """Learn the classes."""
        del rows
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows: Any) -> Any:
        """The class of an even or odd age."""
        return self.classes_[np.asarray(rows.age) % 2]

    def predict_proba(self, rows: Any) -> Any:
        """All or nothing."""
        return np.eye(2)[np.asarray(rows.age) % 2]


class Endless(Parity):
    """Its converter never ends."""

    def onnx_parser(self) -> Any:
        """Where skl2onnx asks for the names of the outputs."""
        while True:
            signal.pause()


def test_an_estimator_without_a_converter_stays_native_and_is_named(tmp_path: Path) -> None:
    """The reason is what a person needs to know: which estimator, and who does not know it."""
    manifest = log(tmp_path, Parity().fit(PEOPLE, RISK), PEOPLE).exported(tmp_path / "stage")

    assert manifest.flavour == "sklearn"
    assert manifest.reason == "skl2onnx has no converter for Parity"
    assert manifest.parity is None
    assert not (tmp_path / "stage" / "model" / "model.onnx").exists()


def days(rows: pd.DataFrame) -> Any:
    """Days since new year, as one column."""
    return (rows[["since"]] - pd.Timestamp("2024-01-01")).apply(lambda column: column.dt.days).to_numpy().astype(float)


def test_dates_stay_native_and_the_column_is_named(tmp_path: Path) -> None:
    """ONNX has no dates; the native model takes them, and the warm-up writes them as ISO 8601."""
    rows = PEOPLE.assign(since=pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(PEOPLE)), unit="D"))
    model = make_pipeline(FunctionTransformer(days), linear_model.LogisticRegression()).fit(rows, RISK)
    manifest = log(tmp_path, model, rows).exported(tmp_path / "stage")

    assert (manifest.flavour, manifest.reason) == ("sklearn", "ONNX has no dates, and 'since' is one")
    assert Field("since", "datetime") in manifest.signature.inputs
    assert warmup(tmp_path / "stage")[0]["since"] == "2024-01-01T00:00:00"


def test_an_export_that_differs_is_not_used(tmp_path: Path) -> None:
    """skl2onnx ignores the code that OrdinalEncoder gives a gap: the proof notices, and says how far off it is."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-50)
    columns = ColumnTransformer([("t", encoder, ["job", "purpose"])], remainder="passthrough")
    rows = PEOPLE[["age", "job", "purpose"]]
    model = make_pipeline(columns, linear_model.LogisticRegression(max_iter=5000)).fit(rows, RISK)
    manifest = log(tmp_path, model, rows).exported(tmp_path / "stage")

    gaps = int(PEOPLE.purpose.isna().sum())
    assert manifest.flavour == "sklearn"
    said = re.fullmatch(r"the exported model's 'probabilities' differs by [\d.]+ on (\d+) of 200 rows", manifest.reason)
    assert said
    assert 0 < int(said[1]) <= gaps
    assert not (tmp_path / "stage" / "model" / "model.onnx").exists()


def test_a_forest_on_gaps_stays_native(tmp_path: Path) -> None:
    """skl2onnx forgets on which side of a split a forest sends gaps, and once searched for ever for their threshold."""
    inputs, labels = cancer()
    gaps = inputs.mask(np.random.default_rng(0).random(inputs.shape) < 0.1)
    model = ensemble.RandomForestClassifier(20, random_state=0).fit(gaps, labels)
    assert any(np.isinf(tree.tree_.threshold).any() for tree in model.estimators_)
    manifest = log(tmp_path, model, gaps).exported(tmp_path / "stage")

    assert manifest.flavour == "sklearn"
    assert "differs by" in manifest.reason


def test_a_gap_that_no_validation_row_has_is_proved_too(tmp_path: Path) -> None:
    """A client may leave out an optional column although the validation rows never do: native when the export errs."""
    inputs, labels = cancer()
    gaps = inputs.mask(np.random.default_rng(0).random(inputs.shape) < 0.1)
    model = ensemble.RandomForestClassifier(20, random_state=0).fit(gaps, labels)
    with quiet():
        from mlflow.models import infer_signature

        signature = infer_signature(gaps, labels)
    complete = inputs.iloc[:100]
    manifest = log(tmp_path, model, complete, signature=signature).exported(tmp_path / "stage")

    assert manifest.flavour == "sklearn"
    assert re.search(r"differs by [\d.]+ on \d+ of 16 rows where '.*' is missing$", manifest.reason)


def test_an_export_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    """The reason says how long it was given."""
    model = Endless().fit(PEOPLE, RISK)
    manifest = log(tmp_path, model, PEOPLE).exported(tmp_path / "stage", export_seconds=0.5)

    assert (manifest.flavour, manifest.reason) == ("sklearn", "the export had not ended after 0.5 seconds")


def test_a_python_function_stays_native(tmp_path: Path) -> None:
    """A model of MLflow's pyfunc flavour alone has no exporter; it is served as it is."""
    with quiet():
        import mlflow

        class Double(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
            def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
                del context, params
                return model_input["age"] * 2

        signature = mlflow.models.infer_signature(PEOPLE[["age"]], PEOPLE["age"] * 2)
        mlflow.pyfunc.save_model(
            str(tmp_path / "model"), python_model=Double(), signature=signature, pip_requirements=["pandas"]
        )
    from tests.adapters.packaging.logged import Logged, store

    manifest = Logged(tmp_path / "model", store(tmp_path / "rows", PEOPLE[["age"]])).exported(tmp_path / "stage")

    assert manifest.flavour == "python_function"
    assert manifest.reason == "there is no exporter for the MLflow flavour python_function"
    assert manifest.signature.outputs[0].dtype == "int64"


def test_native_when_asked_for_says_so(tmp_path: Path) -> None:
    """--native tries no export, however well it would go."""
    model = pipeline(linear_model.LogisticRegression(max_iter=2000)).fit(PEOPLE, RISK)
    manifest = log(tmp_path, model, PEOPLE).exported(tmp_path / "stage", native="asked for with --native")

    assert (manifest.flavour, manifest.reason) == ("sklearn", "asked for with --native")
    assert manifest.signature.outputs[1] == Field("probabilities", "float64", (2,))


def test_an_input_that_is_called_like_an_output_stays_native(tmp_path: Path) -> None:
    """ONNX cannot tell a column `label` from the answer `label`."""
    rows = PEOPLE[["age"]].rename(columns={"age": "label"})
    model = linear_model.LogisticRegression().fit(rows, RISK)
    manifest = log(tmp_path, model, rows).exported(tmp_path / "stage")

    assert manifest.flavour == "sklearn"
    assert manifest.reason == "the input 'label' has the name of an output, which ONNX cannot tell apart"
