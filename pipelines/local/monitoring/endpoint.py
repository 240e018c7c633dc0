"""Where Prometheus asks: HTTP on a port of this machine, reading only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipelines.errors import ServeFailed, TurnoutError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FRESH_SECONDS = 1.0
"""Whoever asks again within that time gets the same samples: however many ask, nothing is disturbed more often."""
PATIENCE_SECONDS = 5.0
"""How long a client may take to send its request, or to take the answer."""

Page = Callable[[], bytes]


class Kept:
    """A page that is made at most once a second, by one thread at a time.

    Args:
        make: Makes it; may raise TurnoutError.
        monotonic: Seconds.
    """

    def __init__(self, make: Page, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._page = b""
        self._until = 0.0

    def __call__(self) -> bytes:
        """The page."""
        with self._guard:
            if not self._page or self._monotonic() >= self._until:
                self._page = self._make()
                self._until = self._monotonic() + FRESH_SECONDS
            return self._page


class Endpoint:
    """The open port.

    Args:
        port: Of 127.0.0.1.
        pages: By path.

    Raises:
        ServeFailed: the port is taken.
    """

    def __init__(self, port: int, pages: Mapping[str, Page]) -> None:
        self.port = port
        try:
            self._server = _Server(port, {path: Kept(page) for path, page in pages.items()})
        except OSError as error:
            raise ServeFailed(
                f"port {port}, where the samples for Prometheus shall be, cannot be had: {error.strerror}",
                then="Stop what uses it, or set another `port` in [tool.turnout.monitoring]; 0 is for none.",
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="samples", daemon=True).start()

    def close(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int, pages: Mapping[str, Kept]) -> None:
        self.pages = pages
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or never asked, is no error of ours."""
        import sys

        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self._send(404, "text/plain", f"there are {', '.join(self.server.pages)}\n".encode())
            return
        try:
            body = page()
        except (TurnoutError, OSError) as error:
            self._send(503, "text/plain", f"{error}\n".encode())
            return
        self._send(200, CONTENT_TYPE, body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
