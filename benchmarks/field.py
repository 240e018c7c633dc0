"""The contenders: what each is, how it is started, what it is sent and where its answer stands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import environment, versions
from benchmarks.material import ROOT, Material
from benchmarks.server import Launch, free_ports

CONTENDERS = Path(__file__).with_name("contenders")

Wrap = Callable[[list[Any]], Any]
Unwrap = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to serve the network.

    Args:
        name: For the command line and the results.
        title: For the table.
        how: What exactly is measured, for the page.
        rounds: The rounds it takes part in, counted from 0.
        launch: Makes ready what it needs and says how to start it; called once a round.
        body: Images, as nested lists of shape (n, 8, 8, 1), to a request.
        outputs: An answer to lists of shape (n, 10).
        needs: The name of its own environment, and of the package in it; empty when it runs in ours.
    """

    name: str
    title: str
    how: str
    rounds: frozenset[int]
    launch: Callable[[Material], Launch]
    body: Wrap
    outputs: Unwrap
    needs: str = ""

    def versions(self) -> dict[str, str]:
        """Of the packages of its own environment that do the work."""
        return versions(environment(self.needs), (self.needs, "onnxruntime")) if self.needs else {}


def contenders() -> list[Contender]:
    """All of them: those close to Turnout in all five rounds, the slow ones in two."""
    every, some, few = frozenset(range(5)), frozenset({0, 2, 4}), frozenset({1, 3})
    return [
        Contender(
            "turnout",
            "Turnout's host",
            "`python -m pipelines.serving.host` on the packaged bento",
            every,
            _turnout,
            *_keys("inputs", "outputs"),
        ),
        Contender(
            "bare",
            "the bare limit",
            "an ASGI function around ONNX Runtime in the same uvicorn, which checks and counts nothing",
            every,
            lambda material: _function("bare", material),
            *_keys("inputs", "outputs"),
        ),
        Contender(
            "checked",
            "a bare function with the same checks",
            "that function with all that Turnout's hot path checks and counts, written out for this one model",
            every,
            lambda material: _function("checked", material),
            *_keys("inputs", "outputs"),
        ),
        Contender(
            "mlserver",
            "MLServer",
            "a custom runtime around ONNX Runtime, without the access log and without the pool of worker processes "
            "(with its default pool of one worker it answers about half as many requests)",
            some,
            _mlserver,
            _tensor,
            lambda answer: _in_tens(answer["outputs"][0]["data"]),
            needs="mlserver",
        ),
        Contender(
            "kserve",
            "KServe's Python server",
            "a custom `kserve.Model` around ONNX Runtime, one worker, without gRPC, latency log and access log",
            some,
            _kserve,
            *_keys("instances", "predictions"),
            needs="kserve",
        ),
        Contender(
            "bentoml",
            "stock BentoML",
            "`bentoml serve` with its defaults, a service that loads the Keras model and calls it "
            "(`model.predict` would be about twenty times slower for one image)",
            few,
            _bentoml,
            lambda rows: {"images": rows},
            lambda answer: answer,
        ),
        Contender(
            "mlflow",
            "`mlflow models serve`",
            "`--env-manager local`, the Keras model logged with `save_exported_model=True` "
            "(logged without it, it answers about twenty times fewer requests)",
            few,
            _mlflow,
            *_keys("inputs", "predictions"),
        ),
    ]


def _keys(inputs: str, outputs: str) -> tuple[Wrap, Unwrap]:
    return lambda rows: {inputs: rows}, lambda answer: answer[outputs]


def _turnout(material: Material) -> Launch:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "pipelines.serving.host", "--bento", str(material.bento), "--port", str(port)]
    return Launch(command, port, "/predict", material.bento, {"PYTHONPATH": str(material.bento)})


def _function(name: str, material: Material) -> Launch:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", f"benchmarks.contenders.{name}", str(material.onnx), str(port)]
    return Launch(command, port, "/predict", ROOT)


def _tensor(rows: list[Any]) -> Any:
    flat = [pixel for image in rows for line in image for cell in line for pixel in cell]
    tensor = {"name": "images", "shape": [len(rows), 8, 8, 1], "datatype": "FP32", "data": flat}
    return {"inputs": [tensor]}


def _in_tens(flat: Sequence[float]) -> list[Sequence[float]]:
    return [flat[start : start + 10] for start in range(0, len(flat), 10)]


def _mlserver(material: Material) -> Launch:
    python = environment("mlserver")
    folder = _made(material.folder / "mlserver" / "digits")
    http, grpc, metrics = free_ports(3)
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    _write(folder / "settings.json", {**settings, "debug": False, "parallel_workers": 0})
    model = {"name": "digits", "implementation": "mlserver_runtime.OnnxRuntime"}
    _write(folder / "model-settings.json", {**model, "parameters": {"uri": str(material.onnx), "version": "1"}})
    command = [str(python.with_name("mlserver")), "start", str(folder)]
    return Launch(command, http, "/v2/models/digits/infer", folder, {"PYTHONPATH": str(CONTENDERS)})


def _kserve(material: Material) -> Launch:
    python = environment("kserve")
    folder = _made(material.folder / "kserve")
    quiet = {name: {"level": "WARNING"} for name in ("kserve", "kserve.trace", "uvicorn.access")}
    _write(folder / "logging.json", {"version": 1, "disable_existing_loggers": False, "loggers": quiet})
    (port,) = free_ports(1)
    options = ["--workers=1", "--enable_grpc=false", "--enable_latency_logging=false"]
    command = [str(python), str(CONTENDERS / "kserve_model.py"), str(material.onnx), f"--http_port={port}", *options]
    logs = f"--log_config_file={folder / 'logging.json'}"
    return Launch([*command, logs], port, "/v1/models/digits:predict", folder)


def _bentoml(material: Material) -> Launch:
    (port,) = free_ports(1)
    home = _made(material.folder / "stock")
    command = [sys.executable, "-m", "bentoml", "serve", "stock_bento:Digits", "--working-dir", str(CONTENDERS)]
    environment = {
        "BENCHMARK_KERAS_MODEL": str(material.keras),
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    return Launch([*command, "--host", "127.0.0.1", "--port", str(port)], port, "/predict", home, environment)


def _mlflow(material: Material) -> Launch:
    (port,) = free_ports(1)
    folder = _made(material.folder / "mlflow-serve")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(material.mlflow)]
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    # It starts `uvicorn` by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return Launch(
        [*command, *options], port, "/invocations", folder, {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
