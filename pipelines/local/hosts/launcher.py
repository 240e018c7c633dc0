"""What the supervisor does to the world: start a host, ask it, end it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pipelines.errors import ServeFailed
from pipelines.local.logs import parse
from pipelines.local.process import Command, Identity, last_lines, spawn, terminate, trim_log
from pipelines.local.runtime import Runtime
from pipelines.local.unix_http import ask
from pipelines.values import WARMUP_NAME, Bento, VersionRef

STOP_SECONDS = 5.0
"""How long a host that has been told to stop may take; the gateway has drained it before."""

_PROBE_SECONDS = 1.0
_WARMUP_SECONDS = 60.0


class Launcher(Protocol):
    """Starts hosts and looks at them; the supervisor decides."""

    def start(self, bento: Bento, instance: str, socket: Path) -> Identity:
        """Start one, without waiting for it."""

    def is_alive(self, host: Identity) -> bool:
        """Whether its process is there."""

    def is_ready(self, host: Identity, socket: Path) -> bool:
        """Whether this very process answers that it is ready."""

    def lives(self, socket: Path) -> bool:
        """Whether it answers within a second."""

    def warm(self, bento: Bento, socket: Path) -> None:
        """Have it answer real rows.

        Raises:
            ServeFailed: it answers wrongly.
        """

    def end(self, hosts: Sequence[Identity], grace: float) -> None:
        """End them with all they have started; `grace` seconds after SIGTERM comes SIGKILL."""

    def memory(self, host: Identity) -> int:
        """Bytes it takes."""

    def said(self, ref: VersionRef, *, since: int = 0) -> str:
        """The last lines of the version's log, after its first `since` bytes."""

    def log_size(self, ref: VersionRef) -> int:
        """How long that log is, in bytes; one that is too long is cut first."""


class HostLauncher:
    """Starts each bento with the code and the settings it carries.

    Args:
        runtime: Where the sockets lie.
        logs: The project's folder of logs.
        captures: Where hosts keep requests and answers; None for nowhere.
    """

    def __init__(self, runtime: Runtime, logs: Path, captures: Path | None = None) -> None:
        self._runtime = runtime
        self._logs = logs
        self._captures = captures

    def start(self, bento: Bento, instance: str, socket: Path) -> Identity:
        """Start `python -m pipelines.serving.host` from the bento's folder, so that the bento's own code serves."""
        if not Path(bento.sources).is_dir():
            raise ServeFailed(f"the bento of {bento.ref} is gone from {bento.sources}", then=_again(bento.ref))
        self._runtime.make()
        arguments = [sys.executable, "-m", "pipelines.serving.host", "--bento", bento.sources]
        arguments += ["--uds", str(socket), "--instance", instance]
        log = self.log(bento.ref)
        # PYTHONPATH goes before site-packages: the bento's `pipelines` wins over the installed one.
        environment = {"PYTHONPATH": bento.sources, "PYTHONUNBUFFERED": "1"}
        # Not an argument: hosts packaged by an older Turnout would refuse to start.
        if self._captures is not None:
            environment["TURNOUT_CAPTURES"] = str(self._captures.absolute())
        return spawn(Command(arguments, self._runtime.digest, instance, log, Path(bento.sources), environment))

    def is_alive(self, host: Identity) -> bool:
        """Whether its process is there."""
        return host.is_alive

    def is_ready(self, host: Identity, socket: Path) -> bool:
        """Whether `/readyz` on its socket answers its own instance id."""
        try:
            reply = ask(socket, "/readyz", timeout=_PROBE_SECONDS)
        except OSError:
            return False
        answer = reply.json()
        return reply.status == 200 and isinstance(answer, dict) and answer.get("instance") == host.instance

    def lives(self, socket: Path) -> bool:
        """Whether `/livez` answers within a second."""
        try:
            return ask(socket, "/livez", timeout=_PROBE_SECONDS).status == 200
        except OSError:
            return False

    def warm(self, bento: Bento, socket: Path) -> None:
        """Send the bento's warm-up rows, and check the answer: its version, its rows, finite numbers."""
        try:
            body = (Path(bento.sources) / WARMUP_NAME).read_bytes()
            rows = json.loads(body)["inputs"]
        except (OSError, ValueError, LookupError) as error:
            raise ServeFailed(f"{bento.ref} has no readable warm-up rows: {error}", then=_again(bento.ref)) from error
        try:
            reply = ask(socket, "/predict", method="POST", body=body, timeout=_WARMUP_SECONDS)
        except OSError as error:
            raise ServeFailed(f"{bento.ref} does not answer its warm-up rows: {error}") from error
        answer = reply.json()
        if reply.status != 200 or not isinstance(answer, dict):
            said = reply.body[:500].decode(errors="replace")
            raise ServeFailed(f"{bento.ref} answers its warm-up rows with {reply.status}: {said}")
        if (answer.get("model"), answer.get("version")) != (bento.ref.model, bento.ref.number):
            raise ServeFailed(
                f"{bento.sources} serves {answer.get('model')}@{answer.get('version')}",
                instead=f"it should serve {bento.ref}",
                then=_again(bento.ref),
            )
        outputs = answer.get("outputs")
        if not isinstance(outputs, list) or len(outputs) != len(rows) or not _is_finite(outputs):
            raise ServeFailed(
                f"{bento.ref} answers its warm-up rows with numbers that are not finite, or not one output a row"
            )

    def end(self, hosts: Sequence[Identity], grace: float) -> None:
        """End them with all they have started."""
        terminate(hosts, grace)

    def memory(self, host: Identity) -> int:
        """Bytes of it and its children."""
        return host.memory()

    def log(self, ref: VersionRef) -> Path:
        """Where the version's hosts print."""
        return self._logs / f"{ref}.log"

    def said(self, ref: VersionRef, *, since: int = 0) -> str:
        """The last messages of its log."""
        lines = last_lines(self.log(ref), since=since).splitlines()
        return "\n".join(record.message for record in parse(str(ref), lines))

    def log_size(self, ref: VersionRef) -> int:
        """The size of its log, cut when it is too long."""
        trim_log(self.log(ref))
        try:
            return self.log(ref).stat().st_size
        except OSError:
            return 0


def _again(ref: VersionRef) -> str:
    return f"`turnout package {ref}` makes it again."


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return value is not None and (not isinstance(value, float) or math.isfinite(value))
