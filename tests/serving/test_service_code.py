"""Functions before and after the model: what they get, what they may return, and what a client sees when they fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import BadRequest, ServeFailed, ServiceCodeFailed
from pipelines.serving.hotpath import HotPath
from pipelines.serving.predictor import Predictor
from pipelines.serving.replica import Replica
from pipelines.serving.service_code import arrange, slots
from pipelines.values import CODE_FOLDER, Field, Layout, Manifest, Signature, Task
from tests.serving.asgi import answered
from tests.serving.bentos import (
    TABLE,
    TABLE_ROWS,
    TENSOR,
    Server,
    bentoml_client,
    make_table_bento,
    make_tensor_bento,
    running_bentoml,
    running_host,
    tensor_rows,
)
from tests.serving.coded import add_code

PIXELS = replace(TENSOR, inputs=(Field("image", "int64", (4, 4)),), outputs=(Field("digit", "string"),))
PIXELS = replace(PIXELS, task=Task.OTHER)
SCALE = """import numpy as np

def preprocess(inputs):
    if inputs.max() > 255:
        raise ValueError("a secret pixel: " + str(inputs.max()))
    return (inputs / 255).astype("float32")[..., np.newaxis]
"""
NAME = """NAMES = ["zero", "one", "two"]

def postprocess(outputs):
    return [NAMES[top] for top in outputs.argmax(axis=1)]
"""
EURO = replace(
    TABLE,
    inputs=(Field("born", "int64"), *TABLE.inputs[1:]),
    outputs=(Field("label", "string"), Field("sure", "bool"), Field("yes", "float64")),
    task=Task.OTHER,
    classes=(),
)
AGE = """def preprocess(inputs):
    columns = dict(inputs)
    columns["age"] = 2026 - columns.pop("born")
    return columns
"""
SURE = """def postprocess(outputs):
    yes = outputs["probabilities"][:, 1]
    return {"label": outputs["label"], "sure": abs(yes - 0.5) > 0.4, "yes": yes}
"""


def pixels(count: int) -> list[Any]:
    """Rows as clients send them."""
    rows: list[Any] = np.random.default_rng(count).integers(0, 256, (count, 4, 4)).tolist()
    return rows


def born(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the table as clients send it."""
    return {"born": 2026 - row["age"], **{name: value for name, value in row.items() if name != "age"}}


@pytest.fixture(scope="module")
def image_bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image classifier that takes whole pixels and answers a name."""
    folder = make_tensor_bento(tmp_path_factory.mktemp("coded") / "src")
    return add_code(folder, PIXELS, pixels(3), preprocess=SCALE, postprocess=NAME)


@pytest.fixture(scope="module")
def host(image_bento: Path) -> Iterator[Server]:
    """It, served."""
    with running_host(image_bento) as server:
        yield server


def load(folder: Path) -> Predictor:
    """The bento's predictor, warmed."""
    return Predictor.load(folder, Manifest.read(folder))


def ask(predictor: Predictor, rows: list[Any]) -> list[Any]:
    """The outputs for rows."""
    body, count = predictor.answer(json.dumps({"inputs": rows}).encode())
    assert count == len(rows)
    outputs: list[Any] = json.loads(body)["outputs"]
    return outputs


def test_an_image_goes_through_both_functions(image_bento: Path, tensor_bento: Path) -> None:
    """The answer is that of the bare model for the prepared rows, named."""
    rows = pixels(20)
    bare = ask(load(tensor_bento), (np.array(rows) / 255)[..., np.newaxis].tolist())
    assert ask(load(image_bento), rows) == [["zero", "one", "two"][int(np.argmax(row))] for row in bare]


def test_a_table_goes_through_both_functions(tmp_path: Path, table_bento: Path) -> None:
    """Columns are a dictionary of arrays on the way in; what comes out are records with new fields."""
    folder = make_table_bento(tmp_path / "src")
    coded = load(add_code(folder, EURO, [born(row) for row in TABLE_ROWS], preprocess=AGE, postprocess=SURE))
    found = ask(coded, [born(row) for row in TABLE_ROWS])
    bare = ask(load(table_bento), TABLE_ROWS)
    assert [row["label"] for row in found] == [row["label"] for row in bare]
    np.testing.assert_allclose([row["yes"] for row in found], [row["probabilities"][1] for row in bare], rtol=1e-6)
    assert [row["sure"] for row in found] == [abs(row["probabilities"][1] - 0.5) > 0.4 for row in bare]


def test_requests_are_checked_against_what_clients_send(image_bento: Path) -> None:
    """Wrong input is a 4xx that names its place, before any function sees it."""
    rows = pixels(1)
    rows[0][1][2] = "x"
    predictor = load(image_bento)
    with pytest.raises(BadRequest, match=r"inputs\[0\]\[1\]\[2\] is the text 'x'"):
        ask(predictor, rows)


