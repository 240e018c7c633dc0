"""What `service.py` needs of BentoML: typed input and output, and a service whose page shows them."""

from __future__ import annotations

from typing import Any

import attr
from bentoml import IODescriptor, Service

from pipelines.serving import schema
from pipelines.serving.replica import Replica
from pipelines.values.manifest import Manifest


def request_type(manifest: Manifest) -> type[IODescriptor]:
    """The argument of `predict`, as the signature describes it."""

    class Request(IODescriptor):  # type: ignore[misc]
        inputs: Any

        @classmethod
        def model_json_schema(cls, *_: Any, mode: str = "validation", **__: Any) -> dict[str, Any]:
            made = schema.client_request_schema if mode == "validation" else schema.request_schema
            return made(manifest.interface)

    return Request


def answer_type(manifest: Manifest) -> type[IODescriptor]:
    """The answer of `predict`, as the signature describes it."""

    class Answer(IODescriptor):  # type: ignore[misc]
        outputs: Any
        model: str
        version: int

        @classmethod
        def model_json_schema(cls, *_: Any, mode: str = "validation", **__: Any) -> dict[str, Any]:
            made = schema.client_answer_schema if mode == "validation" else schema.answer_schema
            return made(manifest.interface)

    return Answer


class PredictionService(Service):  # type: ignore[misc]
    """A BentoML service whose OpenAPI page shows the real shapes and every answer's status.

    The class it serves has an attribute `replica`.
    """

    @property
    def openapi_spec(self) -> Any:
        """The document behind `docs.json`."""
        replica: Replica = self.inner.replica
        document = Service.openapi_spec.fget(self)
        operation = document.paths["/predict"].post | schema.predict_operation(replica.manifest)
        return attr.evolve(
            document,
            info=attr.evolve(
                document.info,
                version=str(replica.manifest.ref.number),
                description=f"Predictions of {replica.manifest.ref}, one output for each row of `inputs`.",
            ),
            paths={**document.paths, "/predict": attr.evolve(document.paths["/predict"], post=operation)},
            components={"schemas": {"Error": schema.ERROR_SCHEMA}},
        )
