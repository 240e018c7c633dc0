"""MLflow's client, imported when it is first needed (4 s) and without its chatter."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow and alembic from logging to stderr: what fails is said by our error.

    MLflow reports its use home unless told otherwise before its import.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.utils.logging_utils import MLFLOW_LOGGING_STREAM

        before, MLFLOW_LOGGING_STREAM.enabled = MLFLOW_LOGGING_STREAM.enabled, False
        try:
            yield
        finally:
            MLFLOW_LOGGING_STREAM.enabled = before


def open_client(uri: str) -> Any:
    """A client for the store at `uri`, whatever tracking URI this process has set."""
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)
