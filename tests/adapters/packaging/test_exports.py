"""Models of every kind that is logged: exported to ONNX and proved equal on real rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets, ensemble, linear_model, neighbors, svm
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipelines.serving.model import load_model
from pipelines.values import Field, Layout, Manifest, Task
from tests.adapters.packaging.logged import cancer, log, people, pipeline, quiet, risk, warmup

TOLERANCE = 1e-4
PEOPLE = people()
RISK = risk(PEOPLE)


def diabetes() -> tuple[pd.DataFrame, Any]:
    """442 rows of 10 decimals, a number to predict."""
    data = datasets.load_diabetes(as_frame=True)
    return data.data, data.target.to_numpy()


def digits() -> tuple[Any, Any]:
    """600 rows of one vector of 64 numbers, ten classes."""
    data = datasets.load_digits()
    return data.data[:600], data.target[:600]


def answer(stage: Path, manifest: Manifest, rows: Any) -> dict[str, Any]:
    """What the exported model answers for a table or an array."""
    fields = manifest.signature.inputs
    if isinstance(rows, pd.DataFrame):
        arrays = {field.name: rows[field.name].to_numpy() for field in fields}
        arrays = {
            name: np.where(pd.isna(col), None, col) if col.dtype == object else col for name, col in arrays.items()
        }
    else:
        arrays = {fields[0].name: rows}
    return load_model(stage, manifest).predict(arrays)


MIXED = {
    "logistic regression": lambda: linear_model.LogisticRegression(max_iter=2000),
    "random forest": lambda: ensemble.RandomForestClassifier(50, random_state=0),
    "gradient boosting": lambda: ensemble.GradientBoostingClassifier(random_state=0),
    "histogram boosting": lambda: ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "nearest neighbours": neighbors.KNeighborsClassifier,
    "voting": lambda: ensemble.VotingClassifier(
        [("a", linear_model.LogisticRegression(max_iter=2000)), ("b", ensemble.ExtraTreesClassifier(5))], voting="soft"
    ),
}


@pytest.mark.parametrize("kind", MIXED)
def test_a_pipeline_on_mixed_columns_is_exported(kind: str, tmp_path: Path) -> None:
    """Whole numbers, decimals, booleans, texts and columns with gaps: the export gives the original's probabilities."""
    with quiet():
        model = pipeline(MIXED[kind]()).fit(PEOPLE, RISK)
    manifest = log(tmp_path, model, PEOPLE).exported(tmp_path / "stage")

    assert (manifest.flavour, manifest.reason) == ("onnx", "")
    assert manifest.parity is not None
    assert manifest.parity.rows == len(PEOPLE)
    assert manifest.parity.max_abs_diff < TOLERANCE
    assert manifest.parity.agreement == 1.0
    found = answer(tmp_path / "stage", manifest, PEOPLE)
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(PEOPLE), atol=TOLERANCE)
    assert found["label"].tolist() == model.predict(PEOPLE).tolist()


def test_the_signature_of_a_mixed_table_names_types_gaps_and_classes(tmp_path: Path) -> None:
    """Columns keep MLflow's types; those with missing values are optional; classes stand in the order of columns."""
    manifest = log(tmp_path, pipeline(MIXED["logistic regression"]()).fit(PEOPLE, RISK), PEOPLE).exported(
        tmp_path / "stage"
    )

    assert manifest.signature.layout is Layout.RECORDS
    assert manifest.signature.inputs == (
        Field("age", "int64"),
        Field("amount", "float32"),
        Field("owner", "bool"),
        Field("job", "string"),
        Field("duration", "float32", required=False),
        Field("purpose", "string", required=False),
    )
    assert manifest.signature.outputs == (Field("label", "string"), Field("probabilities", "float32", (2,)))
    assert manifest.signature.task is Task.CLASSIFICATION
    assert manifest.signature.classes == ("bad", "good")


