"""The bare function with all that Turnout's hot path checks and counts, written out for this one model.

`python -m benchmarks.contenders.checked MODEL.onnx PORT`
"""

from __future__ import annotations

import math
import os
import sys
from bisect import bisect_left
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from benchmarks.contenders.bare import serve, session

LIMIT = 32 * 1024 * 1024
SHAPE = (8, 8, 1)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0)


class Refused(Exception):
    """A request that gets a 4xx: its status and why."""


def rows_of(body: bytes) -> Any:
    """The images of a request body, float32 of shape (n, 8, 8, 1), all finite."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    if type(document) is not dict or len(document) != 1 or "inputs" not in document:
        raise Refused(400, 'expected {"inputs": [row, ...]}')
    rows = document["inputs"]
    if type(rows) is not list or not rows:
        raise Refused(400, "inputs is no list with at least one row")
    if b"e" in body and (b"true" in body or b"false" in body):
        raise Refused(400, "inputs has a boolean among its numbers")
    try:
        array = np.array(rows)
    except ValueError:
        raise Refused(400, "inputs is ragged") from None
    if array.shape[1:] != SHAPE or array.dtype.kind not in "iuf":
        raise Refused(400, "a row is no list of numbers of the shape (8, 8, 1)")
    array = array.astype(np.float32)
    flat = array.ravel()
    if not math.isfinite(flat.dot(flat)) and not np.isfinite(array).all():
        raise Refused(400, "a number does not fit into a float32")
    return array


async def body_of(scope: Any, receive: Any) -> bytes:
    """The request's whole body, once its head is right."""
    headers = dict(scope["headers"])
    if scope["path"] != "/predict" or scope["method"] != "POST":
        raise Refused(405 if scope["path"] == "/predict" else 404, "only POST /predict is answered")
    content_type = headers.get(b"content-type", b"application/json").lower().partition(b";")[0].strip()
    if content_type not in (b"application/json", b"") or b"content-encoding" in headers:
        raise Refused(415, "expected plain application/json")
    if int(headers.get(b"content-length", 0)) > LIMIT:
        raise Refused(413, "the body is too long")
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LIMIT:
            raise Refused(413, "the body is too long")
    if message["type"] != "http.request":
        raise Refused(499, "the client left")
    return body


def application(path: str) -> Any:
    """An ASGI function that checks, predicts and counts."""
    model = session(path)
    run, name, names = model.run, model.get_inputs()[0].name, [model.get_outputs()[0].name]
    version, tail = (b"x-model-version", b"digits@1"), b',"model":"digits","version":1}'
    ids, id_format = count(1), os.urandom(6).hex().encode() + b"-%x"
    outcomes = {"ok": 0, "rejected": 0, "in_flight": 0}
    seconds, batches, totals = [0] * (len(SECONDS) + 1), [0] * (len(ROWS) + 1), {"seconds": 0.0, "rows": 0}

    async def answer(scope: Any, receive: Any) -> bytes:
        rows = rows_of(await body_of(scope, receive))
        found = run(names, {name: rows})[0]
        if not np.isfinite(found).all():
            raise Refused(422, "the model has no finite answer")
        batches[bisect_left(ROWS, len(rows))] += 1
        totals["rows"] += len(rows)
        return b'{"outputs":' + orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY) + tail

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started = perf_counter()
        outcomes["in_flight"] += 1
        status, outcome = 200, "ok"
        try:
            payload = await answer(scope, receive)
        except Refused as error:
            (status, why), outcome = error.args, "rejected"
            payload = orjson.dumps({"error": why})
        known = next((value for key, value in scope["headers"] if key == b"x-request-id"), b"")
        request_id = known if 0 < len(known) <= 128 and known.decode("latin-1").isprintable() else id_format % next(ids)
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(payload))]
        head += [version, (b"x-request-id", request_id)]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": payload})
        spent = perf_counter() - started
        outcomes["in_flight"] -= 1
        outcomes[outcome] += 1
        seconds[bisect_left(SECONDS, spent)] += 1
        totals["seconds"] += spent

    return app


if __name__ == "__main__":
    serve(application(sys.argv[1]), int(sys.argv[2]))
