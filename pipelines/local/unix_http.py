"""HTTP to a process on this machine, over its Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise


def ask(
    path: Path,
    target: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    timeout: float = 1.0,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """One request over a connection of its own.

    Args:
        path: The socket.
        target: Path and query.
        method: Of the request.
        body: JSON, if any.
        timeout: Seconds for each single read or write.
        headers: More of them.

    Raises:
        OSError: nobody listens, or no answer came in time, or it was no HTTP (ConnectionError).
    """
    connection = _UnixConnection(path, timeout)
    try:
        kind = {"content-type": "application/json"} if body is not None else {}
        connection.request(method, target, body=body, headers={**kind, **(headers or {})})
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, named, answer.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"{path} answers no HTTP: {error!r}") from error
    finally:
        connection.close()