def test_warmup_rows_are_real_rows_with_null_for_a_gap(tmp_path: Path) -> None:
    """The warm-up is written as a request is: up to 16 records, missing values as null, types as JSON has them."""
    log(tmp_path, pipeline(MIXED["logistic regression"]()).fit(PEOPLE, RISK), PEOPLE).exported(tmp_path / "stage")

    rows = warmup(tmp_path / "stage")
    assert len(rows) == 16
    assert rows[0]["age"] == int(PEOPLE.age[0])
    assert rows[0]["owner"] is bool(PEOPLE.owner[0])
    assert any(row["duration"] is None for row in rows)
    assert any(row["purpose"] is None for row in rows)
    assert {type(row["age"]) for row in rows} == {int}


def test_a_whole_number_column_with_gaps_is_exported(tmp_path: Path) -> None:
    """Gaps make a column of whole numbers optional; the graph takes NaN there."""
    gaps = PEOPLE.assign(age=PEOPLE.age.astype("Int64").mask(PEOPLE.index % 7 == 0))
    floats = gaps.assign(age=gaps.age.astype(float))
    model = pipeline(linear_model.LogisticRegression(max_iter=2000)).fit(floats, RISK)
    with quiet():
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

        columns = {"age": "long", "amount": "double", "owner": "boolean", "job": "string"}
        columns |= {"duration": "double", "purpose": "string"}
        signature = ModelSignature(Schema([ColSpec(kind, name) for name, kind in columns.items()]))
    manifest = log(tmp_path, model, gaps, signature=signature).exported(tmp_path / "stage")

    assert manifest.flavour == "onnx"
    assert manifest.signature.inputs[0] == Field("age", "int64", required=False)
    assert None in [row["age"] for row in warmup(tmp_path / "stage")]


CLASSIFIERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "forest": ("sklearn", lambda: ensemble.RandomForestClassifier(20, random_state=0)),
    "histograms": ("sklearn", lambda: ensemble.HistGradientBoostingClassifier(max_iter=10)),
    "xgboost": ("xgboost", lambda: __import__("xgboost").XGBClassifier(n_estimators=10)),
    "lightgbm": ("lightgbm", lambda: __import__("lightgbm").LGBMClassifier(n_estimators=10, verbose=-1)),
}


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (kind, rows)
        for kind in CLASSIFIERS
        for rows in ("table", "table with gaps", "tensor", "ten classes")
        if (kind, rows) != ("forest", "table with gaps")  # a test of its own
    ],
)
def test_a_classifier_is_exported_from_tables_and_tensors(kind: str, rows: str, tmp_path: Path) -> None:
    """Label and probabilities come out, of two classes and of ten, from columns, columns with gaps and one array."""
    flavour, make = CLASSIFIERS[kind]
    inputs, labels = digits() if rows == "ten classes" else cancer()
    if rows == "table with gaps":
        inputs = inputs.mask(np.random.default_rng(0).random(inputs.shape) < 0.1)
    if rows == "tensor":
        inputs = inputs.to_numpy()
    with quiet():
        model = make().fit(inputs, labels)
    manifest = log(tmp_path, model, inputs, flavour).exported(tmp_path / "stage")

    assert (manifest.flavour, manifest.reason) == ("onnx", "")
    assert [field.name for field in manifest.signature.outputs] == ["label", "probabilities"]
    assert manifest.signature.classes == tuple(range(10 if rows == "ten classes" else 2))
    assert manifest.signature.layout is (Layout.TENSOR if isinstance(inputs, np.ndarray) else Layout.RECORDS)
    with quiet():
        expected = model.predict_proba(inputs)
    found = answer(tmp_path / "stage", manifest, inputs)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [1.0, 2.0], [-1, 1]])
def test_labels_keep_their_type(labels: list[Any], tmp_path: Path) -> None:
    """Texts, booleans, decimals and whole numbers come back as what the model was taught."""
    inputs, target = cancer()
    taught = np.array(labels)[target]
    with quiet():
        model = make_pipeline(StandardScaler(), linear_model.LogisticRegression()).fit(inputs, taught)
    manifest = log(tmp_path, model, inputs).exported(tmp_path / "stage")

    assert manifest.flavour == "onnx"
    assert manifest.signature.classes == tuple(labels)
    assert answer(tmp_path / "stage", manifest, inputs)["label"].tolist() == model.predict(inputs).tolist()


