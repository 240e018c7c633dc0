"""Networks: Keras in a process of its own, PyTorch in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.adapters.packaging import BentoPackager
from pipelines.values import Field, Layout, Manifest, Task
from tests.adapters.packaging.logged import Logged, log
from tests.serving.bentos import ROOT

KERAS = """
import sys
import keras, mlflow, numpy as np
from mlflow.models import infer_signature
keras.utils.set_random_seed(7)
left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
chance = np.random.default_rng(7)
rows = {"left": chance.random((50, 4), np.float32), "right": chance.random((50, 3), np.float32)}
scaling = keras.layers.Normalization()
scaling.adapt(rows["left"])
joined = keras.layers.Dense(8, activation="tanh")(keras.layers.Concatenate()([scaling(left), right]))
outputs = {"size": keras.layers.Dense(1)(joined), "kind": keras.layers.Dense(3, activation="softmax")(joined)}
model = keras.Model({"left": left, "right": right}, outputs)
answers = model.predict(rows, verbose=0)
mlflow.keras.save_model(model, sys.argv[1], signature=infer_signature(rows, answers), pip_requirements=["keras"])
np.savez(sys.argv[2], **rows)
"""


@pytest.mark.tensorflow
def test_a_keras_model_with_named_inputs_and_outputs_is_exported(tmp_path: Path) -> None:
    """Two named arrays in, two named answers out, each a field of its own; equal to the original.

    One goes through a normalisation, whose mean and spread are no weights: they travel in the graph as well.
    """
    logged = Logged(tmp_path / "model", tmp_path / "rows.npz")
    made = [sys.executable, "-W", "ignore", "-c", KERAS, str(logged.model), str(logged.rows)]
    subprocess.run(made, cwd=ROOT, check=True, capture_output=True, timeout=300)
    packager = BentoPackager(tmp_path / ".turnout", tmp_path)
    record = packager.package(logged.job("networks"), lambda _: None)
    signature = Manifest.read(packager.sources(record)).signature

    assert (record.flavour, record.reason) == ("onnx", "")
    assert record.parity is not None
    assert record.parity.max_abs_diff < 1e-5
    assert signature.layout is Layout.RECORDS
    assert signature.inputs == (Field("left", "float32", (4,)), Field("right", "float32", (3,)))
    assert signature.outputs == (Field("size", "float32", (1,)), Field("kind", "float32", (3,)))


@pytest.mark.torch
@pytest.mark.parametrize("kept_as", ["pt2", "pickle", "table"])
def test_a_pytorch_regression_is_exported(kept_as: str, tmp_path: Path) -> None:
    """As MLflow keeps it by default, as a pickle, and on the columns of a table: any number of rows, equal answers."""
    torch = pytest.importorskip("torch", reason="PyTorch has an environment of its own: `make test-torch`")
    torch.manual_seed(7)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(16, 1))
    model.eval()
    rows = np.random.default_rng(7).random((60, 8), np.float32)
    with torch.inference_mode():
        answers = model(torch.from_numpy(rows)).numpy()
    options = {"input_example": rows[:4]} if kept_as == "pt2" else {"serialization_format": "pickle"}
    inputs = pd.DataFrame(rows.astype(float), columns=list("abcdefgh")) if kept_as == "table" else rows
    logged = log(tmp_path, model, inputs, "pytorch", answers=answers, **options)
    manifests = [logged.exported(tmp_path / stage) for stage in ("one", "two")]

    assert (manifests[0].flavour, manifests[0].reason) == ("onnx", "")
    assert manifests[0].signature.task is Task.REGRESSION
    assert manifests[0].signature.outputs == (Field("prediction", "float32"),)
    assert manifests[0] == manifests[1]
    files = [tmp_path / stage / "model" / "model.onnx" for stage in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
