"""A host that misbehaves on demand. The tests put it into a bento folder as `pipelines/serving/host.py`.

The file `mode` beside the bento's manifest says how `/predict` is answered, read anew for each request:
`ok`, `503`, `422` (its own fault), `400` (the client's), `reset`, `hang`, `slow` (a second and a half), `nan`,
`deaf` (as `hang`, and the probes hang as well).
With the mode `crash` it ends as it starts; with `never` it is never ready.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from pathlib import Path

OPTIONS = argparse.ArgumentParser()
for name in ("--bento", "--uds", "--instance"):
    OPTIONS.add_argument(name)
GIVEN = OPTIONS.parse_args()
FOLDER = Path(GIVEN.bento)
MODEL, VERSION = (FOLDER / "name").read_text().split("@")
SLOW_SECONDS = 1.5


def mode() -> str:
    """How to behave just now."""
    return (FOLDER / "mode").read_text().strip()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {key.lower(): value for key, _, value in pairs}
            body = await read_body(reader, headers)
            path = head[0].split(" ")[1]
            status, answer = await answered(path, headers, body)
            if status == 0:
                writer.transport.abort()
                return
            text = json.dumps(answer).encode()
            lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(text)}"]
            lines.append(f"x-model-version: {MODEL}@{VERSION}")
            if status == 422:
                lines.append("x-turnout-failure: non_finite")
            if headers.get("connection", "").lower() == "close":
                lines.append("connection: close")
            writer.write("\r\n".join([*lines, "", ""]).encode() + text)
            await writer.drain()
    writer.close()


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """The request's body, however it is framed."""
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


async def answered(path: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
    """Status and answer; status 0 breaks the connection."""
    now = mode()
    if path in ("/livez", "/readyz"):
        if now == "deaf":
            await asyncio.sleep(3600)
        return (503 if now == "never" and path == "/readyz" else 200), {"instance": GIVEN.instance}
    if path != "/predict":
        return 200, {"path": path, "headers": headers}
    with (FOLDER / "seen").open("a") as seen:
        seen.write(json.dumps({"headers": headers, "bytes": len(body)}) + "\n")
    return await predicted(now, headers, json.loads(body))


async def predicted(now: str, headers: dict[str, str], asked: dict[str, list[object]]) -> tuple[int, object]:
    """The answer to a prediction, in the present mode; a request may ask for `slow` by itself."""
    if now in ("503", "422", "400"):
        return int(now), {"error": "told to"}
    if now == "reset":
        return 0, None
    if now in ("hang", "deaf"):
        await asyncio.sleep(3600)
    if now == "slow" or headers.get("x-test") == "slow":
        await asyncio.sleep(SLOW_SECONDS)
    value = float("nan") if now == "nan" else 1.0
    return 200, {"outputs": [value for _ in asked["inputs"]], "model": MODEL, "version": int(VERSION)}


async def main() -> None:
    """Serve until the process is ended."""
    if mode() == "crash":
        sys.stderr.write("the tiny host was told to crash\n")
        sys.exit(3)
    Path(GIVEN.uds).unlink(missing_ok=True)
    async with await asyncio.start_unix_server(serve, GIVEN.uds, limit=2**25) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
