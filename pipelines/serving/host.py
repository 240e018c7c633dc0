"""`python -m pipelines.serving.host --bento FOLDER`: serves one bento in one process.

uvicorn, the hot path in front, probes and metrics behind it, and the BentoML application for everything else.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipelines.errors import ServeFailed, TurnoutError
from pipelines.serving.logs import set_up
from pipelines.values.manifest import MANIFEST_NAME

GRACE_SECONDS = 30
"""How long a stopping host waits for requests in flight."""

# Longer than a gateway keeps an idle connection, so that the host never closes one just as a request comes in.
_KEEP_ALIVE_SECONDS = 75

logger = logging.getLogger("turnout.host")


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.serving.host", description="Serve one bento.")
    parser.add_argument("--bento", type=Path, required=True, help="a bento, or its source folder")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="the port; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--uds", type=Path, help="a Unix socket to listen on instead of a port")
    parser.add_argument("--instance", default="", help="the id that /readyz answers (default: a new one)")
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds for requests in flight at a stop")
    return parser.parse_args(given)


def source_folder(bento: Path) -> Path:
    """The folder of a bento that holds its manifest.

    Raises:
        ServeFailed: there is no bento.
    """
    for folder in (bento, bento / "src"):
        if (folder / MANIFEST_NAME).is_file():
            return folder.resolve()
    raise ServeFailed(f"{bento} is no bento: it has no {MANIFEST_NAME}", then="`turnout package` makes one.")


def use_own_copy(folder: Path) -> None:
    """Start again with the bento's own copy of this package, unless this is it.

    An upgrade of Turnout so changes nothing in what was packaged before.
    """
    own = folder / "pipelines" / "serving" / "host.py"
    if not own.is_file() or own.samefile(__file__):
        return
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    sys.stdout.flush()
    command = [sys.executable, "-P", "-m", "pipelines.serving.host", *sys.argv[1:]]
    os.execv(sys.executable, command)  # noqa: S606


def listen(options: argparse.Namespace) -> tuple[socket.socket, str]:
    """The listening place, bound, and how to write it.

    Raises:
        ServeFailed: it is taken or cannot be had.
    """
    return _listen_unix(options.uds) if options.uds else _listen_tcp(options.host, options.port)


def _listen_tcp(host: str, port: int) -> tuple[socket.socket, str]:
    if not 0 <= port <= 65535:
        raise ServeFailed(f"{port} is no port", instead="a port is a number from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(1)  # a port that another process listens on is refused only here
    except OSError as error:
        raise ServeFailed(
            f"cannot listen on port {port} of {host}: {error.strerror}",
            then="Stop what uses it, or choose another one with `--port`; 0 takes a free one.",
        ) from error
    shown = f"[{host}]" if ":" in host else host
    return sock, f"http://{shown}:{sock.getsockname()[1]}"


def _listen_unix(path: Path) -> tuple[socket.socket, str]:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            if sock.connect_ex(str(path)) == 0:
                raise ServeFailed(f"cannot listen on {path}: another process does", then="Stop it first.")
            path.unlink()  # left over by a process that was killed
            sock.close()
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServeFailed(
            f"cannot listen on {path}: {reason}", instead="the path of a socket has at most about 100 bytes"
        ) from error
    return sock, f"unix:{path}"


class Host:
    """One serving process.

    Args:
        folder: The bento's source folder.
        instance: What `/readyz` answers as its id.
        where: How the listening place is written.

    Raises:
        PackageFailed: the manifest cannot be read.
    """

    def __init__(self, folder: Path, instance: str, where: str) -> None:
        from pipelines.serving.capture import CAPTURES, captured
        from pipelines.serving.hotpath import HotPath
        from pipelines.serving.labels import spool_of
        from pipelines.serving.probes import LateApp, Probes
        from pipelines.serving.replica import Replica

        self.replica = Replica.of(folder)
        replica = self.replica
        replica.instance = instance or uuid4().hex
        replica.capture = captured(os.environ.get(CAPTURES), replica.manifest, replica.instance, replica.metrics)
        self.failure: TurnoutError | None = None
        self.is_loading = False
        self._where = where
        self._late = LateApp(self._bento_app)
        spool = spool_of(os.environ.get(CAPTURES), replica.manifest, replica.instance)
        self.app = HotPath(Probes(self._late, self.replica, spool), self.replica)

    def run(self, sock: socket.socket, grace: float) -> None:
        """Serve until SIGTERM or SIGINT, or until loading fails; requests in flight get `grace` seconds."""
        import uvicorn

        from pipelines.serving.shortcut import shortcut

        config = uvicorn.Config(
            self._lifespan,
            interface="asgi3",
            http=shortcut(self.replica),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=2048,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=grace,  # type: ignore[arg-type]
        )
        self._server = uvicorn.Server(config)
        # For the moment until uvicorn listens to them; and it raises them once more after its graceful stop, but a stop
        # that was asked for is no failure.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._server.run(sockets=[sock])

    def _stop(self, *_: Any) -> None:
        self._server.should_exit = True

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        await receive()
        self.is_loading = True
        threading.Thread(target=self._load, daemon=True).start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._late.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def _load(self) -> None:
        try:
            self.replica.load()
            gc.collect()
            gc.freeze()  # what is there now stays: no collection has to look at it again
            self._announce()
        except TurnoutError as error:
            self.failure = error
            self._server.should_exit = True
        finally:
            self.is_loading = False

    def _announce(self) -> None:
        ref, where = self.replica.manifest.ref, self._where
        if where.startswith("unix:"):
            logger.info("%s is ready: POST %s/predict, PID %d", ref, where, os.getpid())
            return
        try:
            print(f"{ref} is ready: POST {where}/predict and its page at {where}/", flush=True)  # noqa: T201
        except OSError:
            return  # nobody reads it

    def _bento_app(self) -> Any:
        """Import BentoML and make the application of `service.py`."""
        import bentoml

        folder = self.replica.folder
        built = folder.parent if (folder.parent / "bento.yaml").is_file() else folder
        return bentoml.load(str(built)).to_asgi(is_main=True)


def main() -> int:
    """Serve, and return the exit code."""
    options = arguments()
    try:
        folder = source_folder(options.bento)
        use_own_copy(folder)
        os.environ["BENTOML_DO_NOT_TRACK"] = "True"
        os.environ["OTEL_SDK_DISABLED"] = "true"
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of every malformed request
        sock, where = listen(options)
        host = Host(folder, options.instance, where)
        if options.uds:  # nobody sits before it: its messages are read by `turnout logs`
            set_up(str(host.replica.manifest.ref), stream=sys.stdout)
            logger.setLevel(logging.INFO)
        host.run(sock, options.grace)
    except TurnoutError as error:
        return _failed(error)
    finally:
        if options.uds and "host" in locals():
            options.uds.unlink(missing_ok=True)
    if host.failure is not None:
        return _failed(host.failure)
    if host.is_loading or not host.replica.close():
        os._exit(0)  # a thread is at work that nobody waits for any more
    return 0


def _failed(error: TurnoutError) -> int:
    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
