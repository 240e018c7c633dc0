"""One request through an ASGI application, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.serving.asgi import App, Message

_END: Any = object()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    read: int
    """How many bytes of the request's body the application has asked for."""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The error that the body describes."""
        return self.json["error"]


def call(
    app: App,
    body: bytes | Iterable[bytes | None],
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    path: str = "/predict",
) -> Answer | None:
    """Send a request, its body in one part or several; None when the application sent no answer.

    A None among the parts is the client leaving.
    """
    return asyncio.run(exchange(app, [body] if isinstance(body, bytes) else body, headers or {}, method, path))


async def exchange(
    app: App, parts: Iterable[bytes | None], headers: Mapping[str, str], method: str, path: str
) -> Answer | None:
    """`call` on the running event loop."""
    coming = iter(parts)
    following = next(coming, _END)
    sent: list[Message] = []
    read = 0

    async def receive() -> Message:
        nonlocal following, read
        part = following
        if part is _END:
            await asyncio.Event().wait()  # the client waits for its answer
        if part is None:
            return {"type": "http.disconnect"}
        following = next(coming, _END)
        read += len(part)
        return {"type": "http.request", "body": part, "more_body": following is not _END}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "http_version": "1.1",
        "server": ("127.0.0.1", 3000),
        "client": ("127.0.0.1", 50000),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    await app(scope, receive, send)
    if not sent:
        return None
    head, *rest = sent
    content = b"".join(message["body"] for message in rest)
    assert not rest[-1].get("more_body", False), "the answer never ended"
    got = {name.decode(): value.decode("latin-1") for name, value in head["headers"]}
    return Answer(head["status"], got, content, read)


def answered(app: App, body: Any, headers: Mapping[str, str] | None = None, **options: Any) -> Answer:
    """`call` with a body that is bytes or becomes JSON, where an answer must come."""
    answer = call(app, body if isinstance(body, bytes) else json.dumps(body).encode(), headers, **options)
    assert answer is not None
    return answer
