"""Tiny bentos on disk, and servers that run them: made in milliseconds, for the tests here and elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pipelines.values import Field, Layout, Manifest, Signature, Task, VersionRef

ROOT = Path(__file__).parents[2]
CARRIED = ("__init__.py", "py.typed", "errors.py", "values", "serving")

TENSOR = Signature(
    Layout.TENSOR,
    inputs=(Field("image", "float32", (4, 4, 1)),),
    outputs=(Field("scores", "float32", (3,)),),
    task=Task.CLASSIFICATION,
)
TABLE = Signature(
    Layout.RECORDS,
    inputs=(
        Field("age", "int64"),
        Field("income", "float32", required=False),
        Field("job", "string"),
        Field("member", "bool"),
    ),
    outputs=(Field("label", "string"), Field("probabilities", "float32", (2,))),
    task=Task.CLASSIFICATION,
    classes=("no", "yes"),
)
TABLE_ROWS: list[dict[str, Any]] = [
    {"age": 31, "income": 42.5, "job": "skilled", "member": True},
    {"age": 58, "income": None, "job": "manager", "member": False},
    {"age": 19, "job": "never seen", "member": False},
]


def lay_out(folder: Path, manifest: Manifest, rows: list[Any]) -> Path:
    """Everything of a bento's source folder but the model: our files, manifest, warm-up rows, requirements."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("service.py", "bentofile.yaml"):
        shutil.copy(ROOT / name, folder / name)
    for name in CARRIED:
        source, target = ROOT / "pipelines" / name, folder / "pipelines" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    (folder / "requirements.txt").write_text("bentoml\nnumpy\nonnxruntime\norjson\n")
    manifest.write(folder)
    (folder / "warmup.json").write_text(json.dumps({"inputs": rows}))
    (folder / "model").mkdir(exist_ok=True)
    return folder


def make_tensor_bento(folder: Path, version: int = 7, **changes: Any) -> Path:
    """A bento `digits@7` with a small image classifier: one unnamed tensor in, three scores out.

    Args:
        folder: Where its source folder is made.
        version: Its number.
        changes: Other fields of the manifest.
    """
    manifest = Manifest(
        VersionRef("digits", version), "onnx", TENSOR, tensor_names={"image": "x", "scores": "y"}, **changes
    )
    lay_out(folder, manifest, tensor_rows(4))
    onnx.save(_tensor_graph(), folder / "model" / "model.onnx")
    return folder


def tensor_rows(count: int, seed: int = 1) -> list[Any]:
    """Rows for the tensor bento."""
    rows: list[Any] = np.random.default_rng(seed).random((count, 4, 4, 1)).round(3).tolist()
    return rows


def make_table_bento(folder: Path, version: int = 3) -> Path:
    """A bento `credit@3` on four columns of four types, one of them optional: a label and probabilities out."""
    manifest = Manifest(VersionRef("credit", version), "onnx", TABLE)
    lay_out(folder, manifest, TABLE_ROWS)
    onnx.save(_table_graph(), folder / "model" / "model.onnx")
    return folder


def make_slow_bento(folder: Path, rounds: int = 3000) -> Path:
    """A bento `digits@1` that multiplies matrices: about 10 ms a row, several seconds for a batch of 400."""
    manifest = Manifest(VersionRef("digits", 1), "onnx", TENSOR, tensor_names={"image": "x", "scores": "y"})
    lay_out(folder, manifest, tensor_rows(1))
    onnx.save(_slow_graph(rounds), folder / "model" / "model.onnx")
    return folder


def _tensor_graph() -> Any:
    weights = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"], axis=1),
    ]
    return _model(nodes, [_value("x", TensorProto.FLOAT, 4, 4, 1)], [_value("y", TensorProto.FLOAT, 3)], w=weights)


