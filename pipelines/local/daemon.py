"""One process a project: it owns the journal and the target, carries out operations, and keeps what is recorded so."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipelines import __version__
from pipelines.errors import BadInput, StorageFailed, TurnoutError
from pipelines.local.engine import Done, Engine, Request, Step
from pipelines.local.files import replace_file
from pipelines.local.guarding import ARGUMENTS, reap_guardians, start_guardian
from pipelines.local.journal import Journal
from pipelines.local.outbox import Courier, Outbox, by_command
from pipelines.local.protocol import (
    ADDRESS,
    DAEMON_LOCK,
    FAILURE,
    GUARDIAN_LOCK,
    LEASE,
    LEASE_RENEWED_SECONDS,
    PROTOCOL,
    STOPPED,
    is_held,
    try_lock,
)
from pipelines.local.rooms import Room, Rooms, repeat
from pipelines.local.runtime import Runtime
from pipelines.local.said import say
from pipelines.local.server import Door, Followed, Followings
from pipelines.local.status import StatusReport
from pipelines.local.upkeep import ACTOR, Upkeep
from pipelines.ports import Catalogue, Clock, Target
from pipelines.values import Phase, Rollout, read_ref

TICK_SECONDS = 0.5
DELIVERY_SECONDS = 1.0
GUARDIAN_SECONDS = 1.0
UP_SECONDS = 60.0
"""How long `up` waits for what is brought back."""
LEAVING_SECONDS = 5.0
"""How long operations get to undo what they have begun, when the daemon is told to end."""


class LocalTarget(Target, Protocol):
    """A target whose processes live on when the daemon ends."""

    def adopt(self) -> None:
        """Take over what runs already."""

    def open(self) -> None:
        """Start what takes the requests, unless it runs.

        Raises:
            ServeFailed: its port is taken.
        """

    def tick(self) -> None:
        """Replace what ended or hangs; called about twice a second."""

    def down(self) -> None:
        """Stop everything."""


@dataclass(frozen=True)
class Parts:
    """What the daemon is made of.

    Args:
        target: Where versions run.
        catalogue: Packaged versions.
        clock: What time it is.
        rollout: How a model's versions take over; raises NoSuchModel.
        url: A model's address, without `/predict`.
        courier: How the registry is told of a new champion.
        available_mb: Memory the machine can give, 10^6 bytes.
        logs: The folder of the logs.
        prepare: Called once the daemon answers, aside: what the first operation would otherwise wait for.
        furnish: Makes what else lives in the daemon, around its engine.
    """

    target: LocalTarget
    catalogue: Catalogue
    clock: Clock
    rollout: Callable[[str], Rollout]
    url: Callable[[str], str]
    courier: Courier
    available_mb: Callable[[], float]
    logs: Path
    prepare: Callable[[], object] = lambda: None
    furnish: Callable[[Engine], Sequence[Room]] = lambda engine: ()  # noqa: ARG005


def run(root: Path, state: Path, build: Callable[[], Parts]) -> int:
    """Be the project's daemon until told to end.

    Args:
        root: The project's folder.
        state: Its state folder.
        build: Makes the parts; called once this process is the only daemon.

    Returns:
        The exit code: 0 when it ended on purpose, or another daemon is there already; 1 when it could not start.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = try_lock(state / DAEMON_LOCK)
    except OSError as error:
        return _fail(state, StorageFailed.from_os(error, "starting the daemon"))
    if lock is None:
        return 0
    with lock:
        try:
            daemon = Daemon(root, state, build())
        except TurnoutError as error:
            return _fail(state, error)
        except OSError as error:
            return _fail(state, StorageFailed.from_os(error, "starting the daemon"))
        return daemon.serve()


def _fail(state: Path, error: TurnoutError) -> int:
    say(f"{type(error).__name__}: {error}", "ERROR")
    with suppress(TurnoutError):
        replace_file(state / FAILURE, json.dumps(error.as_dict()), "saying why the daemon did not start")
    return 1


