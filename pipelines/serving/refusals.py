"""How a request is refused: the reasons that need no body, and the answer."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from pipelines.errors import BadRequest, ServeFailed, ServiceCodeFailed
from pipelines.serving.arms import FAILURE_HEADER
from pipelines.serving.asgi import Header, Receive, Send
from pipelines.serving.scalars import shorten

BLAMED: Final = frozenset({"model_error", "non_finite"})
"""Refusals that say 4xx and are the version's fault all the same."""

_LINGER_SECONDS: Final = 2.0


def wrong_method(method: str) -> BadRequest:
    """Not POST: 405."""
    return BadRequest(
        f"/predict does not take {method}", instead="it takes POST", status=405, kind="method_not_allowed"
    )


def wrong_encoding(encoding: bytes) -> BadRequest:
    """A compressed body: 415."""
    return BadRequest(
        f"the body is encoded as {_text(encoding)}",
        instead="it has to be plain JSON, without a content-encoding",
        status=415,
        kind="unsupported_media_type",
    )


def too_large(limit: int) -> BadRequest:
    """A body beyond the limit of `limit` bytes: 413."""
    return BadRequest(
        f"the body is longer than {limit:,} bytes",
        instead="that is the most this model takes",
        then="Send the rows in several requests.",
        status=413,
        kind="body_too_large",
    )


def check_type(content_type: bytes) -> None:
    """Accept JSON in UTF-8, written in any way.

    Raises:
        BadRequest: it is something else: 415.
    """
    kind, *parameters = content_type.decode("latin-1").lower().split(";")
    named = dict(part.strip().partition("=")[::2] for part in parameters)
    charset = named.get("charset", "utf-8").strip('"')
    if kind.strip() not in ("application/json", "") or charset not in ("utf-8", "utf8", "us-ascii"):
        raise BadRequest(
            f"the content type is {_text(content_type)}",
            instead="expected application/json in UTF-8",
            then="Send the header `content-type: application/json`.",
            status=415,
            kind="unsupported_media_type",
        )


def _text(header: bytes) -> str:
    return repr(shorten(header.decode("latin-1"), 80))


async def refuse(
    error: BadRequest | ServeFailed | ServiceCodeFailed,
    marks: list[Header],
    receive: Receive,
    send: Send,
    unread: dict[bytes, bytes] | None,
    limit: int,
) -> None:
    """Answer with the error as JSON.

    A body that has not been read is read on and thrown away for a moment, at most `limit` bytes: a client that is still
    sending would otherwise see a broken connection instead of the answer.

    Args:
        error: Why there is no answer.
        marks: Headers that every answer has.
        receive: From ASGI.
        send: From ASGI.
        unread: The request's headers when its body has not been read.
        limit: How many bytes are thrown away at most; with more to come the connection is closed.
    """
    if isinstance(error, BadRequest):
        status, kind, field = error.status, error.kind, error.field
    elif isinstance(error, ServiceCodeFailed):
        status, kind, field = 500, "service_code_error", ""
    else:
        status, kind, field = 503, "not_ready", ""
    body = json.dumps({"error": {**error.as_dict(), "type": kind, "field": field}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *marks]
    if kind in BLAMED:
        headers.append((FAILURE_HEADER, kind.encode()))
    if status == 405:
        headers.append((b"allow", b"POST"))
    if status == 503:
        headers.append((b"retry-after", b"1"))
    lingers = unread is not None and _has_body(unread)
    if unread is not None and lingers and (b"expect" in unread or not _is_short(unread, limit)):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": lingers})
    if lingers:
        await _throw_away(receive, limit)
        await send({"type": "http.response.body", "body": b""})


def _has_body(headers: dict[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def _is_short(headers: dict[bytes, bytes], limit: int) -> bool:
    length = headers.get(b"content-length")
    return length is not None and int(length) <= limit


async def _throw_away(receive: Receive, limit: int) -> None:
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while limit >= 0:
                message = await receive()
                limit -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
