"""What is served: one trained network in the forms that the contenders load."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.adapters.packaging.packager import BentoPackager
from pipelines.errors import TurnoutError
from pipelines.ports import PackageJob
from pipelines.values import ModelVersion, Parity, VersionRef

ROOT = Path(__file__).parents[1]
TRAIN_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Material:
    """The network, its forms and what it answers.

    Args:
        folder: Where everything lies; logs go there too.
        keras: The `.keras` file.
        mlflow: The MLflow model for `mlflow models serve`.
        bento: The folder that Turnout's host serves from.
        onnx: The ONNX file inside it, which all others around ONNX Runtime load as well.
        parity: The packager's proof that the ONNX file answers as Keras does.
        rows: Held-out images, float32 of shape (n, 8, 8, 1).
        expected: Keras' own answers, float32 of shape (n, 10).
    """

    folder: Path
    keras: Path
    mlflow: Path
    bento: Path
    onnx: Path
    parity: Parity
    rows: NDArray[np.float32]
    expected: NDArray[np.float32]


def prepare(folder: Path) -> Material:
    """Train (unless this very network is there already), export and package.

    Raises:
        TurnoutError: one of it fails.
    """
    trained = folder / f"model-{_key()}"
    if not trained.is_dir():
        _train(trained)
    version = ModelVersion(VersionRef("digits", 1), run_id="", model_uri="", created=datetime.now(UTC))
    job = PackageJob(version, model=trained / "mlflow", rows=trained / "rows.npy")
    packager = BentoPackager(folder / "state", ROOT)
    record = packager.package(job, lambda said: print(said, file=sys.stderr, flush=True))
    if record.parity is None:
        raise TurnoutError(f"the network was not exported to ONNX: {record.reason}")
    bento = packager.sources(record)
    return Material(
        folder=folder,
        keras=trained / "model.keras",
        mlflow=trained / "mlflow-exported",
        bento=bento,
        onnx=bento / "model" / "model.onnx",
        parity=record.parity,
        rows=np.load(trained / "rows.npy"),
        expected=np.load(trained / "expected.npy"),
    )


def _key() -> str:
    return hashlib.sha256(Path(__file__).with_name("train.py").read_bytes()).hexdigest()[:12]


def _train(folder: Path) -> None:
    making = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.train", str(making)]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        run = subprocess.run(
            command, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=TRAIN_SECONDS, check=True
        )
        print(run.stdout.strip().splitlines()[-1], file=sys.stderr, flush=True)
        making.replace(folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise TurnoutError(f"the network could not be trained: {str(error.stderr or error)[-2000:]}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