def _table_graph() -> Any:
    weights = np.array([[0.02, -0.02], [-0.01, 0.01], [0.5, -0.5], [-0.3, 0.3]], np.float32)
    nodes = [
        helper.make_node("Cast", ["age"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("IsNaN", ["income"], ["missing"]),
        helper.make_node("Where", ["missing", "typical", "income"], ["i"]),
        helper.make_node(
            "LabelEncoder",
            ["job"],
            ["j"],
            domain="ai.onnx.ml",
            keys_strings=["skilled", "manager"],
            values_floats=[1.0, 2.0],
            default_float=0.0,
        ),
        helper.make_node("Cast", ["member"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["a", "i", "j", "m"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["logits"], ["top"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder", ["top"], ["label"], domain="ai.onnx.ml", keys_int64s=[0, 1], values_strings=["no", "yes"]
        ),
    ]
    inputs = [
        _value("age", TensorProto.INT64, 1),
        _value("income", TensorProto.FLOAT, 1),
        _value("job", TensorProto.STRING, 1),
        _value("member", TensorProto.BOOL, 1),
    ]
    outputs = [_value("label", TensorProto.STRING), _value("probabilities", TensorProto.FLOAT, 2)]
    return _model(nodes, inputs, outputs, w=weights, typical=np.array([[30.0]], np.float32))


def _slow_graph(rounds: int) -> Any:
    size = 256
    generator = np.random.default_rng(0)
    spread = generator.normal(size=(16, size)).astype(np.float32)
    square = (generator.normal(size=(size, size)) / 10).astype(np.float32)
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "square"], ["product"]),
            helper.make_node("Tanh", ["product"], ["next"]),
            helper.make_node("Identity", ["on"], ["still"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["N", size]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["N", size]),
        ],
    )
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "spread"], ["first"]),
        helper.make_node("Loop", ["rounds", "", "first"], ["last"], body=body),
        helper.make_node("MatMul", ["last", "gather"], ["y"]),
    ]
    return _model(
        nodes,
        [_value("x", TensorProto.FLOAT, 4, 4, 1)],
        [_value("y", TensorProto.FLOAT, 3)],
        spread=spread,
        square=square,
        gather=generator.normal(size=(size, 3)).astype(np.float32),
        rounds=np.array(rounds, np.int64),
    )


def _value(name: str, kind: int, *shape: int) -> Any:
    return helper.make_tensor_value_info(name, kind, ["N", *shape])


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], **constants: Any) -> Any:
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, held)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@dataclass
class Server:
    """A running server process."""

    url: str
    process: subprocess.Popen[str]
    client: httpx.Client

    def predict(self, rows: Any, **options: Any) -> httpx.Response:
        """POST rows to `/predict`."""
        return self.client.post("/predict", json={"inputs": rows}, **options)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def start_host(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start `python -m pipelines.serving.host` without waiting for it."""
    command = [sys.executable, "-m", "pipelines.serving.host", "--bento", str(folder), *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def running_host(folder: Path, *options: str) -> Iterator[Server]:
    """A ready host of that bento on a free port; it is gone afterwards."""
    process = start_host(folder, "--port", "0", *options)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"POST (http://[^ ]+)/predict", line)
        if found is None:
            assert process.stderr is not None
            raise AssertionError(f"the host did not become ready: {line}{process.stderr.read()}")
        with httpx.Client(base_url=found[1], timeout=120) as client:
            yield Server(found[1], process, client)
    finally:
        end(process)


@contextmanager
def running_bentoml(folder: Path, home: Path) -> Iterator[Server]:
    """The same bento under plain `bentoml serve`; it is gone afterwards.

    Args:
        folder: The bento's source folder.
        home: An empty folder for BentoML's own files.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with (home / "bentoml.log").open("w+") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, text=True)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
                _wait_until_ready(client, process, home / "bentoml.log")
                yield Server(f"http://127.0.0.1:{port}", process, client)
        finally:
            end(process)


@contextmanager
def bentoml_client(url: str) -> Iterator[Any]:
    """BentoML's own client; it would leave its temporary folder to the garbage collector."""
    import bentoml

    with bentoml.SyncHTTPClient(url) as client:
        yield client
    client._temp_dir.cleanup()


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)  # it does not listen yet
    raise AssertionError(f"bentoml serve did not become ready: {log.read_text()}")


def end(process: subprocess.Popen[str]) -> None:
    """Stop a process gently: `bentoml serve` has a worker in a session of its own, which only it can stop."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
