"""Probes and metrics before and after readiness, and the application that is loaded late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.serving.asgi import Receive, Scope, Send, respond
from pipelines.serving.probes import LateApp, Probes
from pipelines.serving.replica import Replica
from tests.serving.asgi import answered, exchange


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands for the BentoML application."""
    del receive
    await respond(send, 299, scope["path"].encode(), [])


def get(app: Any, path: str) -> Any:
    """GET it."""
    return answered(app, b"", method="GET", path=path)


def test_a_host_that_loads_is_alive_and_not_ready(tensor_bento: Path) -> None:
    """It answers probes and metrics; whoever wants more shall come again."""
    replica = Replica(tensor_bento)
    replica.instance = "one"
    app = Probes(behind, replica)
    assert get(app, "/livez").status == get(app, "/healthz").status == get(app, "/metrics").status == 200
    for path in ("/readyz", "/", "/docs.json"):
        answer = get(app, path)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.error["what"] == "digits@7 is still being loaded"


def test_a_warm_host_is_ready(tensor_bento: Path) -> None:
    """With its instance id; all other paths are passed on."""
    replica = Replica(tensor_bento)
    replica.instance = "one"
    replica.load()
    app = Probes(behind, replica)
    assert get(app, "/readyz").json == {"instance": "one", "model": "digits", "version": 7}
    assert get(app, "/docs.json").status == 299


def test_the_page_loads_nothing_from_elsewhere(tensor_bento: Path) -> None:
    """A browser is told to refuse what BentoML's page asks of other servers; other answers are left as they are."""
    replica = Replica(tensor_bento)
    replica.load()
    app = Probes(behind, replica)
    assert "default-src 'self'" in get(app, "/").headers["content-security-policy"]
    assert "content-security-policy" not in get(app, "/docs.json").headers


class Application:
    """An application with a lifespan, as Starlette's have it."""

    def __init__(self) -> None:
        self.lived: list[str] = []
        self.router = self

    @asynccontextmanager
    async def lifespan_context(self, app: Any) -> AsyncIterator[None]:
        """Begin and end."""
        assert app is self
        self.lived.append("begun")
        yield
        self.lived.append("ended")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer within the lifespan only."""
        assert self.lived == ["begun"]
        await behind(scope, receive, send)


def test_the_late_application_is_loaded_once_and_lives_until_the_stop() -> None:
    """At the first request, also when several come at once; nobody asks, nothing is loaded."""
    made: list[Application] = []

    def load() -> Application:
        made.append(Application())
        return made[-1]

    async def scenario() -> list[Any]:
        idle = LateApp(load)
        await idle.stop()
        assert not made
        app = LateApp(load)
        found = await asyncio.gather(*(exchange(app, [b""], {}, "GET", path) for path in ("/a", "/b", "/c")))
        await app.stop()
        return found

    assert [answer.body for answer in asyncio.run(scenario())] == [b"/a", b"/b", b"/c"]
    assert [application.lived for application in made] == [["begun", "ended"]]


def test_a_late_application_that_cannot_be_loaded_is_a_503(caplog: pytest.LogCaptureFixture) -> None:
    """With the reason, each time it is asked for; predictions go on without it."""

    def load() -> Any:
        raise ImportError("no module named 'service'")

    async def scenario() -> list[Any]:
        app = LateApp(load)
        found = [await exchange(app, [b""], {}, "GET", "/") for _ in range(2)]
        await app.stop()
        return found

    for answer in asyncio.run(scenario()):
        assert answer.status == 503
        assert "ImportError: no module named 'service'" in answer.error["what"]
    assert len(caplog.records) == 1