@pytest.mark.parametrize("kind", ["LinearSVC", "SVC", "RidgeClassifier"])
def test_a_classifier_without_probabilities_answers_its_label(kind: str, tmp_path: Path) -> None:
    """Where there are no probabilities, the label alone is the answer."""
    estimator = {
        "LinearSVC": svm.LinearSVC(),
        "SVC": svm.SVC(),
        "RidgeClassifier": linear_model.RidgeClassifier(),
    }[kind]
    model = pipeline(estimator).fit(PEOPLE, RISK)
    manifest = log(tmp_path, model, PEOPLE).exported(tmp_path / "stage")

    assert manifest.flavour == "onnx"
    assert manifest.signature.outputs == (Field("label", "string"),)
    assert manifest.parity is not None
    assert manifest.parity.agreement == 1.0


REGRESSORS: dict[str, tuple[str, Callable[[], Any]]] = {
    "linear": ("sklearn", linear_model.LinearRegression),
    "forest": ("sklearn", lambda: ensemble.RandomForestRegressor(10, random_state=0)),
    "histograms": ("sklearn", lambda: ensemble.HistGradientBoostingRegressor(max_iter=10)),
    "xgboost": ("xgboost", lambda: __import__("xgboost").XGBRegressor(n_estimators=10)),
    "lightgbm": ("lightgbm", lambda: __import__("lightgbm").LGBMRegressor(n_estimators=10, verbose=-1)),
}


@pytest.mark.parametrize("kind", REGRESSORS)
def test_a_regression_answers_one_number_a_row(kind: str, tmp_path: Path) -> None:
    """The field is called `prediction` and is a scalar."""
    flavour, make = REGRESSORS[kind]
    inputs, target = diabetes()
    with quiet():
        model = make().fit(inputs, target)
        expected = model.predict(inputs)
    manifest = log(tmp_path, model, inputs, flavour).exported(tmp_path / "stage")

    assert manifest.flavour == "onnx"
    assert manifest.signature.task is Task.REGRESSION
    assert manifest.signature.outputs == (Field("prediction", "float32"),)
    np.testing.assert_allclose(answer(tmp_path / "stage", manifest, inputs)["prediction"], expected, rtol=TOLERANCE)


def boosters() -> dict[str, tuple[str, Any, Any, Any]]:
    """Boosters without a scikit-learn wrapper: flavour, booster, rows and the booster's own answers."""
    import lightgbm
    import xgboost

    (binary, two), (vectors, ten), (numbers, target) = cancer(), digits(), diabetes()
    quiet_gbm = {"verbose": -1}
    made = {}
    for name, rows, labels, theirs, ours in (
        ("binary", binary, two, "binary:logistic", "binary"),
        ("ten classes", vectors, ten, "multi:softprob", "multiclass"),
        ("regression", numbers, target, "reg:squarederror", "regression"),
    ):
        classes = {"num_class": 10} if name == "ten classes" else {}
        matrix = xgboost.DMatrix(rows, labels)
        booster = xgboost.train({"objective": theirs, **classes}, matrix, 10)
        made[f"xgboost {name}"] = ("xgboost", booster, rows, booster.predict(matrix))
        booster = lightgbm.train({"objective": ours, **classes, **quiet_gbm}, lightgbm.Dataset(rows, labels), 10)
        made[f"lightgbm {name}"] = ("lightgbm", booster, rows, booster.predict(rows))
    return made