def test_a_function_that_raises_is_a_short_500(image_bento: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The client learns which function failed and nothing of its data; the log has the traceback, once a kind."""
    replica = Replica(image_bento)
    replica.load()
    app = HotPath(None, replica)  # type: ignore[arg-type]
    rows = pixels(1)
    rows[0][0][0] = 987654
    for _ in range(3):
        answer = answered(app, {"inputs": rows})
        assert answer.status == 500
        assert answer.error["type"] == "service_code_error"
        assert "preprocess of digits@7" in answer.error["message"]
        assert "ValueError" in answer.error["message"]
        assert "987654" not in answer.body.decode()
        assert "Traceback" not in answer.body.decode()
    assert replica.metrics.outcomes["failed"] == 3
    assert len(caplog.records) == 1
    assert "a secret pixel: 987654" in caplog.text
    assert "preprocess.py" in caplog.text
    assert answered(app, {"inputs": pixels(1)}).status == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def postprocess(outputs):\n    return outputs.argmax(axis=1)[:1]\n", "shape"),
        ("def postprocess(outputs):\n    return outputs.argmax(axis=1) / 0.0\n", "NaN or infinite"),
        ("def postprocess(outputs):\n    return None\n", "shape"),
        ("def postprocess(outputs):\n    return {'b': outputs.argmax(axis=1)}\n", "expected digit"),
        ("def postprocess(outputs):\n    return outputs.argmax(axis=1).astype(str)\n", "expected float64"),
        ("def postprocess(outputs):\n    raise SystemExit(1)\n", "1"),
    ],
)
def test_what_cannot_be_answered_is_a_failure_of_the_function(tmp_path: Path, body: str, said: str) -> None:
    """A wrong count of rows, field, type, NaN or an exit: the host refuses at its warm-up already, and says which."""
    interface = replace(TENSOR, outputs=(Field("digit", "float64"),))
    folder = add_code(make_tensor_bento(tmp_path / "src"), interface, postprocess=body)
    with np.errstate(all="ignore"), pytest.raises(ServeFailed, match="postprocess of digits@7") as caught:
        load(folder)
    failed = caught.value.__cause__
    assert isinstance(failed, ServiceCodeFailed)
    assert said in str(failed.__cause__)


def test_a_model_without_a_finite_answer_is_still_the_models_failure(tmp_path: Path) -> None:
    """A function never sees NaN from the model: that is a 422 as without it."""
    body = "def postprocess(outputs):\n    return outputs.argmax(axis=1)\n"
    before = "def preprocess(inputs):\n    return inputs * 3e38\n"
    interface = replace(TENSOR, outputs=(Field("digit", "int64"),))
    folder = make_tensor_bento(tmp_path / "src")
    zeros = np.zeros((1, 4, 4, 1)).tolist()
    predictor = load(add_code(folder, interface, zeros, preprocess=before, postprocess=body))
    with pytest.raises(BadRequest) as caught:
        ask(predictor, np.ones((1, 4, 4, 1)).tolist())
    assert (caught.value.status, caught.value.kind) == (422, "non_finite")


def test_a_changed_function_is_not_served(tmp_path: Path, image_bento: Path) -> None:
    """The digest in the manifest is of the text that was checked."""
    folder = add_code(make_tensor_bento(tmp_path / "src"), PIXELS, pixels(1), preprocess=SCALE, postprocess=NAME)
    path = folder / CODE_FOLDER / "postprocess.py"
    path.write_text(path.read_text().replace('"one"', '"eins"'))
    with pytest.raises(ServeFailed, match="was changed after it was packaged"):
        load(folder)
    path.unlink()
    with pytest.raises(ServeFailed, match="cannot be read"):
        load(folder)
    assert ask(load(image_bento), pixels(1))


def test_the_same_functions_take_the_same_digest_with_other_line_ends(tmp_path: Path) -> None:
    """A checkout on Windows changes line ends, and nothing else."""
    folder = add_code(make_tensor_bento(tmp_path / "src"), PIXELS, pixels(1), preprocess=SCALE, postprocess=NAME)
    for path in (folder / CODE_FOLDER).iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(ask(load(folder), pixels(2))) == 2


def test_the_manifest_says_what_is_applied(image_bento: Path) -> None:
    """Names and digests are in it, and it reads back equal; without service code nothing is written of it."""
    manifest = Manifest.read(image_bento)
    assert manifest.service_code is not None
    assert sorted(manifest.service_code.digests) == ["postprocess", "preprocess"]
    assert Manifest.from_dict(json.loads(json.dumps(manifest.as_dict()))) == manifest
    assert manifest.interface == PIXELS
    assert manifest.signature == TENSOR
    bare = replace(manifest, service_code=None)
    assert "service_code" not in bare.as_dict()
    assert bare.interface == TENSOR


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        ([[1.0, 2.0]], Field("x", "float32", (3,)), r"shape \(1, 2\); expected \(1, 3\)"),
        ([1.5], Field("x", "int64"), "type float64; expected int64"),
        ([300], Field("x", "uint8"), "beyond uint8"),
        ([None], Field("x", "string"), "no string"),
        ([b"x"], Field("x", "string"), "expected string"),
        ([float("nan")], Field("x", "float64"), "NaN"),
        ([float("inf")], Field("x", "float64", required=False), "NaN or infinite"),
        (["NaT"], Field("x", "datetime"), "expected datetime"),
    ],
)
def test_a_value_that_does_not_fit_is_named(value: Any, field: Field, said: str) -> None:
    """Each says the field, what came and what is expected."""
    with pytest.raises(ValueError, match=said):
        arrange(value, slots([field]), 1)


@pytest.mark.parametrize(
    ("value", "field", "kept"),
    [
        ([1, 2], Field("x", "float32"), [1.0, 2.0]),
        (np.array(["a", "b"]), Field("x", "string"), ["a", "b"]),
        (np.array([None, "b"], object), Field("x", "string", required=False), [None, "b"]),
        ([[1], [2]], Field("x", "int64", (None,)), [[1], [2]]),
        (np.array([True, False]), Field("x", "bool"), [True, False]),
        (np.array([2, 3], np.int32), Field("x", "int64"), [2, 3]),
    ],
)
def test_what_fits_is_taken(value: Any, field: Field, kept: list[Any]) -> None:
    """Lists, texts and narrower numbers become the field's own type."""
    assert arrange({"x": value}, slots([field]), 2)["x"].tolist() == kept


def test_the_page_shows_what_clients_send(host: Server) -> None:
    """The OpenAPI document has the inputs before and the outputs after the functions, and the 500."""
    post = host.client.get("/docs.json").json()["paths"]["/predict"]["post"]
    rows = post["requestBody"]["content"]["application/json"]["schema"]["properties"]["inputs"]
    assert rows["items"]["items"]["items"]["type"] == "integer"
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"]["outputs"]["items"] == {"type": "string"}
    assert "500" in post["responses"]


def bodies() -> Iterator[bytes]:
    """Good and bad requests for the image classifier, with some that make its function raise."""
    for count in range(1, 40):
        yield json.dumps({"inputs": pixels(count)}).encode()
    for wrong in (None, "x", 1.5, True, [], 2**70, -1, 256, 1e30):
        rows = pixels(3)
        rows[1][2][3] = wrong
        yield json.dumps({"inputs": rows}).encode()
    yield from (b"", b"{}", b'{"inputs": []}', b"[1]")


# BentoML asks pathspec for a pattern by a name that has become old, and overrides a hook of pydantic's models.
@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The `__get_pydantic_core_schema__` method:DeprecationWarning")
def test_bentoml_serve_gives_the_same_answers(host: Server, image_bento: Path, tmp_path: Path) -> None:
    """Equal status and body for good requests, bad ones and those at which a function fails; and its client works."""
    seen: dict[int, int] = {}
    with running_bentoml(image_bento, tmp_path) as other:
        for body in bodies():
            mine, theirs = (server.client.post("/predict", content=body) for server in (host, other))
            assert mine.status_code == theirs.status_code, (body, mine.text, theirs.text)
            assert mine.json() == theirs.json()
            seen[mine.status_code] = seen.get(mine.status_code, 0) + 1
        with bentoml_client(other.url) as client:
            outputs = client.predict(inputs=np.array(pixels(3)))["outputs"]
        assert list(outputs) == other.predict(pixels(3)).json()["outputs"]
    assert set(seen) == {200, 400, 500}
    assert seen[200] >= 39
    assert seen[500] == 1


def test_pandas_is_not_loaded_by_it(image_bento: Path) -> None:
    """The host of an ONNX model with functions is as light as without them."""
    program = (
        "import sys; from pathlib import Path; from pipelines.serving.replica import Replica;"
        f"Replica(Path({str(image_bento)!r})).load(); print('pandas' in sys.modules, 'bentoml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_layout_may_change(tmp_path: Path) -> None:
    """Named columns in, one array for the model."""
    interface = Signature(Layout.RECORDS, (Field("top", "float64"), Field("rest", "float64")), TENSOR.outputs)
    body = (
        "import numpy as np\n"
        "def preprocess(inputs):\n"
        "    made = np.repeat(inputs['rest'], 16).reshape(-1, 4, 4, 1)\n"
        "    made[:, 0, 0, 0] = inputs['top']\n"
        "    return made\n"
    )
    folder = make_tensor_bento(tmp_path / "src")
    predictor = load(add_code(folder, interface, [{"top": 1.0, "rest": 0.5}], preprocess=body))
    assert len(ask(predictor, [{"top": 1, "rest": 0}, {"top": 0, "rest": 1}])) == 2


def test_slow_code_runs_in_a_thread(tmp_path: Path) -> None:
    """What the warm-up measures is all of it, so that a slow function never holds up the event loop."""
    body = "import time\n\ndef preprocess(inputs):\n    time.sleep(0.02)\n    return inputs\n"
    predictor = load(add_code(make_tensor_bento(tmp_path / "src"), TENSOR, tensor_rows(2), preprocess=body))
    assert not predictor.is_quick_at_all()
