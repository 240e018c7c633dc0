"""Whatever is killed, at whichever step: the old state or the new one, nothing lost, nothing left over."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipelines.errors import TurnoutError
from pipelines.local.failpoints import STEPS, VARIABLE
from tests.e2e.load import Load
from tests.e2e.running import BODY, RunningLine, make_line, running_line, wait_until
from tests.soak.outcome import Outcome, verdict

VERBS = ("deploy", "promote", "rollback", "down")
VICTIMS = ("daemon", "gateway", "host", "client")
RECOVERY_SECONDS = 5.0
OUT_SECONDS, REPLACED_SECONDS = 3.0, 10.0
SLOW_SECONDS, PROBE_SECONDS = 0.3, 0.05
"""What takes longer than this was given to a host that hangs."""


@dataclass(frozen=True)
class Case:
    """One kill.

    Args:
        verb: What was under way.
        step: The failpoint it had come to.
        victim: What was killed.
    """

    verb: str
    step: str
    victim: str


@dataclass
class Found:
    """What came of it.

    Args:
        reached: Whether the operation came to the step at all.
        state: The shares afterwards.
        is_whole: Whether that is the state before or the one after.
        seconds: From the kill until the state was whole and an answer came.
        requests: Made during it.
        failed: Of these.
        orphans: Processes that nobody knows.
    """

    reached: bool = False
    state: dict[str, int] | None = None
    is_whole: bool = False
    seconds: float = 0.0
    requests: int = 0
    failed: int = 0
    orphans: int = 0


BEFORE: dict[str, dict[str, int]] = {
    "deploy": {"digits@1": 100},
    "promote": {"digits@1": 70, "digits@2": 30},
    "rollback": {"digits@1": 70, "digits@2": 30},
    "down": {"digits@1": 100},
}
AFTER: dict[str, dict[str, int]] = {
    "deploy": {"digits@1": 70, "digits@2": 30},
    "promote": {"digits@2": 100},
    "rollback": {"digits@1": 100},
    "down": {},
}


def kills(folder: Path, scale: float, victim: str) -> Outcome:
    """One victim at each failpoint of each verb; `scale` is the share of the cases."""
    cases = [Case(verb, step, victim) for verb in VERBS for step in STEPS if not (verb == "down" and "start" in step)]
    found = {
        case: one_kill(folder / f"kill-{number}", case)
        for number, case in enumerate(cases[:: max(1, round(1 / scale))])
    }
    reached = {case: one for case, one in found.items() if one.reached}
    lost = sum(one.failed for one in reached.values()) if victim in {"daemon", "client"} else 0
    is_good = all(one.is_whole and one.seconds <= RECOVERY_SECONDS and not one.orphans for one in reached.values())
    columns = ("during", "steps it was killed at", "old or new state", "slowest recovery", "orphans", "requests lost")
    return Outcome(
        f"The {victim} killed at every step",
        verdict(is_good and not lost),
        table=[columns, *(row for verb in VERBS if (row := _row(verb, found)))],
        problems=[f"{case}: {one}" for case, one in reached.items() if not one.is_whole or one.orphans][:20],
    )


def one_kill(root: Path, case: Case) -> Found:
    """Bring a line to the state before, give the command, kill the victim at the step, and look."""
    found = Found()
    line = make_line(root, 2, "bake_minutes = 0\nkeep = 1")
    try:
        line.deploy(1)
        if case.verb in {"promote", "rollback"}:
            line.deploy(2, 30)
        action = "kill" if case.victim == "daemon" else "stop"
        with armed(line, f"{case.verb}.{case.step}={action}"), line.load(root, kept=2, fresh=1, slow=1) as load:
            load.wait_for_more(20)
            _strike(line, case, load, found)
        found.requests, found.failed = len(load.log.records), load.log.failed
        if case.verb == "down":
            # What was answered until the gateway went; afterwards nobody promised an answer.
            found.failed = 0
        found.orphans = _strays(line)
    finally:
        line.end()
    return found


@contextlib.contextmanager
def armed(line: RunningLine, failpoint: str) -> Iterator[None]:
    """Keepers with an armed failpoint; new ones without it afterwards."""
    os.environ[VARIABLE] = failpoint
    try:
        renew_keepers(line)
        yield
    finally:
        os.environ.pop(VARIABLE, None)


def renew_keepers(line: RunningLine) -> None:
    """Kill guardian and daemon; the next command starts new ones, with the environment of now."""
    line.kill("guardian", "daemon")
    line.control.operator.status()


def command_of(verb: str) -> list[str]:
    """What is typed for the verb."""
    return {
        "deploy": ["deploy", "digits@2", "--canary", "30"],
        "promote": ["promote", "digits"],
        "rollback": ["rollback", "digits"],
        "down": ["down", "--yes"],
    }[verb]


def _strike(line: RunningLine, case: Case, load: Load, found: Found) -> None:
    daemon = line.only("daemon")
    client = line.start(*command_of(case.verb))
    waiter = threading.Thread(target=client.communicate, daemon=True)
    waiter.start()
    try:
        found.reached = _has_come(daemon, lambda: client.poll() is not None, is_kill=case.victim == "daemon")
        begun = time.monotonic()
        if found.reached and case.victim != "daemon":
            _kill(line, case.victim, client.pid)
            with contextlib.suppress(psutil.Error):
                daemon.resume()
        if found.reached:
            _wait_until_whole(line, case, found, begun)
            if found.state:
                load.wait_for_more(20)
    finally:
        with contextlib.suppress(psutil.Error):
            daemon.resume()
        client.kill()
        waiter.join(10)


def _has_come(daemon: psutil.Process, is_over: Callable[[], bool], *, is_kill: bool) -> bool:
    """Whether the daemon came to its failpoint; False when the command ended without that."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            status = daemon.status()
        except psutil.NoSuchProcess:
            return is_kill
        if status == psutil.STATUS_ZOMBIE:
            return is_kill
        if status == psutil.STATUS_STOPPED:
            return True
        if is_over():
            # A step after the answer comes a moment later.
            time.sleep(0.5)
            return _has_come(daemon, lambda: False, is_kill=is_kill) if not daemon.is_running() else _is_there(daemon)
        time.sleep(0.002)
    return False


