"""The bare limit: what uvicorn and ONNX Runtime do in one process when nothing is checked and nothing counted.

`python -m benchmarks.contenders.bare MODEL.onnx PORT`
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import numpy as np
import onnxruntime
import orjson
import uvicorn


def session(path: str) -> onnxruntime.InferenceSession:
    """The model, on one thread: for one image a second one only costs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def application(path: str) -> Any:
    """An ASGI function that takes every request for a prediction."""
    model = session(path)
    run, name, names = model.run, model.get_inputs()[0].name, [model.get_outputs()[0].name]

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        rows = np.array(orjson.loads(body)["inputs"], np.float32)
        answer = orjson.dumps({"outputs": run(names, {name: rows})[0]}, option=orjson.OPT_SERIALIZE_NUMPY)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def serve(app: Any, port: int) -> None:
    """Run it with the settings of uvicorn that Turnout's host uses."""
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        port=port,
        interface="asgi3",
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    serve(application(sys.argv[1]), int(sys.argv[2]))
