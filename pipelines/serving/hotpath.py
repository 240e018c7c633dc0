"""`POST /predict`, in front of the BentoML application.

A pure ASGI middleware: the host puts it before everything, and `service.py` adds it to the BentoML service, so that
plain `bentoml serve` makes the very same checks.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError, get_running_loop
from time import perf_counter
from typing import Final

from pipelines.errors import BadRequest, ServeFailed, ServiceCodeFailed
from pipelines.serving.arms import ARM_HEADER, USER_HEADER, Arm
from pipelines.serving.asgi import App, Message, Receive, Scope, Send
from pipelines.serving.capture import JOIN_HEADER
from pipelines.serving.refusals import BLAMED, check_type, refuse, too_large, wrong_encoding, wrong_method
from pipelines.serving.replica import Replica

PARSE_INLINE_BYTES: Final = 64 * 1024
"""A longer body is parsed in a worker thread."""

_JSON: Final = b"application/json"
_CLOSE: Final = (b"connection", b"close")
_CONTENT_TYPE: Final = (b"content-type", _JSON)
_LOGGED_KINDS: Final = 20

logger = logging.getLogger("turnout.serving")


class _ClientLeft(Exception):
    """The connection closed before the whole body had come."""


class HotPath:
    """Answers prediction requests; everything else goes to the wrapped application.

    Args:
        app: The application behind.
        replica: What is served.
        prefix: Stands before `/predict`.
    """

    def __init__(self, app: App, replica: Replica, prefix: str = "") -> None:
        self._app = app
        self._replica = replica
        self._metrics = replica.metrics
        self._path = f"{prefix}/predict"
        self._limit = replica.manifest.max_body_bytes
        self._inline = min(PARSE_INLINE_BYTES, self._limit)
        self._version = (b"x-model-version", str(replica.manifest.ref).encode())
        self._ids = replica.ids
        self._logged: set[tuple[type[BaseException], type[BaseException], int]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        metrics = self._metrics
        metrics.in_flight += 1
        outcome = "failed"
        try:
            outcome = await self._serve(scope, receive, send)
        except _ClientLeft:
            outcome = "disconnected"
        finally:
            metrics.in_flight -= 1
            metrics.outcomes[outcome] += 1
            metrics.seconds.add(perf_counter() - started)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> str:
        """Answer, and say how it ended."""
        headers = dict(scope["headers"])
        known = headers.get(b"x-request-id")
        request_id = (b"x-request-id", self._ids.next() if known is None else self._ids.kept(known))
        is_read = False
        try:
            self._check_head(scope["method"], headers)
            message = await receive()
            body = await self._rest(message, receive) if message.get("more_body", True) else message["body"]
            is_read = True
            marked = headers.get(ARM_HEADER)
            arm = None if marked is None else self._replica.arms.of(marked)
            payload = await self._answer(body, arm, headers.get(USER_HEADER))
        except (BadRequest, ServeFailed, ServiceCodeFailed) as error:
            self._log(error, request_id[1])
            marks = [self._version, request_id]
            await refuse(error, marks, receive, send, None if is_read else headers, self._limit)
            return _outcome(error)
        except _ClientLeft:
            raise
        except CancelledError:
            stopping = ServeFailed("the host is stopping and has given this request up", then="Send it again.")
            await refuse(stopping, [self._version, request_id, _CLOSE], receive, send, None, self._limit)
            return "failed"
        except Exception as error:
            logger.exception("a request could not be answered", extra=_of(request_id[1]))
            failed = ServeFailed(f"the host failed at this request: {type(error).__name__}", then="Its log says more.")
            await refuse(failed, [self._version, request_id], receive, send, None, self._limit)
            return "failed"
        head = [_CONTENT_TYPE, (b"content-length", b"%d" % len(payload)), self._version, request_id]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": payload})
        capture = self._replica.capture
        if capture is not None and JOIN_HEADER in headers:
            user = headers.get(USER_HEADER)
            capture.offer(headers[JOIN_HEADER], request_id[1], marked, user, body, payload)
        return "ok"

    def _check_head(self, method: str, headers: dict[bytes, bytes]) -> None:
        if method != "POST":
            raise wrong_method(method)
        content_type = headers.get(b"content-type", _JSON)
        if content_type != _JSON:
            check_type(content_type)
        if b"content-encoding" in headers:
            raise wrong_encoding(headers[b"content-encoding"])
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._limit:
            raise too_large(self._limit)

    async def _rest(self, message: Message, receive: Receive) -> bytearray:
        """The body that begins with `message`; never more of it in memory than the limit."""
        body = bytearray()
        while message["type"] == "http.request":
            body += message.get("body", b"")
            if len(body) > self._limit:
                raise too_large(self._limit)
            if not message.get("more_body", False):
                return body
            message = await receive()
        raise _ClientLeft

    async def _answer(self, body: bytes | bytearray, arm: Arm | None, user: bytes | None) -> bytes:
        predictor = self._replica.predictor
        if predictor is None:
            raise ServeFailed(f"{self._replica.manifest.ref} is still being loaded", then="Try again in a second.")
        if len(body) > self._inline:
            if len(body) > self._limit:
                raise too_large(self._limit)
            found = await get_running_loop().run_in_executor(self._replica.pool, predictor.weigh_body, body)
            payload, rows, prediction, seconds = found
        else:
            start = perf_counter()
            arrays, rows = predictor.decode(body)
            spent = perf_counter() - start
            if predictor.is_quick(arrays, rows):
                payload, prediction, seconds = predictor.weigh(arrays, rows)
            else:
                work = get_running_loop().run_in_executor(self._replica.pool, predictor.weigh, arrays, rows)
                payload, prediction, seconds = await work
            seconds += spent
        if arm is not None:
            arm.add(seconds, prediction, user)
        self._metrics.batch_rows.add(rows)
        return payload

    def _log(self, error: BadRequest | ServeFailed | ServiceCodeFailed, request_id: bytes) -> None:
        """Each kind of exception that a model or a function raises once, with its traceback."""
        cause = error.__cause__
        if cause is None:
            return
        kind = (type(error), type(cause), _line(cause) if isinstance(error, ServiceCodeFailed) else 0)
        if kind not in self._logged and len(self._logged) < _LOGGED_KINDS:
            self._logged.add(kind)
            said = "%s (further ones of this kind are only counted)"
            logger.warning(said, error, exc_info=cause, extra=_of(request_id))


def _of(request_id: bytes) -> dict[str, str]:
    """For a log record: the request it belongs to."""
    return {"request_id": request_id.decode("latin-1")}


def _line(error: BaseException) -> int:
    """Where an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_lineno if trace is not None else 0


def _outcome(error: BadRequest | ServeFailed | ServiceCodeFailed) -> str:
    if isinstance(error, BadRequest):
        return error.kind if error.kind in BLAMED else "rejected"
    return "failed"