def _is_there(daemon: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return daemon.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    return True


def _kill(line: RunningLine, victim: str, client: int) -> None:
    if victim == "client":
        with contextlib.suppress(psutil.Error):
            psutil.Process(client).kill()
        return
    processes = line.processes(victim)
    for process in processes[:1]:
        process.kill()


def _wait_until_whole(line: RunningLine, case: Case, found: Found, begun: float) -> None:
    def is_whole() -> bool:
        if case.verb == "down" and not line.processes():
            found.state = {}
            return True
        # Recovery must need no command: this reads what the daemon tells, and starts none.
        if not line.processes("daemon"):
            return False
        status = line.control.operator.status()["models"].get("digits", {"versions": {}, "operation": None})
        found.state = {ref: one["weight"] for ref, one in status["versions"].items() if one["weight"]}
        is_ready = all(one["health"] == "ready" for one in status["versions"].values() if one["weight"])
        return not status["operation"] and is_ready and found.state in (BEFORE[case.verb], AFTER[case.verb])

    with contextlib.suppress(AssertionError, TurnoutError):
        wait_until(is_whole, "a whole state", 30)
        found.is_whole = True
    found.seconds = time.monotonic() - begun


def _strays(line: RunningLine) -> int:
    """Hosts beyond those the status knows; gateways, daemons and guardians beyond one each."""
    try:
        wait_until(lambda: _surplus(line) <= 0, "no strays", 10)
    except AssertionError:
        return _surplus(line)
    return 0


def _surplus(line: RunningLine) -> int:
    roles = {role: len(line.processes(role)) for role in ("host", "gateway", "daemon", "guardian")}
    if not any(roles.values()):
        return 0
    status = line.control.operator.status()["models"].get("digits", {"versions": {}})
    wanted = sum(one["replicas"] for one in status["versions"].values())
    return max(0, roles["host"] - wanted) + sum(max(0, roles[role] - 1) for role in ("gateway", "daemon", "guardian"))


def _row(verb: str, found: dict[Case, Found]) -> tuple[str, ...] | None:
    mine = [one for case, one in found.items() if case.verb == verb and one.reached]
    if not mine:
        return None
    return (
        verb,
        str(len(mine)),
        f"{sum(one.is_whole for one in mine)} of {len(mine)}",
        f"{max(one.seconds for one in mine):.1f} s",
        str(sum(one.orphans for one in mine)),
        f"{sum(one.failed for one in mine)} of {sum(one.requests for one in mine):,}" if verb != "down" else "-",
    )


def reboot(folder: Path, scale: float) -> Outcome:
    """Daemon and guardian killed in mid-canary, then everything killed."""
    del scale
    with running_line(folder / "reboot", 2, "bake_minutes = 0") as line:
        line.deploy(1)
        line.deploy(2, 25)
        with line.load(folder, kept=3, fresh=1, slow=1) as load:
            load.wait_for_more(100)
            line.kill("guardian", "daemon")
            load.wait_for_more(1000)
            begun = time.monotonic()
            kept = line.turnout("status", "--json").document["models"]["digits"]["versions"]
            recovered = time.monotonic() - begun
            load.wait_for_more(100)
        line.kill()
        begun = time.monotonic()
        line.turnout("up")
        back = time.monotonic() - begun
        weights = line.weights()
    is_same = weights == {"digits@1": 75, "digits@2": 25} == {ref: one["weight"] for ref, one in kept.items()}
    return Outcome(
        "Both keepers killed in mid-canary; a reboot",
        verdict(load.log.failed == 0 and is_same),
        {
            "requests meanwhile": f"{len(load.log.records):,}, failed {load.log.failed}",
            "the next command (`turnout status`) after that": f"{recovered:.1f} s",
            "everything killed: `turnout up` until the same split serves": f"{back:.1f} s",
        },
    )


def hung_host(folder: Path, scale: float) -> Outcome:
    """One of two replicas of the only version is stopped: when it gets no more requests, and when it is replaced."""
    out, replaced, waited, counts = [], [], [], []
    with running_line(folder / "hung", 1, "bake_minutes = 0") as line:
        line.deploy(1, replicas=2)
        # By turns: five crashes of one in a row would be too many.
        for _ in range(max(1, round(4 * scale))):
            hung = min(line.processes("host"), key=lambda process: process.create_time())
            # Whoever asks anew while others wait: clients that wait for their answers would soon all do so.
            with ThreadPoolExecutor(200) as pool:
                asked: list[Future[tuple[float, float, bool]]] = []
                begun = time.monotonic()
                hung.suspend()
                while not _is_replaced(line, hung):
                    asked.append(pool.submit(_ask, line.url()))
                    time.sleep(PROBE_SECONDS)
                replaced.append(time.monotonic() - begun)
                ended = [one.result() for one in asked]
            held_up = [start - begun for start, seconds, is_good in ended if seconds > SLOW_SECONDS or not is_good]
            out.append(max(held_up, default=0.0))
            waited.append(max(seconds for _, seconds, _ in ended))
            counts.append((len(ended), len(held_up), sum(not is_good for _, _, is_good in ended)))
    total, late, failed = (sum(column) for column in zip(*counts, strict=True))
    every = f"requests meanwhile, one each {PROBE_SECONDS * 1000:.0f} ms"
    return Outcome(
        "A host that hangs",
        verdict(max(out) <= OUT_SECONDS and max(replaced) <= REPLACED_SECONDS),
        {
            "times that one of two replicas was stopped": str(len(out)),
            "until the last request that it was given": f"at most {max(out):.1f} s",
            "until another one was ready in its place": f"at most {max(replaced):.1f} s",
            every: f"{total}, of them given to it {late}, failed {failed}",
            "slowest answer of those given to it": f"{max(waited):.1f} s",
        },
    )


def _is_replaced(line: RunningLine, hung: psutil.Process) -> bool:
    is_gone = not hung.is_running() or hung.status() == psutil.STATUS_ZOMBIE
    return is_gone and line.entry()["versions"]["digits@1"]["ready"] == 2


def _ask(url: str) -> tuple[float, float, bool]:
    """When a request began, how long it took, and whether it got its answer."""
    begun = time.monotonic()
    request = urllib.request.Request(url, BODY.encode(), {"content-type": "application/json"})
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=30) as reply:
        reply.read()
        return begun, time.monotonic() - begun, True
    return begun, time.monotonic() - begun, False
