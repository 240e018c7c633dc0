"""Sends one message by Apprise: `python -m pipelines.adapters.apprise_sender`, a process a message.

It reads a line of JSON, `{"url", "title", "body", "fields"}`, and answers `{"ok", "error"}`. When its input is closed,
whoever wanted it is gone, and it ends.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pipelines.errors import MissingExtra

_PLAIN = ("json://", "jsons://", "form://", "forms://")


class _Heard(logging.Handler):
    """Apprise says in its log why something failed; below WARNING it would tell addresses too."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def send(letter: Mapping[str, Any]) -> str | None:
    """Why the message did not arrive; None when it did.

    Args:
        letter: `url`, `title`, `body`, and `fields`, which a plain webhook gets beside them.
    """
    try:
        import apprise
    except ImportError:
        return str(MissingExtra.of("alerts", "apprise", "sending alerts"))
    log = logging.getLogger("apprise")
    log.propagate = False
    url = str(letter["url"])
    # What it says of an address that it does not know holds the address, secrets and all: nobody listens yet.
    log.addHandler(logging.NullHandler())
    service = _service(apprise, url, letter.get("fields") or {})
    if service is None:
        scheme = url.partition("://")[0]
        return f"this is no address that Apprise can send to ({scheme}://...)"
    heard = _Heard()
    log.addHandler(heard)
    if service.notify(title=letter["title"], body=letter["body"], notify_type="warning"):
        return None
    return "; ".join(heard.said) or "it was not taken"


def _service(apprise: Any, url: str, fields: Mapping[str, Any]) -> Any:
    """What sends to an address; an address of the web that belongs to no service gets JSON."""
    service = None if url.startswith(_PLAIN) else apprise.Apprise.instantiate(url)
    if service is not None:
        return service
    for scheme, plain in (("http://", "json://"), ("https://", "jsons://")):
        if url.startswith(scheme):
            url = plain + url.removeprefix(scheme)
    if url.startswith(_PLAIN) and fields:
        more = "&".join(f":{name}={quote(str(value), safe='')}" for name, value in fields.items())
        url += ("&" if "?" in url else "?") + more
    return apprise.Apprise.instantiate(url)


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Send the message that stands on the standard input."""
    letter = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    error = send(letter)
    print(json.dumps({"ok": error is None, "error": error}), flush=True)  # noqa: T201 - the answer
    # Not by the usual way: a thread waits for the input still.
    os._exit(0)


if __name__ == "__main__":
    main()
