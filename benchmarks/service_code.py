"""`python -m benchmarks.service_code`: what a function before and one after the model cost a request.

Three hosts of the same model, bare, with one function and with both, get the same load in turns; so whatever else the
machine does meets all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import cast
from urllib.parse import urlsplit

import uvloop

from pipelines.values import Field
from tests.serving.bentos import TENSOR, make_tensor_bento, running_host, tensor_rows
from tests.serving.coded import add_code

CONNECTIONS = 16
SCALE = "def preprocess(inputs):\n    return inputs * 0.5\n"
TOP = "def postprocess(outputs):\n    return outputs.argmax(axis=1)\n"
DIGIT = replace(TENSOR, outputs=(Field("digit", "int64"),))


class Client(asyncio.Protocol):
    """One connection: the next request as soon as the last is answered."""

    def __init__(self, request: bytes) -> None:
        self.answers = 0
        self.failed = 0
        self._request = request
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count an answer that is complete, and send the next request."""
        self._seen += data
        head, mark, body = self._seen.partition(b"\r\n\r\n")
        if not mark or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        self._seen = b""
        self.answers += 1
        self.failed += not head.startswith(b"HTTP/1.1 200")
        self._transport.write(self._request)


async def press(url: str, rows: int, seconds: float) -> float:
    """Answers a second over CONNECTIONS connections."""
    body = json.dumps({"inputs": tensor_rows(rows)}).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    host, _, port = urlsplit(url).netloc.partition(":")
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Client(head.encode() + body), host, int(port)) for _ in range(CONNECTIONS)
    ]
    clients = [client for _, client in made]
    await asyncio.sleep(0.5)
    before, began = sum(client.answers for client in clients), time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (sum(client.answers for client in clients) - before) / (time.perf_counter() - began)
    for transport, _ in made:
        transport.abort()
    if failed := sum(client.failed for client in clients):
        raise SystemExit(f"{failed} answers were no 200")
    return rate


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service_code", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns each host gets (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of load in a turn (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bentos = {
            "bare": make_tensor_bento(Path(folder) / "bare"),
            "preprocess": add_code(make_tensor_bento(Path(folder) / "one"), TENSOR, preprocess=SCALE),
            "both": add_code(make_tensor_bento(Path(folder) / "both"), DIGIT, preprocess=SCALE, postprocess=TOP),
        }
        hosts = {name: stack.enter_context(running_host(bento)) for name, bento in bentos.items()}
        for rows in (1, 32):
            seen: dict[str, list[float]] = {name: [] for name in hosts}
            for _ in range(options.rounds):
                for name, host in hosts.items():
                    seen[name].append(uvloop.run(press(host.url, rows, options.seconds)))
            bare = median(seen["bare"])
            for name, rates in seen.items():
                rate = median(rates)
                cost = (1 / rate - 1 / bare) * 1e6
                sys.stdout.write(
                    f"{rows:3} rows  {name:10}  {rate:8.0f} requests/s ({min(rates):.0f} to {max(rates):.0f})"
                    f"  {cost:+6.1f} us a request\n"
                )


if __name__ == "__main__":
    main()
