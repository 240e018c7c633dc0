"""The short way through the HTTP parser: who takes it, and that nobody can tell from outside."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from uvicorn.server import ServerState

from pipelines.serving.asgi import Receive, Scope, Send, respond
from pipelines.serving.replica import Replica
from pipelines.serving.shortcut import shortcut
from tests.serving.bentos import Server, make_slow_bento, running_host, tensor_rows

GOOD = json.dumps({"inputs": tensor_rows(2)}).encode()
BAD = GOOD.replace(b"0", b"null", 1)


def request(body: bytes = GOOD, *, line: str = "POST /predict HTTP/1.1", **headers: str) -> bytes:
    """A request as bytes; `content_type="..."` becomes a header, an empty one is left out."""
    given = {"content_type": "application/json", "content_length": str(len(body)), **headers}
    head = [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value]
    return "\r\n".join([line, "host: test", *head, "", ""]).encode() + body


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += bytes(data)

    def is_closing(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Stays open."""

    def pause_reading(self) -> None:
        """Nothing reads."""

    def resume_reading(self) -> None:
        """Nothing reads."""


async def send_through(replica: Replica, parts: list[bytes]) -> tuple[bytes, int]:
    """What the protocol wrote for those bytes, and how many requests came to the ASGI application."""
    came = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal came
        came += 1
        body = b""
        while scope["method"] == "POST":
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await respond(send, 299, body, [])

    protocol = shortcut(replica)
    config = uvicorn.Config(app, interface="asgi3", http=protocol, lifespan="off", log_config=None)
    config.load()
    connection = protocol(config, ServerState(), {}, asyncio.get_running_loop())
    transport = Transport()
    connection.connection_made(transport)
    for part in parts:
        connection.data_received(part)
        while connection.tasks:
            await asyncio.sleep(0)
    connection.connection_lost(None)
    return transport.written, came


@pytest.fixture
def replica(tensor_bento: Path) -> Replica:
    """A loaded replica with fresh counts."""
    made = Replica(tensor_bento)
    made.load()
    return made


@pytest.mark.parametrize(
    "parts",
    [
        [request()],
        [request(x_request_id="abc")],
        [request()[:30], request()[30:200], request()[200:]],
        [bytes([byte]) for byte in request()],
        [request() + request() + request()],
    ],
)
def test_right_requests_never_reach_the_application(replica: Replica, parts: list[bytes]) -> None:
    """However the network cuts them, one or several on end; each is counted."""
    written, came = asyncio.run(send_through(replica, parts))
    asked = b"".join(parts).count(b"POST /predict")
    assert came == 0
    assert written.count(b"HTTP/1.1 200 OK\r\n") == asked
    assert replica.metrics.outcomes["ok"] == asked
    assert replica.metrics.batch_rows.total == 2 * asked
    assert sum(replica.metrics.seconds.counts) == asked


@pytest.mark.parametrize(
    "sent",
    [
        request(line="GET /predict HTTP/1.1"),
        request(line="POST /predict?x=1 HTTP/1.1"),
        request(line="POST /predictions HTTP/1.1"),
        request(line="POST /predict HTTP/1.0"),
        request(BAD),
        request(b"{"),
        request(b""),
        request(content_type="application/json; charset=utf-8"),
        request(content_type="text/plain"),
        request(content_encoding="gzip"),
        request(connection="close"),
        request(expect="100-continue"),
        request(b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD), content_length="", transfer_encoding="chunked"),
        request(json.dumps({"inputs": tensor_rows(2000)}).encode()),
    ],
)
def test_anything_out_of_the_ordinary_goes_to_the_application_whole(replica: Replica, sent: bytes) -> None:
    """Nothing has been counted or answered before; the body is all there."""
    written, came = asyncio.run(send_through(replica, [sent]))
    assert came == 1
    assert b"HTTP/1.1 299" in written
    if b"POST" in sent and b"chunked" not in sent:
        assert written.endswith(sent.partition(b"\r\n\r\n")[2])
    assert not any(replica.metrics.outcomes.values())


