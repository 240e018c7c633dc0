"""A client of the project's daemon; starts it and its guardian when they are needed.

It imports little: a rollback from the shell is in a hurry.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pipelines
from pipelines.errors import Refused, ServeFailed, StorageFailed, TurnoutError
from pipelines.local.protocol import (
    ADDRESS,
    CLIENT_LOCK,
    DAEMON_LOCK,
    FAILURE,
    GUARDIAN_LOCK,
    HEADER,
    PROTOCOL,
    STOPPED,
    is_held,
    try_lock,
)

if TYPE_CHECKING:
    from pipelines.values import VersionRef

START_SECONDS = 30.0
"""How long a daemon may take to answer."""
REPLY_SECONDS = 30.0
GLANCE_SECONDS = 2.0
EVENTS = 1_000_000
"""More than any history has."""
ATTEMPTS = 5
"""How often an operation is asked for again when its daemon dies; it carries an id, so nothing is done twice."""


class DaemonClient:
    """One project's daemon, seen from outside; implements `ports.Operator`.

    Args:
        root: The project's folder.
        state: Its state folder.
        command: Starts the daemon; its working directory is the project's folder.
        safe_routes: The safe routes and the file the gateway watches; see the guardian.
    """

    def __init__(
        self,
        root: Path,
        state: Path,
        command: Sequence[str] | None = None,
        safe_routes: tuple[Path, Path] | None = None,
    ) -> None:
        self._root, self._state = root, state
        self._command = command or (sys.executable, "-P", "-m", "pipelines.cli", "daemon")
        self._safe_routes = safe_routes

    def ensure(self) -> None:
        """Start guardian and daemon when they do not run; return when the daemon answers.

        Raises:
            StorageFailed: the state folder cannot be written.
            ServeFailed: the daemon does not start; the message says where its log is.
            TurnoutError: what the daemon says why it cannot start.
        """
        self._connect().close()

    def operate(
        self, verb: str, model: str, arguments: Mapping[str, Any], on_step: Callable[[str], None]
    ) -> dict[str, Any]:
        """Carry out one operation; see `ports.Operator`. Ctrl-C asks for its cancellation and tells how it ended.

        Raises:
            TurnoutError: it did not succeed; the very class that the daemon raised.
        """
        body = {
            "id": os.urandom(16).hex(),
            "verb": verb,
            "model": model,
            "arguments": dict(arguments),
            "actor": {"user": _user(), "pid": os.getpid(), "host": socket.gethostname()},
        }
        return self._follow("/operations", body, on_step)

    def status(self) -> dict[str, Any]:
        """What runs: `{"models": {...}}`. A project that was never deployed, or was stopped, starts nothing."""
        if not is_held(self._state / DAEMON_LOCK):
            if not (self._state / "state.db").exists():
                return {"models": {}}
            with suppress(OSError, ValueError):
                stopped: dict[str, Any] = json.loads((self._state / STOPPED).read_text(encoding="utf-8"))
                return stopped
        found: dict[str, Any] = self._get("/status")
        return found

    def history(self, model: str) -> list[dict[str, Any]]:
        """All that happened to the model, the latest first."""
        if not (self._state / "state.db").exists():
            return []
        found: list[dict[str, Any]] = self._get(f"/history?model={quote(model)}&limit={EVENTS}")
        return found

    def logs(self, ref: VersionRef | None, lines: int) -> list[str]:
        """The last lines that a version's hosts printed, or all processes."""
        if not (self._state / "state.db").exists():
            return []
        which = f"&ref={quote(str(ref))}" if ref else ""
        found: list[str] = self._get(f"/logs?lines={lines}{which}")
        return found

    def ask(self, name: str, **asked: str | int) -> Any:
        """Put a question to one of the daemon's rooms; see `ports.Operator`."""
        return self._get(f"/{name}?{urlencode(asked)}")

    def glance(self, name: str, **asked: str | int) -> Any:
        """As `ask`, but None where no daemon answers within two seconds; see `ports.Operator`."""
        there = self._try_connect()
        if there is None:
            return None
        path = f"/{name}?{urlencode(asked)}"
        with suppress(OSError, ValueError), self._ask("GET", path, None, GLANCE_SECONDS, there) as stream:
            return json.loads(stream.read())
        return None

    def tell(self, name: str, body: Mapping[str, Any]) -> Any:
        """Give an order to one of the daemon's rooms; see `ports.Operator`."""
        for _ in range(ATTEMPTS):
            with suppress(OSError), self._ask("POST", f"/{name}", body) as stream:
                return json.loads(stream.read())
        raise self._silent()

    def up(self, on_step: Callable[[str], None]) -> dict[str, Any]:
        """Start the runtime and bring back what was live; return the status."""
        return self._follow("/up", None, on_step)

    def down(self, on_step: Callable[[str], None]) -> None:
        """Stop all versions, the gateway, the daemon and its guardian; what was live is remembered."""
        from pipelines.local.guarding import reap_guardians

        runs = is_held(self._state / DAEMON_LOCK) or is_held(self._state / GUARDIAN_LOCK)
        if not runs and (not (self._state / "state.db").exists() or (self._state / STOPPED).exists()):
            return
        self._follow("/down", None, on_step)
        self._await(lambda: not (is_held(self._state / DAEMON_LOCK) or is_held(self._state / GUARDIAN_LOCK)))
        reap_guardians()

    def _follow(self, path: str, body: Mapping[str, Any] | None, on_step: Callable[[str], None]) -> dict[str, Any]:
        heard = _Heard(on_step)
        is_cancelled = False
        failed = 0
        while failed < ATTEMPTS:
            try:
                if is_cancelled and body is not None:
                    return self._follow_once("GET", f"{path}/{body['id']}", None, heard)
                return self._follow_once("POST", path, body, heard)
            except KeyboardInterrupt:
                # A second Ctrl-C leaves at once; the operation is being undone all the same.
                if body is None or is_cancelled:
                    raise
                is_cancelled = True
                self._cancel(f"{path}/{body['id']}")
            except OSError:
                # The daemon died. The next one has finished or undone the operation, or never heard of it.
                failed += 1
        raise self._silent()

    def _follow_once(self, method: str, path: str, body: Mapping[str, Any] | None, heard: _Heard) -> dict[str, Any]:
        with self._ask(method, path, body, timeout=None) as stream:
            for number, line in enumerate(iter(stream.readline, b"")):
                said = json.loads(line)
                if "error" in said:
                    raise TurnoutError.from_dict(said["error"])
                if "done" in said:
                    done: dict[str, Any] = said["done"]
                    return done
                heard.step(number, str(said["step"]["says"]))
        raise ConnectionError("the daemon ended in the middle of an operation")

    def _cancel(self, operation: str) -> None:
        with suppress(OSError), self._ask("POST", f"{operation}/cancel", None) as stream:
            stream.read()

    def _get(self, path: str) -> Any:
        for _ in range(ATTEMPTS):
            with suppress(OSError), self._ask("GET", path, None) as stream:
                return json.loads(stream.read())
        raise self._silent()

    @contextmanager
    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        timeout: float | None = REPLY_SECONDS,
        there: socket.socket | None = None,
    ) -> Iterator[IO[bytes]]:
        """One request, over a connection that is `there` already or one of its own; the answer's body."""
        content = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} {path} HTTP/1.0\r\n{HEADER}: {PROTOCOL}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        with there or self._connect() as connection:
            connection.settimeout(timeout)
            connection.sendall(head.encode() + content)
            with connection.makefile("rb") as stream:
                status = stream.readline().split()
                while stream.readline().strip():
                    pass
                if len(status) < 2:
                    raise ConnectionError("the daemon ended before it answered")
                if status[1] != b"200":
                    raise TurnoutError.from_dict(json.loads(stream.read())["error"])
                yield stream

    def _connect(self) -> socket.socket:
        connection = self._try_connect()
        if connection is not None:
            return connection
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            lock = try_lock(self._state / CLIENT_LOCK, patience=START_SECONDS)
        except OSError as error:
            raise StorageFailed.from_os(error, "starting the daemon") from error
        if lock is None:
            raise self._silent()
        with lock:
            return self._start()

    def _start(self) -> socket.socket:
        from pipelines.local.guarding import reap_guardians

        with suppress(FileNotFoundError):
            (self._state / FAILURE).unlink()
        guardian, codes = 0, [0]
        found: list[socket.socket] = []

        def has_answered() -> bool:
            nonlocal guardian
            connection = self._try_connect()
            if connection is not None:
                found.append(connection)
                return True
            code = reap_guardians().get(guardian)
            if code is not None:
                codes.append(code)
                guardian = 0
            # One that found another's place taken ends with 0, and that other one may just have been leaving.
            if code in (None, 0) and not guardian and not is_held(self._state / GUARDIAN_LOCK):
                guardian = self._start_guardian()
            return codes[-1] != 0

        self._await(has_answered)
        if found:
            return found[0]
        with suppress(OSError, ValueError):
            raise TurnoutError.from_dict(json.loads((self._state / FAILURE).read_text(encoding="utf-8")))
        raise self._silent()

    def _try_connect(self) -> socket.socket | None:
        try:
            address = json.loads((self._state / ADDRESS).read_text(encoding="utf-8"))
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except (OSError, ValueError):
            return None
        try:
            connection.settimeout(REPLY_SECONDS)
            connection.connect(address["socket"])
        except OSError:
            connection.close()
            return None
        if address["protocol"] > PROTOCOL:
            connection.close()
            raise Refused(
                f"a newer Turnout ({address['version']}) serves this project",
                instead=f"this one is {pipelines.__version__}",
                then="Upgrade this one.",
            )
        if address["protocol"] < PROTOCOL:
            self._retire(connection)
            return None
        return connection

    def _retire(self, connection: socket.socket) -> None:
        """End an older daemon; hosts and gateway stay, and the next one takes them over."""
        with connection:
            connection.sendall(b"POST /retire HTTP/1.0\r\n\r\n")
            connection.recv(1)
        self._await(lambda: not (is_held(self._state / DAEMON_LOCK) or is_held(self._state / GUARDIAN_LOCK)))

    def _start_guardian(self) -> int:
        from pipelines.local.envoy.settings import GatewayFiles
        from pipelines.local.guarding import start_guardian
        from pipelines.local.process import PROJECT_TAG
        from pipelines.local.runtime import Runtime

        logs = self._state / "logs"
        files = GatewayFiles(self._state / "gateway", logs)
        safe, routes = self._safe_routes or (files.safe_routes, files.routes)
        package = str(Path(pipelines.__file__).resolve().parents[1])
        environment = {**os.environ, PROJECT_TAG: Runtime.of(self._root).digest}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        arguments = (str(self._root), str(self._state), str(safe), str(routes), *self._command)
        try:
            return start_guardian(arguments, logs / "daemon.log", environment, adopts=False)
        except OSError as error:
            raise StorageFailed.from_os(error, "starting the daemon") from error

    def _silent(self) -> ServeFailed:
        return ServeFailed(
            "the daemon does not answer",
            instead="what serves goes on without it",
            then=f"{self._state / 'logs' / 'daemon.log'} says why; call again.",
        )

    @staticmethod
    def _await(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_so() and time.monotonic() < deadline:
            time.sleep(0.01)


class _Heard:
    """Passes each step on once, also when an operation is followed anew from its beginning."""

    def __init__(self, on_step: Callable[[str], None]) -> None:
        self._on_step = on_step
        self._count = 0

    def step(self, number: int, says: str) -> None:
        """The step with that number from 0."""
        if number >= self._count:
            self._count = number + 1
            self._on_step(says)


def _user() -> str:
    with suppress(ImportError, KeyError):
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid())
