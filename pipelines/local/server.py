"""The daemon's door: HTTP over a Unix socket that only its owner can open."""

from __future__ import annotations

import json
import os
import socketserver
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from pipelines.errors import BadInput, Interrupted, Refused, TurnoutError
from pipelines.local.protocol import HEADER, PROTOCOL, STREAM

KEPT = 200
"""Ended operations that can still be followed."""
MAX_BODY_BYTES = 1_000_000


class Followed:
    """What an operation says, kept for whoever follows it, also from the beginning."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []
        self._said = threading.Condition()
        self.is_over = False

    def say(self, line: dict[str, Any]) -> None:
        """Add a line; nothing is added after `done` or `error`."""
        with self._said:
            if not self.is_over:
                self._lines.append(line)
                self.is_over = "done" in line or "error" in line
                self._said.notify_all()

    def lines(self) -> Iterator[dict[str, Any]]:
        """All lines, each as soon as it is said."""
        seen = 0
        while True:
            with self._said:
                while seen == len(self._lines):
                    if self.is_over:
                        return
                    self._said.wait()
                line = self._lines[seen]
            seen += 1
            yield line


class Followings:
    """The operations that can be followed, by id."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Followed] = OrderedDict()
        self._guard = threading.Lock()

    def forbid(self, key: str) -> None:
        """Work that has not begun never will: who asked for it has cancelled already, and overtook the request."""
        with self._guard:
            if key not in self._all:
                followed = self._all[key] = Followed()
                followed.say({"error": Interrupted("it was cancelled before it began").as_dict()})

    def begin(self, key: str, work: Callable[[Followed], None]) -> Followed:
        """Start the work in a thread of its own, once for each key; its last line is `done` or `error`."""
        with self._guard:
            if key in self._all:
                return self._all[key]
            followed = self._all[key] = Followed()
            for old in [name for name, one in self._all.items() if one.is_over][:-KEPT]:
                del self._all[old]
        threading.Thread(target=_carry_out, args=(work, followed), name=f"operation {key}", daemon=True).start()
        return followed

    def get(self, key: str) -> Followed | None:
        """One operation."""
        with self._guard:
            return self._all.get(key)


def _carry_out(work: Callable[[Followed], None], followed: Followed) -> None:
    try:
        work(followed)
    except TurnoutError as error:
        followed.say({"error": error.as_dict()})
    except Exception as error:
        # Whoever follows must hear of it; the traceback goes to the daemon's log.
        followed.say({"error": TurnoutError(f"the daemon failed: {type(error).__name__}: {error}").as_dict()})
        raise


class Service(Protocol):
    """What can be asked of the daemon."""

    def hello(self) -> dict[str, Any]:
        """Who answers."""

    def begin(self, body: dict[str, Any]) -> Followed:
        """Start an operation, or find the one with the same id."""

    def follow(self, operation: str) -> Followed:
        """One operation."""

    def cancel(self, operation: str) -> bool:
        """Ask an operation to stop."""

    def status(self) -> dict[str, Any]:
        """What runs."""

    def history(self, model: str, limit: int) -> list[dict[str, Any]]:
        """What happened to a model."""

    def logs(self, ref: str | None, lines: int) -> list[str]:
        """What was printed."""

    def ask(self, name: str, asked: Mapping[str, str]) -> Any:
        """Answer a question to one of the daemon's rooms."""

    def tell(self, name: str, body: Mapping[str, Any]) -> Any:
        """Carry out an order to one of the daemon's rooms."""

    def up(self) -> Followed:
        """Bring back what was live."""

    def down(self) -> Followed:
        """Stop everything, this process last."""

    def retire(self) -> None:
        """End this process and nothing else."""


class Door(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves requests, each in a thread of its own.

    Args:
        path: The socket; one left by a dead daemon is replaced.
        service: Who answers.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, service: Service) -> None:
        self.service = service
        self._answering = 0
        self._changed = threading.Condition()
        with suppress(FileNotFoundError):
            path.unlink()
        # The folder is the owner's alone; the socket is too, from its first moment.
        before = os.umask(0o177)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count it before its thread begins: `finish` must not overlook one that was accepted."""
        with self._changed:
            self._answering += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Called once for each request, when it has been answered or has failed."""
        super().shutdown_request(request)
        with self._changed:
            self._answering -= 1
            self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Wait until all that was accepted is answered, but not longer than that."""
        with self._changed:
            self._changed.wait_for(lambda: self._answering <= 0, seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Door

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def address_string(self) -> str:
        """A Unix socket has no address."""
        return "client"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing: operations are in the journal."""

    def _answer(self, method: str) -> None:
        try:
            found = self._route(method)
        except TurnoutError as error:
            self._send({"error": error.as_dict()}, 400)
            return
        if isinstance(found, Followed):
            self._stream(found)
        else:
            self._send(found, 200)

    def _route(self, method: str) -> Any:
        url = urlsplit(self.path)
        service, parts = self.server.service, url.path.strip("/").split("/")
        asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
        match method, parts:
            case "GET", ["hello"]:
                return service.hello()
            case "POST", ["retire"]:
                return service.retire()
        self._check_protocol()
        return self._write(parts) if method == "POST" else self._read(parts, asked)

    def _write(self, parts: list[str]) -> Any:
        service = self.server.service
        match parts:
            case ["operations"]:
                return service.begin(self._body())
            case ["operations", operation, "cancel"]:
                return {"cancelled": service.cancel(operation)}
            case ["up"]:
                return service.up()
            case ["down"]:
                return service.down()
            case [name]:
                return service.tell(name, self._body())
        raise self._unknown()

    def _read(self, parts: list[str], asked: Mapping[str, str]) -> Any:
        service = self.server.service
        match parts:
            case ["operations", operation]:
                return service.follow(operation)
            case ["status"]:
                return service.status()
            case ["history"]:
                return service.history(asked.get("model", ""), _count(asked.get("limit", "100")))
            case ["logs"]:
                return service.logs(asked.get("ref"), _count(asked.get("lines", "100")))
            case [name]:
                return service.ask(name, asked)
        raise self._unknown()

    def _unknown(self) -> BadInput:
        return BadInput(f"the daemon has no {self.command} {self.path}")

    def _check_protocol(self) -> None:
        said = self.headers.get(HEADER, "")
        if said != str(PROTOCOL):
            raise Refused(
                f"the client speaks protocol {said or 'none'} and the daemon {PROTOCOL}",
                then="Upgrade the older one; `turnout up` replaces an older daemon.",
            )

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("content-length", "0"))
        if length > MAX_BODY_BYTES:
            raise BadInput(f"{length} bytes are no operation")
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError as error:
            raise BadInput(f"this is no JSON: {error}") from error
        if not isinstance(body, dict):
            raise BadInput("an operation is a JSON object")
        return body

    def _send(self, found: Any, status: int) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, followed: Followed) -> None:
        self.send_response(200)
        self.send_header("content-type", STREAM)
        self.end_headers()
        # A client that goes away cancels nothing.
        with suppress(ConnectionError):
            for line in followed.lines():
                self.wfile.write(json.dumps(line).encode() + b"\n")
                self.wfile.flush()


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BadInput(f"{text!r} is no number of lines")
    return int(text)