def test_boosters_without_a_wrapper_are_exported(tmp_path: Path) -> None:
    """A booster answers what its own `predict` does: one number, or the probabilities of each class."""
    with quiet():
        made = boosters()
    for number, (name, (flavour, booster, rows, expected)) in enumerate(made.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        manifest = log(folder, booster, rows, flavour, answers=expected).exported(folder / "stage")

        assert (manifest.flavour, manifest.reason) == ("onnx", ""), name
        (found,) = answer(folder / "stage", manifest, rows).values()
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


PIPELINES: dict[str, tuple[list[str], Callable[[], Any]]] = {
    "a column nobody looks at": (
        ["age", "job"],
        lambda: make_pipeline(ColumnTransformer([("n", StandardScaler(), ["age"])]), linear_model.LogisticRegression()),
    ),
    "gaps as a category": (
        ["age", "job", "purpose"],
        lambda: make_pipeline(
            ColumnTransformer([("t", OneHotEncoder(), ["job", "purpose"])], remainder="passthrough"),
            linear_model.LogisticRegression(max_iter=5000),
        ),
    ),
    "texts alone": (["job"], lambda: make_pipeline(OneHotEncoder(), linear_model.LogisticRegression())),
    "words": (
        ["job"],
        lambda: make_pipeline(ColumnTransformer([("w", TfidfVectorizer(), "job")]), linear_model.LogisticRegression()),
    ),
    "a search": (
        list(PEOPLE.columns),
        lambda: GridSearchCV(
            pipeline(linear_model.LogisticRegression(max_iter=2000)), {"logisticregression__C": [0.1, 1.0]}, cv=2
        ),
    ),
    "xgboost in a pipeline": (
        list(PEOPLE.columns),
        lambda: pipeline(__import__("xgboost").XGBClassifier(n_estimators=10)),
    ),
    "lightgbm in a pipeline": (
        list(PEOPLE.columns),
        lambda: pipeline(__import__("lightgbm").LGBMClassifier(n_estimators=10, verbose=-1)),
    ),
}


@pytest.mark.parametrize("kind", PIPELINES)
def test_pipelines_of_other_shapes_are_exported(kind: str, tmp_path: Path) -> None:
    """Unused columns, categories for gaps, texts alone, words, a grid search and boosters as a last step."""
    columns, make = PIPELINES[kind]
    rows, labels = PEOPLE[columns], (RISK == "good").astype(int)
    with quiet():
        model = make().fit(rows, labels)
        expected = model.predict_proba(rows)
    manifest = log(tmp_path, model, rows).exported(tmp_path / "stage")

    assert (manifest.flavour, manifest.reason) == ("onnx", "")
    assert [field.name for field in manifest.signature.inputs] == columns
    np.testing.assert_allclose(answer(tmp_path / "stage", manifest, rows)["probabilities"], expected, atol=TOLERANCE)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_model_without_a_signature_takes_it_from_the_rows(suffix: str, tmp_path: Path) -> None:
    """Names, types and gaps are then those of the validation rows."""
    model = pipeline(linear_model.LogisticRegression(max_iter=2000)).fit(PEOPLE, RISK)
    logged = log(tmp_path, model, PEOPLE, signed=False)
    if suffix == "csv":
        rows = tmp_path / "rows.csv"
        PEOPLE.to_csv(rows, index=False)
        logged = type(logged)(logged.model, rows)
    manifest = logged.exported(tmp_path / "stage")

    assert manifest.flavour == "onnx"
    kinds = {field.name: (field.dtype, field.required) for field in manifest.signature.inputs}
    assert kinds["age"] == ("int64", True)
    assert kinds["owner"] == ("bool", True)
    assert kinds["duration"] == ("float32", False)
    assert kinds["purpose"] == ("string", False)


def test_several_numbers_a_row_are_one_vector(tmp_path: Path) -> None:
    """A regression of two numbers answers a vector of two."""
    inputs, target = diabetes()
    model = linear_model.LinearRegression().fit(inputs, np.c_[target, target * 2])
    manifest = log(tmp_path, model, inputs).exported(tmp_path / "stage")

    assert manifest.flavour == "onnx"
    assert manifest.signature.outputs == (Field("prediction", "float32", (2,)),)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    """The bento's digest rests on it: converters name by counters, and here one process exports twice."""
    with quiet():
        model = pipeline(ensemble.GradientBoostingClassifier(random_state=0)).fit(PEOPLE, RISK)
    logged = log(tmp_path, model, PEOPLE)
    first, second = logged.exported(tmp_path / "one"), logged.exported(tmp_path / "two")

    assert first == second
    files = [tmp_path / stage / "model" / "model.onnx" for stage in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert (tmp_path / "one" / "warmup.json").read_bytes() == (tmp_path / "two" / "warmup.json").read_bytes()