class Daemon:
    """See `server.Service` for what it can be asked.

    Args:
        root: The project's folder.
        state: Its state folder.
        parts: What it is made of.
    """

    def __init__(self, root: Path, state: Path, parts: Parts) -> None:
        self._state, self._parts = state, parts
        self._journal = Journal(state / "state.db")
        self._engine = Engine(
            parts.target, parts.catalogue, self._journal, parts.clock, parts.rollout, parts.available_mb
        )
        self._rooms = Rooms(parts.furnish(self._engine))
        self._upkeep = Upkeep(self._engine, is_watched=self._rooms.bakes)
        self._report = StatusReport(self._engine, parts.url, self._rooms.status)
        self._outbox = Outbox(
            self._journal, {"champion": by_command(parts.courier, self._journal, parts.clock)}, parts.clock
        )
        self._followings = Followings()
        self._leaves = threading.Event()
        self._is_down = False
        self._keeping: dict[str, threading.Thread] = {}
        parts.target.adopt()
        self._socket = Runtime.of(root).make().daemon_socket
        self._door = Door(self._socket, self)

    def serve(self) -> int:
        """Answer until told to end; then leave hosts and gateway as they are, unless everything was stopped."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._leaves.set())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for name in (FAILURE, STOPPED):
            (self._state / name).unlink(missing_ok=True)
        (self._state / LEASE).write_text(f"{os.getpid()}\n")
        address = {**self.hello(), "socket": str(self._socket)}
        replace_file(self._state / ADDRESS, json.dumps(address), "saying where the daemon answers")
        loops = (
            (self._renew, LEASE_RENEWED_SECONDS),
            (self._supervise, TICK_SECONDS),
            (self._keep_up, TICK_SECONDS),
            (self._deliver, DELIVERY_SECONDS),
            (self._guard_the_guardian, GUARDIAN_SECONDS),
            *self._rooms.loops,
        )
        for work, pause in loops:
            threading.Thread(target=repeat, args=(work, pause, self._leaves), name=work.__name__, daemon=True).start()
        threading.Thread(target=self._door.serve_forever, args=(0.05,), name="door", daemon=True).start()
        threading.Thread(target=self._prepare, name="prepare", daemon=True).start()
        say(f"turnout {__version__} answers, PID {os.getpid()}", "INFO")
        self._leaves.wait()
        say("it ends", "INFO")
        return self._leave()

    def hello(self) -> dict[str, Any]:
        """Who answers."""
        return {"protocol": PROTOCOL, "version": __version__, "pid": os.getpid()}

    def begin(self, body: dict[str, Any]) -> Followed:
        """Start an operation, or find the one with the same id."""
        request = _request(body)

        def work(followed: Followed) -> None:
            version = str(request.arguments.get("ref") or request.arguments.get("to") or "")
            try:
                self._engine.operate(request, _Speaker(followed, self._report, request))
            except TurnoutError as error:
                what = f"{request.verb} {request.model}: {type(error).__name__}: {error}"
                say(what, version=version, request_id=request.id)
                raise
            say(f"{request.verb} {request.model}: done", "INFO", version=version, request_id=request.id)

        return self._followings.begin(request.id, work)

    def follow(self, operation: str) -> Followed:
        """One operation.

        Raises:
            BadInput: it is not known.
        """
        followed = self._followings.get(operation)
        if followed is not None:
            return followed
        known = self._journal.operation(operation)
        if known is None:
            raise BadInput(f"there is no operation {operation}")
        return self.begin({"id": known.id, "verb": known.verb, "model": known.model})

    def cancel(self, operation: str) -> bool:
        """Ask an operation to stop; one that has not begun never will."""
        if self._engine.cancel(operation):
            return True
        if self._journal.operation(operation) is None:
            self._followings.forbid(operation)
        return False

    def status(self) -> dict[str, Any]:
        """What runs."""
        return self._report.all()

    def history(self, model: str, limit: int) -> list[dict[str, Any]]:
        """What happened to a model, the latest first."""
        return [event.as_dict() for event in self._journal.history(model, limit)]

    def logs(self, ref: str | None, lines: int) -> list[str]:
        """The last lines that a version's hosts printed, or all processes of the project."""
        names = [f"{read_ref(ref)}.log"] if ref else sorted(path.name for path in self._parts.logs.glob("*.log"))
        found = [(name.removesuffix(".log"), line) for name in names for line in _tail(self._parts.logs / name, lines)]
        return [line if ref else f"{name}: {line}" for name, line in found]

    def ask(self, name: str, asked: Mapping[str, str]) -> Any:
        """Answer a question to one of the rooms."""
        return self._rooms.ask(name, asked)

    def tell(self, name: str, body: Mapping[str, Any]) -> Any:
        """Carry out an order to one of the rooms."""
        return self._rooms.tell(name, body)

    def up(self) -> Followed:
        """Bring back what was live: after a reboot, and after everything was stopped."""
        return self._followings.begin(f"up-{time.monotonic_ns()}", self._up)

    def down(self) -> Followed:
        """Stop everything, this process last."""
        return self._followings.begin(f"down-{time.monotonic_ns()}", self._down)

    def retire(self) -> None:
        """End this process and nothing else."""
        self._leaves.set()

    def _up(self, followed: Followed) -> None:
        self._parts.target.open()
        for deployment in self._journal.deployments():
            model = deployment.model
            followed.say({"step": {"says": f"bring back {model}"}})
            # It waits for recovery, when that is under way.
            request = Request(f"up-{model}-{time.monotonic_ns()}", "up", model, {}, ACTOR, wait=True)
            self._engine.operate(request, _Speaker(followed, None, request))
            self._upkeep.keep(model)
            self._await_ready(model)
        followed.say({"done": self.status()})

    def _await_ready(self, model: str) -> None:
        """Return when every version with a share is ready or given up, or when that takes too long."""
        deadline = time.monotonic() + UP_SECONDS
        while time.monotonic() < deadline:
            split = self._parts.target.split(model)
            carrying = [ref for ref, weight in split.weights.items() if weight] if split else []
            health = self._engine.hands.health(model)
            if all(ref in health and health[ref].health in {"ready", "failed"} for ref in carrying):
                return
            time.sleep(0.02)

    def _down(self, followed: Followed) -> None:
        for deployment in self._journal.deployments():
            if deployment.phase is Phase.EMPTY and not self._engine.hands.health(deployment.model):
                continue
            request = Request(
                f"down-{deployment.model}-{time.monotonic_ns()}", "down", deployment.model, {}, ACTOR, wait=True
            )
            followed.say({"step": {"says": f"stop {deployment.model}"}})
            self._engine.operate(request, _Speaker(followed, None, request))
        followed.say({"step": {"says": "stop the gateway"}})
        self._is_down = True
        self._parts.target.down()
        status = self.status()
        replace_file(self._state / STOPPED, json.dumps(status), "recording what was stopped")
        followed.say({"done": status})
        self._leaves.set()

    def _supervise(self) -> None:
        if not self._is_down:
            self._parts.target.tick()

    def _keep_up(self) -> None:
        if self._is_down:
            return
        for model in self._upkeep.tick():
            if model not in self._keeping or not self._keeping[model].is_alive():
                keeper = threading.Thread(target=self._upkeep.keep, args=(model,), name=f"keep {model}", daemon=True)
                self._keeping[model] = keeper
                keeper.start()

    def _prepare(self) -> None:
        # Whoever asks for an operation is told of a broken project file then.
        with suppress(TurnoutError):
            self._parts.prepare()

    def _deliver(self) -> None:
        self._outbox.deliver()

    def _guard_the_guardian(self) -> None:
        """Each of the two brings the other back; both gone within a second need the next command."""
        reap_guardians()
        arguments = os.environ.get(ARGUMENTS)
        if arguments and not self._is_down and not is_held(self._state / GUARDIAN_LOCK):
            log = self._parts.logs / "daemon.log"
            start_guardian(json.loads(arguments), log, os.environ, adopts=True)

    def _renew(self) -> None:
        os.utime(self._state / LEASE)

    def _leave(self) -> int:
        deadline = time.monotonic() + LEAVING_SECONDS
        for job in self._engine.turns.active():
            self._engine.cancel(job.id)
        while self._engine.turns.active() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._door.shutdown()
        # Who follows gets the last line before the process is gone.
        self._door.finish(LEAVING_SECONDS)
        for path in (self._state / ADDRESS, self._state / LEASE, self._socket):
            path.unlink(missing_ok=True)
        self._rooms.close()
        self._journal.close()
        return 0


class _Speaker:
    """Turns an operation's progress into lines."""

    def __init__(self, followed: Followed, report: StatusReport | None, request: Request) -> None:
        self._followed, self._report, self._request = followed, report, request

    def step(self, step: Step) -> None:
        """It has come to another step."""
        self._followed.say({"step": {"number": step.number, "of": step.of, "says": step.says}})

    def done(self, done: Done) -> None:
        """It has succeeded."""
        if self._report is None:
            return
        if self._request.arguments.get("dry_run"):
            self._followed.say({"done": {"plan": list(done.steps), "phase": done.deployment.phase.value}})
            return
        entry = self._report.entry(self._request.model, done.deployment)
        self._followed.say({"done": {**entry, "operation": None, "changed": done.changed}})


def _request(body: Mapping[str, Any]) -> Request:
    try:
        arguments = dict(body.get("arguments") or {})
        return Request(
            id=str(body["id"]),
            verb=str(body["verb"]),
            model=str(body["model"]),
            arguments=arguments,
            actor=dict(body.get("actor") or {}),
            wait=bool(arguments.get("wait")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"this is no operation: {error!r}", instead="it has id, verb and model") from error


def _tail(path: Path, count: int) -> list[str]:
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 256 * count))
            return log.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
