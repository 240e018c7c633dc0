"""Starts and stops the project's own Prometheus and Alertmanager: tagged processes on ports of this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipelines.errors import Busy, ServeFailed, StorageFailed
from pipelines.local.files import replace_file
from pipelines.local.process import Command, Identity, check_port, last_lines, spawn, terminate, trim_log
from pipelines.local.prometheus.files import Files
from pipelines.local.prometheus.record import RECORD, read_record
from pipelines.local.protocol import try_lock
from pipelines.values.monitoring import Ports, Server

READY_SECONDS = 30.0
GRACE_SECONDS = 10.0
"""What they get to write down what they have."""


@dataclass(frozen=True)
class Program:
    """One of the two.

    Args:
        name: Its name, which is its key in the project file too.
        commands: What it is called where it is installed.
        package: Debian's package.
        arguments: Given the files, the folder of its data and its port.
        port: Its port.
    """

    name: str
    commands: Sequence[str]
    package: str
    arguments: Callable[[Files, Path, int], Sequence[str]]
    port: Callable[[Ports], int]

    def path(self, search: str | None = None) -> str | None:
        """Where it is installed; None where it is not."""
        return next((found for name in self.commands if (found := shutil.which(name, path=search))), None)


PROGRAMS = (
    Program(
        "alertmanager",
        ("prometheus-alertmanager", "alertmanager"),
        "prometheus-alertmanager",
        lambda files, data, port: (
            f"--config.file={files.alertmanager}",
            f"--storage.path={data}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",  # it looks for no others
            "--log.level=warn",
        ),
        lambda ports: ports.alertmanager,
    ),
    Program(
        "prometheus",
        ("prometheus",),
        "prometheus",
        lambda files, data, port: (
            f"--config.file={files.prometheus}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=15d",
            "--storage.tsdb.retention.size=1GB",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ),
        lambda ports: ports.prometheus,
    ),
)


class Servers:
    """The two processes.

    Args:
        state: The project's state folder.
        digest: The project's digest, which they carry in their environment.
        programs: What is started.
        search: Where programs are looked for; PATH when None.
    """

    def __init__(
        self, state: Path, digest: str, programs: Sequence[Program] = PROGRAMS, search: str | None = None
    ) -> None:
        self._folder = state / "monitoring"
        self._logs = state / "logs"
        self._digest = digest
        self._programs = programs
        self._search = search
        self.files = Files(self._folder)

    def up(self, project: str, ports: Ports, interval: int, say: Callable[[str], None]) -> list[Server]:
        """Write the files, start what is installed and does not run, have the rest read them anew.

        Raises:
            Busy: somebody else is at it.
            MissingExtra: what makes the files is not installed.
            ServeFailed: a port is taken, or a program does not become ready; the message has what it wrote.
            StorageFailed: the disk is full or read-only.
        """
        with self._locked():
            say("write the configuration")
            self.files.write(project, ports, interval)
            for program in self._programs:
                path = program.path(self._search)
                if path is not None:
                    self._start(program, path, program.port(ports), say)
        return self.status(ports)

    def down(self) -> list[str]:
        """Stop what runs; the names of what was stopped. What they have stored stays.

        Raises:
            Busy: somebody else is at it.
            StorageFailed: the folder is read-only.
        """
        if not (self._folder / RECORD).exists():
            return []
        with self._locked():
            running = {name: found for name, found in self._identities().items() if found.is_alive}
            terminate(running.values(), GRACE_SECONDS)
            (self._folder / RECORD).unlink(missing_ok=True)
        return sorted(running)

    def status(self, ports: Ports) -> list[Server]:
        """What is installed and what runs."""
        record, identities = read_record(self._folder), self._identities()
        found = []
        for program in self._programs:
            known = identities.get(program.name)
            is_alive = known is not None and known.is_alive
            port = int(record[program.name]["port"]) if is_alive else program.port(ports)
            found.append(
                Server(
                    name=program.name,
                    package=program.package,
                    path=program.path(self._search),
                    port=port,
                    pid=known.pid if known is not None and is_alive else None,
                    is_ready=is_alive and _answers(port),
                )
            )
        return found

    def _start(self, program: Program, path: str, port: int, say: Callable[[str], None]) -> None:
        record = read_record(self._folder)
        known = self._identities().get(program.name)
        if known is not None and known.is_alive:
            if record[program.name]["port"] == port:
                with suppress(ProcessLookupError):
                    os.kill(known.pid, signal.SIGHUP)  # both read their files anew
                say(f"{program.name} runs, and reads its configuration anew")
                return
            terminate([known], GRACE_SECONDS)
        try:
            check_port(port)
        except ServeFailed as error:
            raise ServeFailed(
                f"{program.name} cannot have its port: {error.what}",
                then=f"Stop what uses it, or set `{program.name}` in [tool.turnout.monitoring] of pyproject.toml.",
            ) from error
        say(f"start {program.name} on port {port}")
        instance = uuid4().hex
        log = self._logs / f"{program.name}.log"
        trim_log(log)
        before = log.stat().st_size if log.exists() else 0
        data = self._folder / "data" / program.name
        # Its instance is noted first: a daemon that starts meanwhile would take it for an orphan.
        self._note(program.name, {"pid": 0, "started": 0.0, "instance": instance, "port": port})
        command = Command(
            [path, *program.arguments(self.files, data, port)], self._digest, instance, log, self._folder, {}
        )
        identity = spawn(command)
        self._note(program.name, {**identity.as_dict(), "port": port})
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(port):
            if not identity.is_alive or time.monotonic() > deadline:
                terminate([identity], 0.0)
                raise ServeFailed(
                    f"{program.name} did not become ready: {last_lines(log, 5, since=before) or 'it wrote nothing'}",
                    then=f"{log} has all that it wrote.",
                )
            time.sleep(0.05)

    def _identities(self) -> dict[str, Identity]:
        return {name: Identity.from_dict(one) for name, one in read_record(self._folder).items()}

    def _note(self, name: str, entry: Mapping[str, Any]) -> None:
        record = {**read_record(self._folder), name: dict(entry)}
        replace_file(self._folder / RECORD, json.dumps(record), "noting what was started")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = try_lock(self._folder / "lock")
        except OSError as error:
            raise StorageFailed.from_os(error, "starting the monitoring") from error
        if lock is None:
            raise Busy("another `turnout monitoring` is at work", then="Call again when it is done.")
        with lock:
            yield


def _answers(port: int) -> bool:
    # Not through a proxy, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
