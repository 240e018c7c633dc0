"""A custom model of KServe's Python server around ONNX Runtime; it runs in the environment of requirements-kserve.txt.

`python benchmarks/contenders/kserve_model.py MODEL.onnx --http_port PORT ...` (further options are KServe's own).
"""

# Its packages are in that environment, not in the one that is type-checked.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import sys
from typing import Any

import kserve.model_server
import numpy as np
import onnxruntime
from kserve.protocol.rest.server import RESTServer


class Digits(kserve.Model):
    """Answers KServe's first protocol: `instances` in, `predictions` out."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self.path = path
        self.load()

    def load(self) -> bool:
        """Open the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.ready = True
        return self.ready

    async def predict(self, payload: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        """Images of shape (n, 8, 8, 1) to probabilities of shape (n, 10)."""
        images = np.asarray(payload["instances"], np.float32)
        return {"predictions": self.session.run(None, {self.input: images})[0].tolist()}


class LoopbackServer(RESTServer):
    """KServe always listens on every interface; a benchmark must not."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.host = "127.0.0.1"


if __name__ == "__main__":
    kserve.model_server.RESTServer = LoopbackServer
    kserve.ModelServer().start([Digits("digits", sys.argv[1])])
