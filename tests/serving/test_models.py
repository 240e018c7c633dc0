"""Models behind one method: ONNX graphs, and native ones by their flavour's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import BadRequest, ServeFailed
from pipelines.serving.model import OnnxModel, load_model
from pipelines.serving.native import NativeModel, has_probabilities
from pipelines.serving.predictor import Predictor
from pipelines.values import Field, Layout, Manifest, Signature, Task, VersionRef
from tests.serving.bentos import TABLE, TENSOR, make_table_bento, make_tensor_bento

REF = VersionRef("digits", 1)


def changed(signature: Signature, **names: Any) -> Manifest:
    """A manifest of that signature, its graph names as given."""
    return Manifest(REF, "onnx", signature, tensor_names=names)


def test_a_tensor_graph_answers_by_field(tensor_bento: Path) -> None:
    """Fields are mapped to the graph's own names, both ways; probabilities sum to one."""
    model = load_model(tensor_bento, Manifest.read(tensor_bento))
    found = model.predict({"image": np.zeros((5, 4, 4, 1), np.float32)})
    assert found["scores"].shape == (5, 3)
    np.testing.assert_allclose(found["scores"], 1 / 3, rtol=1e-6)


def test_a_table_graph_takes_each_column_alone(table_bento: Path) -> None:
    """Columns of integers, floats with NaN, texts and booleans; a missing float is filled by the graph."""
    model = load_model(table_bento, Manifest.read(table_bento))
    columns = {
        "age": np.array([20, 20]),
        "income": np.array([30, np.nan], np.float32),
        "job": np.array(["skilled", "skilled"], object),
        "member": np.array([True, True]),
    }
    found = model.predict(columns)
    assert found["label"].shape == (2,)
    assert found["probabilities"][0].tolist() == found["probabilities"][1].tolist()


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (changed(TENSOR, image="picture", scores="y"), "no input 'picture'; it has x"),
        (changed(TENSOR, image="x", scores="z"), "no output 'z'; it has y"),
        (changed(TABLE), "no input 'age'; it has x"),
    ],
)
def test_a_graph_that_is_not_the_manifests_is_refused_at_the_start(
    tensor_bento: Path, manifest: Manifest, message: str
) -> None:
    """Names are compared before the first request."""
    with pytest.raises(ServeFailed, match=message):
        OnnxModel.load(tensor_bento / "model" / "model.onnx", manifest)


def test_an_input_that_nobody_feeds_is_found_at_the_start(table_bento: Path) -> None:
    """A graph that wants more than the signature names could answer no request."""
    part = Signature(Layout.RECORDS, TABLE.inputs[:3], TABLE.outputs)
    with pytest.raises(ServeFailed, match="does not name: member"):
        OnnxModel.load(table_bento / "model" / "model.onnx", changed(part))


@pytest.mark.parametrize("content", [None, b"", b"no graph"])
def test_a_broken_model_file_fails_with_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    """A missing, empty or foreign file: named, with what to do next."""
    folder = make_tensor_bento(tmp_path)
    file = folder / "model" / "model.onnx"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(ServeFailed, match=r"cannot be loaded.*turnout package digits@7"):
        load_model(folder, Manifest.read(folder))


@pytest.mark.parametrize("warmup", ["", "{}", '{"inputs": []}', '{"inputs": [[1]]}', "null"])
def test_warmup_rows_that_the_model_does_not_answer_fail_the_start(tmp_path: Path, warmup: str) -> None:
    """A version that cannot answer its own validation rows takes no traffic."""
    folder = make_tensor_bento(tmp_path)
    (folder / "warmup.json").write_text(warmup)
    with pytest.raises(ServeFailed, match="does not answer its own warm-up rows"):
        Predictor.load(folder, Manifest.read(folder))


def test_missing_warmup_rows_fail_the_start(tmp_path: Path) -> None:
    """Without real rows nothing is warm."""
    folder = make_table_bento(tmp_path)
    (folder / "warmup.json").unlink()
    with pytest.raises(ServeFailed, match="no readable warm-up rows"):
        Predictor.load(folder, Manifest.read(folder))


class Graph:
    """A session with one input of the given type, which answers with what it was handed."""

    def __init__(self, kind: str, shape: list[Any]) -> None:
        self.node = type("Node", (), {"name": "x", "type": kind, "shape": shape})()
        self.fed = np.array([])

    def get_inputs(self) -> list[Any]:
        """The only one."""
        return [self.node]

    def get_outputs(self) -> list[Any]:
        """The same."""
        return [self.node]

    def run(self, _: list[str], feeds: dict[str, Any]) -> list[Any]:
        """Keep what came, answer zeros."""
        self.fed = feeds["x"]
        return [np.zeros(len(self.fed))]


def handed(kind: str, shape: list[Any], array: np.ndarray[Any, Any], field: Field) -> np.ndarray[Any, Any]:
    """What a graph with that input gets."""
    graph = Graph(kind, shape)
    signature = Signature(Layout.RECORDS, (field,), (Field("x", "float64"),))
    OnnxModel(graph, signature, {}, "it").predict({field.name: array})
    return graph.fed


@pytest.mark.parametrize(
    ("kind", "array", "dtype", "expected"),
    [
        ("tensor(float)", np.array([1.5, 2.5]), "float64", [[1.5], [2.5]]),
        ("tensor(float)", np.array([1, 2]), "int64", [[1], [2]]),
        ("tensor(int64)", np.array([1.0, 2.0]), "int64", [[1], [2]]),
        ("tensor(float)", np.array([True, False]), "bool", [[1], [0]]),
        ("tensor(string)", np.array(["a", None], object), "string", [["a"], [""]]),
    ],
)
def test_a_column_is_handed_over_in_the_graphs_type(
    kind: str, array: np.ndarray[Any, Any], dtype: str, expected: Any
) -> None:
    """Exporters narrow and widen types; a column has one axis more in the graph."""
    fed = handed(kind, ["N", 1], array, Field("x", dtype, required=False))
    assert fed.tolist() == expected


