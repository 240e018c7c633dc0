"""A custom runtime of MLServer around ONNX Runtime; it runs in the environment of requirements-mlserver.txt."""

# Its packages are in that environment, not in the one that is type-checked.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxRuntime(MLModel):
    """Loads the file that `parameters.uri` of model-settings.json names."""

    async def load(self) -> bool:
        """Open the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        self._name = self._session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One input tensor in, one output tensor out."""
        images = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        outputs = self._session.run(None, {self._name: images})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("outputs", outputs)])
