"""A signature as JSON schema: for the OpenAPI page, and for the BentoML client."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.values.manifest import Manifest
from pipelines.values.signature import Field, Layout, Signature

Schema = dict[str, Any]

ERROR_ANSWERS = {
    400: "The body is no such request; `error` names the place, what came and what is expected.",
    405: "Not POST.",
    413: "The body is too long.",
    415: "The body is not JSON in UTF-8.",
    422: "The model has no answer to these rows.",
    503: "The model is still being loaded.",
}
CODE_ANSWERS = {500: "A function before or after the model failed at these rows."}
"""Of a version with service code."""

ERROR_SCHEMA: Schema = {
    "title": "Error",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message", "what", "instead", "next", "field"],
            "properties": {
                "type": {"type": "string", "description": "One stable word."},
                "message": {"type": "string", "description": "`what`, `instead` and `next` in one sentence."},
                "what": {"type": "string", "description": "What happened."},
                "instead": {"type": "string", "description": "What is expected."},
                "next": {"type": "string", "description": "What to do next."},
                "field": {"type": "string", "description": "Where in the body, such as `inputs[2].age`."},
            },
        }
    },
}


def request_schema(signature: Signature) -> Schema:
    """The request body, as OpenAPI 3.0 writes it."""
    rows = {"type": "array", "minItems": 1, "items": _row(signature.layout is Layout.RECORDS, signature.inputs)}
    return {"title": "Request", "type": "object", "required": ["inputs"], "properties": {"inputs": rows}} | {
        "additionalProperties": False
    }


def answer_schema(signature: Signature) -> Schema:
    """The answer's body, as OpenAPI 3.0 writes it."""
    rows = {"type": "array", "minItems": 1, "items": _row(len(signature.outputs) > 1, signature.outputs)}
    return _answer({"outputs": rows})


def client_request_schema(signature: Signature) -> Schema:
    """The request as `schema.json` tells it to BentoML's client, which sends arrays where it says `tensor`."""
    field = signature.inputs[0]
    if signature.layout is Layout.TENSOR and (field.is_numeric or field.dtype == "bool"):
        return {"type": "object", "required": ["inputs"], "properties": {"inputs": _tensor(field)}}
    return request_schema(signature)


def client_answer_schema(signature: Signature) -> Schema:
    """The answer as `schema.json` tells it to BentoML's client, which makes an array of one numeric output."""
    field = signature.outputs[0]
    if len(signature.outputs) == 1 and (field.is_numeric or field.dtype == "bool"):
        return _answer({"outputs": _tensor(field)})
    return answer_schema(signature)


def predict_operation(manifest: Manifest) -> Schema:
    """What `POST /predict` takes and answers, as parts of an OpenAPI operation; it refers to the component `Error`."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    described = ERROR_ANSWERS if manifest.service_code is None else {**ERROR_ANSWERS, **CODE_ANSWERS}
    answers: Schema = {str(status): {"description": text, "content": error} for status, text in described.items()}
    answers["200"] = {
        "description": f"One output a row, in order. The header x-model-version is {manifest.ref}.",
        "content": {"application/json": {"schema": answer_schema(manifest.interface)}},
    }
    body = {"required": True, "content": {"application/json": {"schema": request_schema(manifest.interface)}}}
    return {"requestBody": body, "responses": answers}


def _answer(outputs: Schema) -> Schema:
    about = {"model": {"type": "string"}, "version": {"type": "integer"}}
    return {
        "title": "Answer",
        "type": "object",
        "required": ["outputs", "model", "version"],
        "properties": {**outputs, **about},
    }


def _tensor(field: Field) -> Schema:
    return {"type": "tensor", "format": "numpy-array", "dtype": field.dtype}


def _row(is_record: bool, fields: tuple[Field, ...]) -> Schema:  # noqa: FBT001
    if not is_record:
        return _value(fields[0])
    return {
        "type": "object",
        "required": [field.name for field in fields if field.required],
        "properties": {field.name: _value(field) for field in fields},
        "additionalProperties": False,
    }


def _value(field: Field) -> Schema:
    schema = _scalar(field)
    for size in reversed(field.shape):
        sizes = {"minItems": 1} if size is None else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema, **sizes}
    return schema if field.required else {**schema, "nullable": True}


def _scalar(field: Field) -> Schema:
    if field.is_float:
        limit = float(np.finfo(field.dtype).max)
        return {"type": "number", "format": "float" if field.dtype == "float32" else "double"} | (
            {"minimum": -limit, "maximum": limit} if field.dtype == "float32" else {}
        )
    if field.is_numeric:
        limits = np.iinfo(field.dtype)
        return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
    if field.dtype == "bool":
        return {"type": "boolean"}
    return {"type": "string", "format": "date-time"} if field.dtype == "datetime" else {"type": "string"}
