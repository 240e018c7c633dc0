"""What a host answers beside predictions: probes and metrics itself, the rest through the BentoML application."""

from __future__ import annotations

import asyncio
import logging
from asyncio import get_running_loop
from collections.abc import Callable
from typing import Any

import orjson

from pipelines.errors import ServeFailed
from pipelines.serving.asgi import App, Message, Receive, Scope, Send, respond
from pipelines.serving.labels import LabelDoor, Spool
from pipelines.serving.metrics import CONTENT_TYPE, render
from pipelines.serving.refusals import refuse
from pipelines.serving.replica import Replica

logger = logging.getLogger("turnout.serving")

_JSON = (b"content-type", b"application/json")

# BentoML's page asks Google for its tag manager; who looks at a model's page should be seen by nobody else.
_OWN_ONLY = (b"content-security-policy", b"default-src 'self' 'unsafe-inline' data:")


class Probes:
    """Answers `/livez`, `/healthz`, `/readyz`, `/metrics`, `/arms`, `/labels`; all else goes to the application behind.

    All are answered on the event loop, since whatever takes long runs in threads: a probe that is late means that
    predictions are late, too.

    Args:
        app: The application behind.
        replica: What is served.
        spool: Where labels go; None where nobody comes for them.
    """

    def __init__(self, app: App, replica: Replica, spool: Spool | None = None) -> None:
        self._app = app
        self._labels = LabelDoor(replica.manifest, spool)
        self._replica = replica
        ref = replica.manifest.ref
        self._about = orjson.dumps({"instance": replica.instance, "model": ref.model, "version": ref.number})
        self._headers = [_JSON, (b"x-model-version", str(ref).encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        path = scope["path"] if scope["type"] == "http" else ""
        if path in ("/livez", "/healthz"):
            await respond(send, 200, self._about, self._headers)
        elif path == "/arms":
            replica = self._replica
            counted = orjson.dumps({"instance": replica.instance, "arms": replica.arms.as_dict()})
            await respond(send, 200, counted, self._headers)
        elif path == "/metrics":
            replica = self._replica
            text = await asyncio.to_thread(render, replica.metrics, replica.manifest, replica.instance)
            await respond(send, 200, text, [(b"content-type", CONTENT_TYPE)])
        elif path == "/labels":
            await self._labels(scope, receive, send)
        elif scope["type"] == "http" and self._replica.predictor is None:
            loading = ServeFailed(f"{self._replica.manifest.ref} is still being loaded", then="Try again in a second.")
            await refuse(loading, [], receive, send, None, 0)
        elif path == "/readyz":
            await respond(send, 200, self._about, self._headers)
        else:
            await self._app(scope, receive, _page(send) if path == "/" else send)


def _page(send: Send) -> Send:
    """Sends a page that a browser lets load nothing from elsewhere."""

    async def send_page(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), _OWN_ONLY]}
        await send(message)

    return send_page


class LateApp:
    """The BentoML application, loaded when it is first asked for.

    Importing it takes longer than all the rest of a start and some 40 MB, and predictions do not need it.

    Args:
        load: Imports and makes it; runs in a thread.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._app: asyncio.Future[App] | None = None
        self._life: asyncio.Task[None] | None = None
        self._end = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if self._app is None:
            self._app = get_running_loop().create_future()
            self._life = asyncio.create_task(self._live(self._app))
        try:
            app = await asyncio.shield(self._app)
        except ServeFailed as error:
            await refuse(error, [], receive, send, None, 0)
            return
        await app(scope, receive, send)

    async def _live(self, made: asyncio.Future[App]) -> None:
        """Load the application and hold its lifespan open until `stop`."""
        try:
            app = await asyncio.to_thread(self._load)
            async with app.router.lifespan_context(app):
                made.set_result(app)
                await self._end.wait()
        except Exception as error:
            logger.exception("the BentoML application cannot be run")
            if not made.done():
                reason = f"{type(error).__name__}: {error}"
                made.set_exception(ServeFailed(f"the BentoML application cannot be loaded: {reason}"))

    async def stop(self) -> None:
        """End its lifespan."""
        self._end.set()
        if self._life is not None:
            await self._life