def test_missing_numbers_and_booleans_stay_missing_as_floats() -> None:
    """NaN goes through where the graph has floats."""
    fed = handed("tensor(float)", ["N", 1], np.array([True, None], object), Field("x", "bool", required=False))
    np.testing.assert_array_equal(fed, [[1], [np.nan]])


@pytest.mark.parametrize(
    ("kind", "array", "message"),
    [
        ("tensor(int64)", np.array([1.0, np.nan]), r"inputs\[1\].x is missing"),
        ("tensor(bool)", np.array([True, None], object), r"inputs\[1\].x is missing"),
        ("tensor(float)", np.array([1.0, 1e300]), r"inputs\[1\].x is too large"),
    ],
)
def test_what_the_graphs_type_cannot_hold_is_refused(kind: str, array: np.ndarray[Any, Any], message: str) -> None:
    """A value is never silently another one."""
    with pytest.raises(BadRequest, match=message) as caught:
        handed(kind, ["N", 1], array, Field("x", "float64", required=False))
    assert caught.value.status == 422


def test_dates_do_not_go_into_a_graph() -> None:
    """ONNX has no dates: found at the start."""
    with pytest.raises(ServeFailed, match="cannot take dates"):
        handed("tensor(int64)", ["N", 1], np.array([0]), Field("x", "datetime"))


class Classifier:
    """A scikit-learn classifier, as far as serving looks."""

    classes_ = ("a", "b")

    def __init__(self) -> None:
        self.seen: Any = None

    def predict(self, given: Any) -> Any:
        """The second class."""
        self.seen = given
        return np.array(["b"] * len(given))

    def predict_proba(self, given: Any) -> Any:
        """Surely the second class."""
        return np.array([[0.0, 1.0]] * len(given))


def test_a_native_classifier_answers_label_and_probabilities() -> None:
    """The label is the model's own, not the top probability."""
    model = Classifier()
    assert has_probabilities(model, Task.CLASSIFICATION)
    assert not has_probabilities(object(), Task.CLASSIFICATION)
    outputs = (Field("label", "string"), Field("probabilities", "float64", (2,)))
    signature = Signature(Layout.TENSOR, (Field("x", "float64", (2,)),), outputs, Task.CLASSIFICATION, ("a", "b"))
    found = NativeModel.wrap(model, "sklearn", signature).predict({"x": np.zeros((2, 2))})
    assert found["label"].tolist() == ["b", "b"]
    assert found["probabilities"].tolist() == [[0, 1], [0, 1]]


def test_a_native_table_is_a_frame_with_the_training_types() -> None:
    """Missing texts are NaN, as in a file that pandas reads; dates are nanoseconds; columns keep their order."""
    fields = (
        Field("n", "int32"),
        Field("gap", "int64", required=False),
        Field("text", "string", required=False),
        Field("flag", "bool", required=False),
        Field("day", "datetime", required=False),
    )
    model = Classifier()
    signature = Signature(Layout.RECORDS, fields, (Field("label", "string"),))
    NativeModel.wrap(model, "sklearn", signature).predict(
        {
            "n": np.array([1, 2], np.int32),
            "gap": np.array([1.0, np.nan]),
            "text": np.array(["a", None], object),
            "flag": np.array([True, None], object),
            "day": np.array(["2024-05-17", "NaT"], "datetime64[us]"),
        }
    )
    frame = model.seen
    assert list(frame.columns) == ["n", "gap", "text", "flag", "day"]
    assert str(frame["day"].dtype) == "datetime64[ns]"
    assert frame.isna().to_numpy().tolist() == [[False] * 5, [False, True, True, True, True]]
    assert not any(value is None for value in frame["text"])


def test_an_unknown_flavour_is_a_python_function_and_runs_in_one_thread() -> None:
    """Its whole numbers stay whole when none is missing, since MLflow checks them; nobody knows what it shares."""

    class Doubling:
        def predict(self, frame: Any) -> Any:
            assert str(frame["n"].dtype) == "int64"
            return frame["n"] * 2

    signature = Signature(Layout.RECORDS, (Field("n", "int64", required=False),), (Field("prediction", "int64"),))
    model = NativeModel.wrap(Doubling(), "spark", signature)
    assert not model.takes_threads
    assert model.predict({"n": np.array([1.0, 2.0])})["prediction"].tolist() == [2, 4]


def test_a_keras_model_with_several_inputs_gets_a_dictionary() -> None:
    """Small batches go through the call, which is cheap; large ones through `predict`, which bounds the memory."""

    class Adding:
        def __call__(self, given: Any, *, training: bool) -> Any:
            assert not training
            return given["a"] + given["b"]

        def predict(self, given: Any, *, batch_size: int, verbose: int) -> Any:
            assert (batch_size, verbose) == (256, 0)
            return given["a"] + given["b"] + 1

    fields = (Field("a", "float32", (2,)), Field("b", "float32", (2,)))
    signature = Signature(Layout.RECORDS, fields, (Field("sum", "float32", (2,)),))
    model = NativeModel.wrap(Adding(), "keras", signature)
    small, large = np.ones((2, 2), np.float32), np.ones((257, 2), np.float32)
    assert model.predict({"a": small, "b": small})["sum"].tolist() == [[2, 2], [2, 2]]
    assert model.predict({"a": large, "b": large})["sum"][0].tolist() == [3, 3]
