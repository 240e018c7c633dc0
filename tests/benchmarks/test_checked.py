"""The bare function that Turnout's hot path is compared with really makes the same checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.contenders import bare, checked
from pipelines.serving.hotpath import HotPath
from pipelines.serving.replica import Replica
from pipelines.values import Field, Layout, Manifest, Signature, Task, VersionRef
from tests.serving.asgi import Answer, answered
from tests.serving.bentos import lay_out

IMAGE = np.random.default_rng(3).integers(0, 17, (8, 8, 1)).astype(float).tolist()
JSON = {"content-type": "application/json"}
REQUESTS: dict[str, tuple[Any, dict[str, str], dict[str, str]]] = {
    "one image": ({"inputs": [IMAGE]}, JSON, {}),
    "three images": ({"inputs": [IMAGE] * 3}, JSON, {}),
    "a charset": ({"inputs": [IMAGE]}, {"content-type": "application/json; charset=utf-8"}, {}),
    "no content type": ({"inputs": [IMAGE]}, {}, {}),
    "an id of the client's": ({"inputs": [IMAGE]}, {**JSON, "x-request-id": "abc"}, {}),
    "no row": ({"inputs": []}, JSON, {}),
    "no list": ({"inputs": 3}, JSON, {}),
    "another key": ({"rows": [IMAGE]}, JSON, {}),
    "one key too many": ({"inputs": [IMAGE], "more": 1}, JSON, {}),
    "no object": ([IMAGE], JSON, {}),
    "broken JSON": (b'{"inputs": [', JSON, {}),
    "an empty body": (b"", JSON, {}),
    "a flat row": ({"inputs": [[0.0] * 64]}, JSON, {}),
    "a ragged row": ({"inputs": [[*IMAGE[:7], IMAGE[7][:3]]]}, JSON, {}),
    "a text": ({"inputs": [[[["a"]] * 8] * 8]}, JSON, {}),
    "a null": ({"inputs": [[[[None]] * 8] * 8]}, JSON, {}),
    "a boolean": ({"inputs": [[[[True]] + [[0.5]] * 7, *IMAGE[1:]]]}, JSON, {}),
    "beyond float32": ({"inputs": [[[[1e300]] + [[0.5]] * 7, *IMAGE[1:]]]}, JSON, {}),
    "NaN": (b'{"inputs": [[[[NaN]]]]}', JSON, {}),
    "a form": ({"inputs": [IMAGE]}, {"content-type": "multipart/form-data"}, {}),
    "a compressed body": ({"inputs": [IMAGE]}, {**JSON, "content-encoding": "gzip"}, {}),
    "too long": ({"inputs": [IMAGE]}, {**JSON, "content-length": str(10**9)}, {}),
    "another method": (b"", {}, {"method": "PUT"}),
}
WRONG = list(REQUESTS)[5:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bento of the digits' shape: images of (8, 8, 1) in, ten numbers out."""
    signature = Signature(
        Layout.TENSOR, (Field("x", "float32", (8, 8, 1)),), (Field("y", "float32", (10,)),), Task.CLASSIFICATION
    )
    made = lay_out(tmp_path_factory.mktemp("bento"), Manifest(VersionRef("digits", 1), "onnx", signature), [IMAGE])
    weights = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["flat"], axis=1), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8, 8, 1])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, [numpy_helper.from_array(weights, "w")])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        made / "model" / "model.onnx",
    )
    return made


def _both(folder: Path, request: tuple[Any, dict[str, str], dict[str, str]]) -> tuple[Answer, Answer]:
    replica = Replica.of(folder)
    replica.load()
    body, headers, options = request
    ours = answered(HotPath(_nothing, replica), body, headers, **options)
    theirs = answered(checked.application(str(folder / "model" / "model.onnx")), body, headers, **options)
    return ours, theirs


async def _nothing(*_: Any) -> None:
    raise AssertionError("the request was passed on")


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")  # the refusal says it as well
@pytest.mark.parametrize("name", REQUESTS)
def test_both_answer_with_the_same_status(folder: Path, name: str) -> None:
    """Whatever the hot path refuses the function refuses with the same status, and the reverse."""
    ours, theirs = _both(folder, REQUESTS[name])
    assert theirs.status == ours.status
    assert (ours.status != 200) == (name in WRONG)


@pytest.mark.parametrize("name", [name for name in REQUESTS if name not in WRONG])
def test_both_give_the_same_answer(folder: Path, name: str) -> None:
    """A good request gets the same bytes and the same kinds of headers."""
    ours, theirs = _both(folder, REQUESTS[name])
    assert theirs.body == ours.body
    assert set(theirs.headers) == set(ours.headers)
    assert theirs.headers["x-model-version"] == ours.headers["x-model-version"] == "digits@1"


def test_both_keep_the_id_of_the_client(folder: Path) -> None:
    """The header comes back as it was sent."""
    ours, theirs = _both(folder, REQUESTS["an id of the client's"])
    assert theirs.headers["x-request-id"] == ours.headers["x-request-id"] == "abc"


def test_the_bare_limit_predicts_the_same_and_checks_nothing(folder: Path) -> None:
    """The limit is one: the same outputs, and an unknown key passes."""
    app = bare.application(str(folder / "model" / "model.onnx"))
    ours, _ = _both(folder, REQUESTS["three images"])
    answer = answered(app, {"inputs": [IMAGE] * 3, "more": 1})
    assert answer.json["outputs"] == ours.json["outputs"]
