"""Real servers that take alerts: a webhook that behaves as it is told, and one for e-mail."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook(ThreadingHTTPServer):
    """Keeps what it got.

    Args:
        answers: Status codes, one a request, the last one for ever; `hang` answers nothing.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, *answers: int | str) -> None:
        self.answers = list(answers)
        self.got: list[dict[str, Any]] = []
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"json://127.0.0.1:{self.server_address[1]}/hook"

    @property
    def ids(self) -> list[str]:
        """The ids of the alerts it got."""
        return [one["id"] for one in self.got]


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        """Take it."""
        server = self.server
        server.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if answer == "hang":
            server.released.wait(60)
            return
        self.send_response(int(answer))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def webhook(*answers: int | str) -> Iterator[Webhook]:
    """One that is gone afterwards."""
    with Webhook(*answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()


class Mail(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as is needed, and keeps the letters."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.letters: list[str] = []
        super().__init__(("127.0.0.1", 0), _Session)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.server_address[1]
        return port


class _Session(socketserver.StreamRequestHandler):
    server: Mail

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            word = line[:4].upper()
            if word == "DATA":
                self._say("354 go on")
                letter = b""
                while not letter.endswith(b"\r\n.\r\n"):
                    letter += self.rfile.readline()
                self.server.letters.append(letter.decode())
            self._say("221 bye" if word == "QUIT" else "250 fine")
            if word == "QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail() -> Iterator[Mail]:
    """One that is gone afterwards."""
    with Mail() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