def test_a_model_that_is_slow_or_not_there_goes_to_the_application(tensor_bento: Path, replica: Replica) -> None:
    """So does one that nobody knows to be safe in threads, and a batch that would take long."""
    assert asyncio.run(send_through(Replica(tensor_bento), [request()]))[1] == 1
    assert replica.predictor is not None
    replica.predictor.pace.each = 0.006
    assert asyncio.run(send_through(replica, [request()]))[1] == 1
    replica.predictor.pace.each, replica.predictor.pace.first = 0.0, 0.006
    assert asyncio.run(send_through(replica, [request()]))[1] == 1
    replica.predictor.pace.first, replica.predictor.takes_threads = 0.0, False
    assert asyncio.run(send_through(replica, [request()]))[1] == 1


def test_answers_keep_their_order_on_one_connection(replica: Replica) -> None:
    """Right and wrong requests by turns, all sent before the first answer."""
    sent = request() + request(BAD) + request() + request(line="GET / HTTP/1.1") + request()
    written, came = asyncio.run(send_through(replica, [sent]))
    statuses = [part[:3] for part in written.split(b"HTTP/1.1 ")[1:]]
    assert statuses[:2] == [b"200", b"299"]
    assert len(statuses) == 5
    assert statuses[3] == b"299"
    assert came >= 2


def test_a_client_that_leaves_within_its_body_is_counted(replica: Replica) -> None:
    """As on the ordinary way."""
    written, came = asyncio.run(send_through(replica, [request()[:-5]]))
    assert (written, came) == (b"", 0)
    assert replica.metrics.outcomes["disconnected"] == 1


@contextmanager
def connected(host: Server) -> Iterator[socket.socket]:
    """A raw connection to a host."""
    place = urlsplit(host.url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """All that comes until the host closes."""
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def heads(answer: bytes) -> tuple[str, dict[str, Any]]:
    """The status line and the headers of an answer."""
    first, *lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines)


def test_both_ways_give_the_same_answer(tensor_host: Server) -> None:
    """Status line, headers and body, but for the id and the date."""
    with connected(tensor_host) as connection:
        connection.sendall(request() + request(content_type="application/json;", connection="close"))
        answers = everything(connection).split(b"HTTP/1.1 ")[1:]
    short, long = (heads(answer) for answer in answers)
    assert short[0] == long[0] == "200 OK"
    assert long[1].pop("connection") == "close"
    assert (
        set(short[1]) == set(long[1]) == {"date", "content-type", "content-length", "x-model-version", "x-request-id"}
    )
    for name in ("content-type", "content-length", "x-model-version"):
        assert short[1][name] == long[1][name]
    assert short[1]["x-request-id"] != long[1]["x-request-id"]
    assert answers[0].partition(b"\r\n\r\n")[2] == answers[1].partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("line", "more"), [("POST /predict HTTP/1.0", {}), ("POST /predict HTTP/1.1", {"connection": "close"})]
)
def test_a_connection_that_is_to_close_closes(tensor_host: Server, line: str, more: dict[str, str]) -> None:
    """After its answer."""
    with connected(tensor_host) as connection:
        connection.sendall(request(GOOD, line=line, **more))
        assert heads(everything(connection))[0].endswith("200 OK")


def test_a_stop_waits_for_a_body_that_is_still_coming(tensor_bento: Path) -> None:
    """SIGTERM after half a body: the request is answered, then the connection and the process end."""
    with running_host(tensor_bento) as host, connected(host) as connection:
        sent = request()
        connection.sendall(request() + sent[:-20])
        assert b"200 OK" in connection.recv(65536)
        host.process.send_signal(signal.SIGTERM)
        host.client.close()
        wait_until_refused(host)
        connection.sendall(sent[-20:])
        answer = everything(connection)
        assert b"200 OK" in answer
        assert b"connection: close" in answer
        assert host.process.wait(30) == 0


def wait_until_refused(host: Server) -> None:
    """Return when the host takes no new connections: its stop has begun."""
    place = urlsplit(host.url)
    while True:
        try:
            socket.create_connection((place.hostname, place.port), timeout=5).close()
        except OSError:
            return


def test_a_slow_host_answers_small_requests_too(tmp_path: Path) -> None:
    """The whole protocol around a model that is never quick."""
    with running_host(make_slow_bento(tmp_path, rounds=4000)) as host:
        assert len(host.predict(tensor_rows(2)).json()["outputs"]) == 2
