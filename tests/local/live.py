"""A project with a gateway and hosts of its own, for the tests: all of it is gone afterwards."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines.local.envoy.settings import GatewaySettings
from pipelines.local.runtime import Runtime
from pipelines.local.target import LocalTarget
from pipelines.values import Bento, Split, VersionRef

TINY_HOST = Path(__file__).with_name("tiny_host.py")
BODY = json.dumps({"inputs": [[0.0]]}).encode()


def eventually(holds: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def tiny_bento(root: Path, ref: VersionRef, mode: str = "ok") -> Bento:
    """A folder that serves as a bento and brings its own host, which misbehaves on demand."""
    folder = root / "bentos" / str(ref)
    code = folder / "pipelines" / "serving"
    code.mkdir(parents=True, exist_ok=True)
    for package in (folder / "pipelines", code):
        (package / "__init__.py").touch()
    shutil.copy(TINY_HOST, code / "host.py")
    (folder / "name").write_text(str(ref))
    (folder / "mode").write_text(mode)
    (folder / "warmup.json").write_bytes(BODY)
    return Bento(ref, str(folder), digest=str(ref), is_passed=True)


@dataclass(frozen=True)
class Answer:
    """One answer.

    Args:
        status: Of HTTP; 0 when the connection broke.
        version: Who answered.
        headers: By name in lower case.
        body: As it came.
        began: When the request was sent, seconds.
        ended: When the answer had come.
    """

    status: int
    version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    began: float = 0.0
    ended: float = 0.0


@dataclass
class World:
    """A target with tiny bentos."""

    root: Path
    port: int
    target: LocalTarget
    generation: int = 0

    def ref(self, number: int, model: str = "digits") -> VersionRef:
        """A version."""
        return VersionRef(model, number)

    def start(self, number: int, mode: str = "ok", replicas: int = 1, model: str = "digits") -> Bento:
        """Start a version, and set its mode once it serves."""
        bento = tiny_bento(self.root, self.ref(number, model))
        self.target.start(bento, replicas, lambda _: None)
        self.behave(number, mode, model)
        return bento

    def behave(self, number: int, mode: str, model: str = "digits") -> None:
        """How a version answers from now on."""
        file = self.root / "bentos" / f"{model}@{number}" / "mode"
        new = file.with_name("mode.new")
        new.write_text(mode)
        new.replace(file)

    def seen(self, number: int) -> list[dict[str, Any]]:
        """The requests that have reached a version, its warm-up left out."""
        file = self.root / "bentos" / f"digits@{number}" / "seen"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [line for line in lines if "x-turnout-id" in line["headers"]]

    def route(self, *weights: tuple[int, int], warm: tuple[int, ...] = (), model: str = "digits", **more: Any) -> Split:
        """Route by (version, percent), as the next generation."""
        self.generation += 1
        split = Split(model, {self.ref(number, model): weight for number, weight in weights}, **more)
        split = replace(split, generation=self.generation)
        return self.target.route(split, frozenset(self.ref(number, model) for number in warm))

    def ask(self, path: str = "/digits/predict", body: bytes | None = BODY, **headers: str) -> Answer:
        """One request over a connection of its own; underscores in header names stand for hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            return ask(connection, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        finally:
            connection.close()

    def ask_many(self, count: int, **headers: str) -> list[Answer]:
        """That many, one after the other."""
        return [self.ask(**headers) for _ in range(count)]

    def pid(self, number: int) -> int:
        """The process id of a version's first host."""
        record = json.loads((self.root / ".turnout" / "hosts" / f"digits@{number}.json").read_text())
        pid: int = record["hosts"][0]["process"]["pid"]
        return pid

    @contextmanager
    def load(self, threads: int = 4) -> Iterator[list[Answer]]:
        """Closed-loop load meanwhile, half of it over connections that are kept."""
        answers: list[Answer] = []
        stop = threading.Event()

        def client(*, keeps: bool) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            while not stop.is_set():
                answers.append(ask(connection, "/digits/predict", BODY, {}))
                if not keeps or answers[-1].status == 0:
                    connection.close()
            connection.close()

        clients = [threading.Thread(target=client, kwargs={"keeps": number % 2 == 0}) for number in range(threads)]
        for one in clients:
            one.start()
        try:
            yield answers
        finally:
            stop.set()
            for one in clients:
                one.join(30)


def ask(connection: http.client.HTTPConnection, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    """One request."""
    began = time.monotonic()
    try:
        connection.request(
            "POST" if body is not None else "GET", path, body, {"content-type": "application/json", **headers}
        )
        reply = connection.getresponse()
        text = reply.read()
    except (OSError, http.client.HTTPException):
        return Answer(0, began=began, ended=time.monotonic())
    named = {name.lower(): value for name, value in reply.getheaders()}
    return Answer(reply.status, named.get("x-model-version", ""), named, text, began, time.monotonic())


def statuses(answers: list[Answer]) -> Counter[int]:
    """How many answers had each status."""
    return Counter(one.status for one in answers)


def versions(answers: list[Answer]) -> Counter[str]:
    """How many answers each version gave."""
    return Counter(one.version for one in answers)


@contextmanager
def world(root: Path, **settings: Any) -> Iterator[World]:
    """A world at `root`; its processes are ended afterwards."""
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    target = LocalTarget(root / ".turnout", Runtime.of(root), GatewaySettings(port, **settings))
    target.adopt()
    made = World(root, port, target)
    try:
        yield made
    finally:
        made.target.down()
        shutil.rmtree(Runtime.of(root).folder, ignore_errors=True)


def quietly(text: str) -> None:
    """Take progress that nobody watches."""
    del text
