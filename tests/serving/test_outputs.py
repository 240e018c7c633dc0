"""Answers: a model's outputs in their fields, and as JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pipelines.errors import BadRequest
from pipelines.serving.codec import Encoder
from pipelines.serving.outputs import fit, read_outputs
from pipelines.values import Field, Layout, Manifest, Signature, VersionRef

SCORES = Field("scores", "float32", (3,))


def signature(*outputs: Field) -> Signature:
    """One with those outputs."""
    return Signature(Layout.TENSOR, (Field("x", "float32", (2,)),), outputs)


def encoded(outputs: dict[str, Any], *fields: Field) -> Any:
    """The answer's JSON."""
    return json.loads(Encoder(Manifest(VersionRef("digits", 7), "onnx", signature(*fields))).encode(outputs))


def test_one_output_is_answered_as_a_list_of_its_rows() -> None:
    """With the model's name and the version's number beside it."""
    answer = encoded({"scores": np.array([[0.25, 0.5, 0.25]], np.float32)}, SCORES)
    assert answer == {"outputs": [[0.25, 0.5, 0.25]], "model": "digits", "version": 7}


def test_several_outputs_are_answered_as_records() -> None:
    """One object a row, each value in the precision of its field."""
    outputs = {"label": np.array(["no", "yes"], object), "p": np.array([[0.1, 0.9], [0.7, 0.3]], np.float32)}
    answer = encoded(outputs, Field("label", "string"), Field("p", "float32", (2,)))
    assert answer["outputs"] == [{"label": "no", "p": [0.1, 0.9]}, {"label": "yes", "p": [0.7, 0.3]}]


def test_a_label_of_whole_numbers_is_answered_beside_others() -> None:
    """ONNX Runtime gives them as C's `long long`, another scalar type than NumPy's own of the same size."""
    outputs = {"label": np.array([1, 0], np.longlong), "p": np.array([[0.1], [0.7]], np.float32)}
    answer = encoded(outputs, Field("label", "int64"), Field("p", "float32", (1,)))
    assert answer["outputs"] == [{"label": 1, "p": [0.1]}, {"label": 0, "p": [0.7]}]


@pytest.mark.parametrize(
    ("array", "field", "rows"),
    [
        (np.array([1, 2]), Field("y", "int64"), [1, 2]),
        (np.array([True, False]), Field("y", "bool"), [True, False]),
        (np.array(["a", "b"]), Field("y", "string"), ["a", "b"]),
        (
            np.array(["2024-05-17", "1970-01-01"], "datetime64[s]"),
            Field("y", "datetime"),
            ["2024-05-17T00:00:00", "1970-01-01T00:00:00"],
        ),
        (np.array([1.5, 2.5], np.float16), Field("y", "float32"), [1.5, 2.5]),
        (np.arange(12.0).reshape(2, 6)[:, ::2], Field("y", "float64", (3,)), [[0, 2, 4], [6, 8, 10]]),
        (np.asfortranarray(np.arange(6.0).reshape(2, 3)), Field("y", "float64", (3,)), [[0, 1, 2], [3, 4, 5]]),
    ],
)
def test_every_kind_of_array_is_written(array: np.ndarray[Any, Any], field: Field, rows: list[Any]) -> None:
    """Also one that does not lie in a piece in memory."""
    assert encoded({"y": array}, field)["outputs"] == rows


def test_a_long_answer_is_written_in_pieces_and_whole() -> None:
    """Piecewise writing, of arrays and of records, loses and reorders nothing."""
    array = np.arange(3 * 40_001, dtype=np.float32).reshape(-1, 3)
    assert encoded({"scores": array}, SCORES)["outputs"] == array.tolist()
    both = encoded({"scores": array, "n": np.arange(len(array))}, SCORES, Field("n", "int64"))["outputs"]
    assert [row["n"] for row in both] == list(range(len(array)))
    assert both[-1]["scores"] == array[-1].tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_not_finite_is_none(value: float) -> None:
    """JSON has no NaN: the row is named, the status is 422 and the kind is the model's failure."""
    with pytest.raises(BadRequest, match=r"no finite answer for inputs\[1\]: its scores") as caught:
        encoded({"scores": np.array([[1, 2, 3], [1, value, 3]], np.float32)}, SCORES)
    assert (caught.value.status, caught.value.kind) == (422, "non_finite")


class Tensor:
    """As TensorFlow and PyTorch have them: something with `numpy()`."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values."""
        return np.array(self.values)


@pytest.mark.parametrize(
    ("raw", "outputs", "expected"),
    [
        ([1.0, 2.0], (Field("y", "float64"),), {"y": [1, 2]}),
        (Tensor([[1.0], [2.0]]), (Field("y", "float64"),), {"y": [1, 2]}),
        (np.array([1.0, 2.0]), (Field("y", "float64", (1,)),), {"y": [[1], [2]]}),
        ({"dense_3": Tensor([[1.0], [2.0]])}, (Field("y", "float64"),), {"y": [1, 2]}),
        ({"a": [1, 2], "b": [3, 4]}, (Field("b", "int64"), Field("a", "int64")), {"b": [3, 4], "a": [1, 2]}),
        ([Tensor([1, 2]), Tensor([3, 4])], (Field("a", "int64"), Field("b", "int64")), {"a": [1, 2], "b": [3, 4]}),
        (np.zeros((2, 1, 5, 3)), (Field("y", "float64", (None, 3)),), {"y": np.zeros((2, 5, 3)).tolist()}),
    ],
)
def test_what_a_model_returns_is_brought_into_the_fields(raw: Any, outputs: tuple[Field, ...], expected: Any) -> None:
    """Arrays, tensors, mappings and sequences; axes of length 1 come and go."""
    found = read_outputs(raw, signature(*outputs), 2)
    assert {name: array.tolist() for name, array in found.items()} == expected


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((2, 4)), r"has the shape \(2, 4\), its signature says \(2, 3\)"),
        (np.zeros((3, 3)), r"has the shape \(3, 3\), its signature says \(2, 3\)"),
        (np.zeros(6), r"has the shape \(6,\)"),
        ({"a": np.zeros(2), "b": np.zeros(2)}, "no output 'scores', but a, b"),
    ],
)
def test_another_shape_than_the_signatures_is_the_models_failure(raw: Any, message: str) -> None:
    """Numbers are never moved between rows to make a shape fit."""
    with pytest.raises(ValueError, match=message):
        read_outputs(raw, signature(SCORES), 2)


def test_a_missing_output_is_the_models_failure() -> None:
    """One array cannot stand for two outputs."""
    with pytest.raises(ValueError, match="one output, its signature names 2"):
        read_outputs(np.zeros(2), signature(SCORES, Field("y", "float32")), 2)


def test_a_single_row_does_not_swallow_an_axis() -> None:
    """With one row the batch axis is of length 1, too, and has to stay."""
    assert fit(np.zeros((1, 1)), Field("y", "float64"), 1).shape == (1,)
    assert fit(np.zeros((1, 1, 3)), SCORES, 1).shape == (1, 3)
