"""Many operators at once, a misbehaving canary, a full disk, ten minutes of switching."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

from pipelines.errors import Busy, Refused, TurnoutError
from pipelines.values import Bento
from tests.e2e.load import FRESH, KEPT
from tests.e2e.running import RunningLine, running_line, wait_until
from tests.soak.outcome import Outcome, spread, verdict


def operators(folder: Path, scale: float) -> Outcome:
    """20 deploys and rollbacks at once, half from processes and half from threads, over and over."""
    rounds = max(1, round(5 * scale))
    ends: Counter[str] = Counter()
    whole = 0
    with running_line(folder / "operators", 3, "bake_minutes = 0\nkeep = 2") as line:
        line.deploy(1)
        with line.load(folder, kept=2, fresh=1, slow=0) as load:
            for _ in range(rounds):
                ends.update(_all_at_once(line))
                wait_until(lambda: not line.entry()["operation"], "quiet")
                entry = line.entry()
                weights = [one["weight"] for one in entry["versions"].values()]
                whole += sum(weights) == 100 and all(
                    one["health"] == "ready" for one in entry["versions"].values() if one["weight"]
                )
            load.wait_for_more(50)
    others = {end: count for end, count in ends.items() if end not in {"done", "busy", "refused"}}
    return Outcome(
        "20 operators at once",
        verdict(not others and whole == rounds and load.log.failed == 0),
        {
            "rounds of 20 commands": str(rounds),
            "ended": ", ".join(f"{count} {end}" for end, count in sorted(ends.items())),
            "whole states afterwards": f"{whole} of {rounds}",
            "requests meanwhile": f"{len(load.log.records):,}, failed {load.log.failed}",
        },
        [f"{count} times: {end}" for end, count in others.items()],
    )


def _all_at_once(line: RunningLine) -> list[str]:
    commands = [
        ["rollback", "digits", "--no-quarantine"] if number % 4 == 3 else _deploy(number) for number in range(10)
    ]
    started = [line.start(*command, "--json") for command in commands]
    with ThreadPoolExecutor(10) as pool:
        ends = list(pool.map(lambda number: _in_thread(line, number), range(10)))
    return [*ends, *(_end(process) for process in started)]


def _deploy(number: int) -> list[str]:
    return ["deploy", f"digits@{number % 3 + 1}", "--canary", str(10 + number), *(["--wait"] if number % 2 else [])]


def _in_thread(line: RunningLine, number: int) -> str:
    try:
        if number % 4 == 3:
            line.operate("rollback", quarantine=False)
        else:
            line.deploy(number % 3 + 1, 20 + number)
    except Busy:
        return "busy"
    except Refused:
        return "refused"
    except TurnoutError as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def _end(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=180)
    if process.returncode == 0:
        return "done"
    try:
        error = json.loads(out)["error"]
    except (ValueError, KeyError):
        return f"code {process.returncode}: {err[-200:]}"
    known = {"Busy": "busy", "Refused": "refused"}
    return known.get(error["type"], f"{error['type']}: {error['message']}")


def bad_canaries(folder: Path, scale: float) -> Outcome:
    """A canary at 30 % that answers 503, resets, hangs, exits, or is killed and stopped from outside."""
    least = max(300, round(3000 * scale))
    rows: list[tuple[str, ...]] = []
    is_good = True
    with running_line(folder / "canaries", 1, "bake_minutes = 0") as line:
        ref = line.shelf.add(8, "moody")
        line.deploy(1)
        for mood in ("503", "reset", "hang", "die", "SIGKILL", "SIGSTOP"):
            line.shelf.mood(ref, "")
            line.deploy(8, 30)
            with line.load(folder, kept=6, fresh=2, slow=1, slow_seconds=0.2) as load:
                load.wait_for_more(30, version=8)
                begun = time.monotonic()
                _spoil(line, mood)
                load.wait_for_more(least, seconds=300)
                with contextlib.suppress(AssertionError):
                    wait_until(lambda: line.entry()["versions"]["digits@8"]["failures"] > 0, "counted", 5)
            versions = line.entry()["versions"]
            line.shelf.mood(ref, "")
            line.operate("undo")
            wait_until(lambda: "digits@8" not in line.entry()["versions"], "the canary's end")
            seen = load.log.records
            after = seen[(seen["start"] > begun) & np.isin(seen["kind"], (KEPT, FRESH))]
            longest = float((after["end"] - after["start"]).max())
            counted, blamed = versions["digits@8"]["failures"], versions["digits@1"]["failures"]
            is_good &= load.log.failed == 0 and counted > 0 and blamed == 0
            rows.append((mood, f"{len(seen):,}", str(load.log.failed), f"{longest:.2f} s", str(counted), str(blamed)))
    columns = ("canary", "requests", "failed for the client", "slowest answer", "counted: canary", "counted: champion")
    return Outcome("A canary that misbehaves", verdict(bool(is_good)), table=[columns, *rows])


def _spoil(line: RunningLine, mood: str) -> None:
    if not mood.startswith("SIG"):
        line.shelf.mood(line.shelf.ref(8), mood)
        return
    for process in line.processes("host"):
        if "/8/src" in " ".join(process.cmdline()):
            process.kill() if mood == "SIGKILL" else process.suspend()


def endurance(folder: Path, scale: float) -> Outcome:
    """Ten minutes of load with a switch every 20 s: memory, file descriptors and processes."""
    rounds = max(4, round(30 * scale))
    samples: list[dict[str, tuple[float, int, int]]] = []
    with running_line(folder / "endurance", 2, "bake_minutes = 0\nkeep = 1") as line:
        line.deploy(1)
        with line.load(folder, kept=4, fresh=2, slow=1, seconds=3600) as load:
            for number in range(rounds):
                over = time.monotonic() + 20
                line.deploy(number % 2 + 1 if number else 2)
                load.wait_for(lambda _, over=over: time.monotonic() > over, 60)
                samples.append({role: _weight(line, role) for role in ("daemon", "guardian", "gateway", "host")})
    third = max(1, len(samples) // 3)
    rows = []
    is_good = load.log.failed == 0
    for role in samples[0]:
        early, late = ([sample[role] for sample in part] for part in (samples[1 : third + 1], samples[-third:]))
        figures = [(np.mean([one[n] for one in early]), np.mean([one[n] for one in late])) for n in range(3)]
        # What is cached once grows at first; a leak grows by each switch.
        is_good &= figures[0][1] <= figures[0][0] * 1.1 + 3 and figures[1][1] <= figures[1][0] + 3
        is_good &= figures[2][1] <= figures[2][0]
        rows.append((role, *(f"{before:.1f} → {after:.1f}" for before, after in figures)))
    head = f"{rounds} switches in {rounds / 3:.0f} min, {len(load.log.records):,} requests, {load.log.failed} failed"
    columns = (f"first → last third ({head})", "memory, MB", "file descriptors", "processes")
    return Outcome("Nothing grows", verdict(bool(is_good)), table=[columns, *rows], problems=load.log.failures[:5])


def _weight(line: RunningLine, role: str) -> tuple[float, int, int]:
    memory, descriptors, count = 0.0, 0, 0
    for process in line.processes(role):
        with contextlib.suppress(psutil.Error):
            memory += process.memory_full_info().uss / 1e6
            descriptors += process.num_fds()
            count += 1
    return memory, descriptors, count


def full_disk(folder: Path, scale: float) -> Outcome:
    """The state folder on a small file system that runs full: deploys fail and say so, what runs serves on."""
    del scale
    if os.geteuid() != 0:
        return Outcome("A full disk", "not run", {"why": "mounting a tmpfs needs root"})
    facts: dict[str, str] = {}
    is_good = True
    with running_line(folder / "disk", 2, "bake_minutes = 0") as line, _small_disk(line) as filled:
        line.deploy(1)
        with line.load(folder, kept=2, fresh=1, slow=0) as load:
            for name, attempt in _attempts(line).items():
                with filled():
                    try:
                        attempt()
                        said, is_told = "it succeeded all the same", True
                    except TurnoutError as error:
                        said = f"{type(error).__name__}: {error}"
                        is_told = type(error).__name__ == "StorageFailed" and str(line.state) in str(error)
                    load.wait_for_more(50)
                    is_good &= line.weights() == {"digits@1": 100} or said.startswith("it succeeded")
                is_good &= is_told
                facts[f"{name}, while full"] = said
                attempt()
                facts[f"{name}, with room again"] = "done"
                if line.weights() != {"digits@1": 100}:
                    line.operate("undo")
            load.wait_for_more(50)
    facts["requests meanwhile"] = f"{len(load.log.records):,}, failed {load.log.failed}"
    return Outcome("A full disk", verdict(bool(is_good) and load.log.failed == 0), facts)


def _attempts(line: RunningLine) -> dict[str, Callable[[], object]]:
    bento = Bento(line.shelf.ref(40), str(line.state), "0" * 64, is_passed=True, forced="x" * 200_000)
    return {
        "noting a package": lambda: line.shelf.catalogue.put(bento),
        "deploy (journal, gateway files, logs)": lambda: line.deploy(2, 20),
    }


@contextlib.contextmanager
def _small_disk(line: RunningLine) -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """Put the state folder on a tmpfs of 24 MB; yields what fills it for a while."""
    kept = line.state.with_name("kept")
    line.state.rename(kept)
    line.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(line.state)], check=True)
    ballast = line.state / "ballast"

    @contextlib.contextmanager
    def filled() -> Iterator[None]:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass
        try:
            yield
        finally:
            ballast.unlink()

    try:
        subprocess.run(["cp", "-a", f"{kept}/.", str(line.state)], check=True)
        yield filled
    finally:
        line.end()
        subprocess.run(["umount", "-l", str(line.state)], check=True)


__all__ = ["bad_canaries", "endurance", "full_disk", "operators", "spread"]
