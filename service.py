"""The BentoML service of every bento, made from the manifest that lies beside it.

`pipelines.serving.host` and plain `bentoml serve` both run it; predictions are answered by the same hot path in both.
"""

from pathlib import Path
from typing import Any

import bentoml
import orjson

from pipelines.serving.bento import PredictionService, answer_type, request_type
from pipelines.serving.hotpath import HotPath
from pipelines.serving.replica import Replica

REPLICA = Replica.of(Path(__file__).parent)
MANIFEST = REPLICA.manifest


@bentoml.service(
    name=MANIFEST.ref.model,
    service_class=PredictionService,
    envs=[{"name": "BENTOML_DO_NOT_TRACK", "value": "True"}],
    traffic={"timeout": 3600},
)
class Predictions:
    """Predictions of one model version."""

    replica = REPLICA

    def __init__(self) -> None:
        self.predictor = REPLICA.load()

    @bentoml.api(input_spec=request_type(MANIFEST), output_spec=answer_type(MANIFEST))  # type: ignore[untyped-decorator]
    def predict(self, inputs: Any) -> Any:
        """Predict one or many rows; the answer has one output a row, in order."""
        body, _ = self.predictor.answer(orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY))
        return orjson.loads(body)


Predictions.add_asgi_middleware(HotPath, replica=REPLICA)  # type: ignore[attr-defined]
