"""Plainly right predictions, answered inside the HTTP parser's callback.

Most of what a small prediction costs is the way to the ASGI application and back: a task, an event, two coroutines and
a check of every header. This protocol spares them where nothing can go wrong any more: a short POST of plain JSON whose
rows are right and which the model answers at once. Everything else, every refusal too, goes the ordinary way from the
beginning and is decided by the hot path alone.
"""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pipelines.errors import BadRequest, ServiceCodeFailed
from pipelines.serving.arms import ARM_HEADER, USER_HEADER
from pipelines.serving.capture import JOIN_HEADER
from pipelines.serving.hotpath import PARSE_INLINE_BYTES
from pipelines.serving.replica import Replica

_LENGTH_DIGITS: Final = len(str(PARSE_INLINE_BYTES)) - 1
_EXTRAORDINARY: Final = frozenset({b"content-encoding", b"transfer-encoding", b"expect", b"upgrade", b"connection"})
_KEPT: Final = frozenset({b"x-request-id", ARM_HEADER, USER_HEADER, JOIN_HEADER})

logger = logging.getLogger("turnout.serving")


class Shortcut(HttpToolsProtocol):
    """uvicorn's protocol with a shorter way for `POST /predict`.

    `shortcut` makes the class for a replica.
    """

    replica: ClassVar[Replica]
    path: ClassVar[bytes]
    head: ClassVar[bytes]

    _holds = False
    """Whether a request is held back from the ASGI application until its body is there."""

    def on_headers_complete(self) -> None:
        """Hold the request back if it may take the short way."""
        if self.url == self.path and self._may_be_short():
            self._holds = True
            self._held = b""
            self._started = perf_counter()
        else:
            super().on_headers_complete()

    def _may_be_short(self) -> bool:
        predictor, cycle = self.replica.predictor, self.cycle
        if predictor is None or not predictor.is_quick_at_all() or not (cycle is None or cycle.response_complete):
            return False
        length = None
        kept: dict[bytes, bytes] = {}
        for name, value in self.headers:
            if name == b"content-type":
                if value != b"application/json":
                    return False
            elif name == b"content-length":
                length = value
            elif name in _KEPT:
                kept[name] = value
            elif name in _EXTRAORDINARY:
                return False
        self._kept = kept
        parser = self.parser
        return (
            length is not None
            and len(length) <= _LENGTH_DIGITS
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
        )

    def on_body(self, body: bytes) -> None:
        """Keep it with a request that is held back."""
        if self._holds:
            self._held += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer the request that is held back, or let it go the ordinary way."""
        if not self._holds:
            super().on_message_complete()
        elif not self._answer():
            self._release()
            super().on_message_complete()

    def shutdown(self) -> None:
        """Let a request whose body is still coming finish, as uvicorn does for those that it has passed on."""
        if self._holds:
            self._release()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a client that left within its body."""
        if self._holds:
            self._holds = False
            self.replica.metrics.outcomes["disconnected"] += 1
        super().connection_lost(exc)

    def _release(self) -> None:
        """Pass the request on as if it had just come."""
        self._holds = False
        super().on_headers_complete()
        if self._held:
            super().on_body(self._held)

    def _answer(self) -> bool:
        """Whether the request has been answered; if not, nothing has happened yet."""
        replica = self.replica
        predictor = replica.predictor
        if predictor is None or self.flow.write_paused:
            return False
        begun = perf_counter()
        try:
            arrays, rows = predictor.decode(self._held)
            if not predictor.is_quick(arrays, rows):
                return False
            outputs = predictor.predict(arrays, rows)
            payload = predictor.encode(outputs)
        except (BadRequest, ServiceCodeFailed):
            return False
        except Exception:
            logger.exception("a request could not take the short way")
            return False
        self._holds = False
        kept = self._kept
        marked, user = kept.get(ARM_HEADER), kept.get(USER_HEADER)
        if marked is not None and (arm := replica.arms.of(marked)) is not None:
            arm.add(perf_counter() - begun, predictor.read(outputs), user)
        known = kept.get(b"x-request-id")
        request_id = replica.ids.next() if known is None else replica.ids.kept(known)
        general = b"".join([b"%b: %b\r\n" % header for header in self.server_state.default_headers])
        self.transport.write(self.head % (general, len(payload), request_id, payload))
        metrics = replica.metrics
        metrics.outcomes["ok"] += 1
        metrics.batch_rows.add(rows)
        metrics.seconds.add(perf_counter() - self._started)
        if replica.capture is not None and JOIN_HEADER in kept:
            replica.capture.offer(kept[JOIN_HEADER], request_id, marked, user, self._held, payload)
        self.on_response_complete()
        return True


def shortcut(replica: Replica, path: str = "/predict") -> type[Shortcut]:
    """The protocol class that serves `replica`, for uvicorn's option `http`."""
    head = (
        b"HTTP/1.1 200 OK\r\n%%bcontent-type: application/json\r\ncontent-length: %%d\r\nx-model-version: %b\r\n"
        b"x-request-id: %%b\r\n\r\n%%b" % str(replica.manifest.ref).encode()
    )
    members: dict[str, Any] = {"replica": replica, "path": path.encode(), "head": head}
    return type("ReplicaShortcut", (Shortcut,), members)
