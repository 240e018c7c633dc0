"""Switches, ramps and rollbacks under load: what is lost, and how long each takes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from tests.e2e.load import Load, Log, Timeline
from tests.e2e.running import RunningLine, running_line, wait_until
from tests.soak.outcome import Outcome, spread, verdict

SETTINGS = "bake_minutes = 0\nkeep = 2"


def switches(folder: Path, scale: float) -> Outcome:
    """50 switches and 20 ramps under closed-loop load, at least 100,000 requests."""
    count, ramps, least = (max(2, round(full * scale)) for full in (50, 20, 100_000))
    with running_line(folder / "switches", 3, SETTINGS) as line:
        line.deploy(1)
        timeline = Timeline()
        drained: list[tuple[float, int]] = []
        with line.load(folder, kept=8, fresh=4, slow=3, slow_seconds=1.0) as load:
            live = 1
            for _ in range(count):
                old, live = live, live % 3 + 1
                timeline.do(lambda to=live: line.deploy(to), live)
                drained.append((timeline.spans[-1][1], old))
                load.wait_for_more(max(100, least // (count + ramps * 4)))
            for _ in range(ramps):
                old, live = live, live % 3 + 1
                for share in (10, 50):
                    timeline.do(lambda to=live, share=share: line.deploy(to, share), old, live)
                    load.wait_for_more(max(50, least // (count + ramps * 4)))
                timeline.do(lambda: line.operate("promote"), live)
                drained.append((timeline.spans[-1][1], old))
                load.wait_for_more(max(50, least // (count + ramps * 4)))
            load.wait_for(lambda counts: counts["all"] >= least, 600)
        log = load.log
        strangers = timeline.strangers(log)
        late = [_drain(log, moment, old) for moment, old in drained]
        lasted = [seconds for seconds, _ in late]
        took = [over - begun for begun, over, _ in timeline.spans]
        return Outcome(
            "Switches and ramps under load",
            verdict(log.failed == 0 and strangers == 0 and len(log.records) >= least),
            {
                "requests": f"{len(log.records):,} over 8 kept and 4 fresh connections and 3 with bodies of 1 s",
                "switches / ramps": f"{count} / {ramps} (10 %, 50 %, promote)",
                "failed": str(log.failed),
                "begun after the answer, served by the version left": str(strangers),
                "time of a command": spread(took),
                "requests in flight at the answer, still served by the version left": str(sum(n for _, n in late)),
                "until the last of them was answered": spread(lasted),
                "latency of a kept connection": spread(log.seconds().tolist()),
            },
            log.failures[:5],
        )


def rollbacks(folder: Path, scale: float) -> Outcome:
    """Warm rollbacks under load, from a client that runs and from the shell; cold ones; `status` from the shell."""
    warm, shell = (max(3, round(full * scale)) for full in (100, 20))
    running: list[float] = []
    answered: list[float] = []
    from_shell: list[float] = []
    returned: list[float] = []
    with running_line(folder / "rollbacks", 3, SETTINGS) as line:
        line.deploy(1)
        timeline = Timeline()
        with line.load(folder, kept=6, fresh=3, slow=1, slow_seconds=0.5) as load:
            for _ in range(warm):
                _bring_the_bad_one(line, load, timeline)
                timeline.do(lambda: line.operate("rollback", quarantine=False), 1)
                load.wait_for_more(60)
            for _ in range(shell):
                _bring_the_bad_one(line, load, timeline)
                command = ("rollback", "digits", "--no-quarantine")
                timeline.do(lambda command=command: line.turnout(*command), 1)
                load.wait_for_more(60)
        log = load.log
        ways_back = [number for number, (_, _, allowed) in enumerate(timeline.spans) if allowed == {1}]
        for nth, number in enumerate(ways_back):
            begun, over, _ = timeline.spans[number]
            until = timeline.spans[number + 1][0] if number + 1 < len(timeline.spans) else float("inf")
            last = max(0.0, log.last_start(2, before=until) - begun)
            (running if nth < warm else from_shell).append(last)
            (answered if nth < warm else returned).append(over - begun)
        cold = [_cold(line, 10 + number) for number in range(max(2, round(10 * scale)))]
        status = [_timed(line, "status") for _ in range(max(3, round(10 * scale)))]
    is_good = (
        log.failed == 0
        and timeline.strangers(log) == 0
        and np.percentile(running, 99) <= 0.1
        and np.percentile(from_shell, 99) <= 0.5
        and max(cold) <= 5
    )
    return Outcome(
        "The way back",
        verdict(bool(is_good)),
        {
            "requests": f"{len(log.records):,}, failed {log.failed}, of the bad version after the answer "
            f"{timeline.strangers(log)}",
            "running client: command to the start of the last request of the bad version": spread(running),
            "running client: command to its answer": spread(answered),
            "shell: command to the start of the last request of the bad version": spread(from_shell),
            "shell: command to its end": spread(returned),
            "shell, to a version that does not run (cold): command to its first answer": spread(cold),
            "shell: `turnout status`": spread(status),
        },
        log.failures[:5],
    )


def first_answers(folder: Path, scale: float) -> Outcome:
    """Deploys of a packaged version, until the first answer of the canary."""
    with running_line(folder / "first", 2, SETTINGS) as line:
        line.deploy(1)
        lone = [_first_answer(line, folder, None) for _ in range(max(3, round(10 * scale)))]
        loaded = [_first_answer(line, folder, 4) for _ in range(max(3, round(10 * scale)))]
    return Outcome(
        "Deploy to the first canary answer",
        verdict(max(lone) <= 3),
        {
            "from the shell, one request at a time": spread(lone),
            "from the shell, four connections busy": spread(loaded),
        },
    )


def _first_answer(line: RunningLine, folder: Path, busy: int | None) -> float:
    with line.load(folder, kept=busy or 1, fresh=0, slow=0, pause_seconds=0.0 if busy else 0.002) as load:
        load.wait_for_more(5)
        begun = time.monotonic()
        process = line.start("deploy", "digits@2", "--canary", "50")
        process.communicate(timeout=60)
        load.wait_for_more(1, version=2)
    seen = load.log.records
    first = float(seen[seen["version"] == 2]["end"].min()) - begun
    line.operate("undo")
    wait_until(lambda: "digits@2" not in line.entry()["versions"], "the canary's end")
    return first


def _bring_the_bad_one(line: RunningLine, load: Load, timeline: Timeline) -> None:
    timeline.do(lambda: line.deploy(2, 50), 1, 2)
    load.wait_for_more(40, version=2)


def _cold(line: RunningLine, number: int) -> float:
    """A rollback to a version that never ran; back to version 1 afterwards."""
    line.shelf.add(number)
    took = _timed(line, "rollback", "digits", "--to", f"digits@{number}", "--no-quarantine")
    assert line.weights() == {f"digits@{number}": 100}
    line.deploy(1)
    return took


def _timed(line: RunningLine, *command: str) -> float:
    begun = time.monotonic()
    line.turnout(*command)
    return time.monotonic() - begun


def _drain(log: Log, moment: float, old: int) -> tuple[float, int]:
    """Until when the version left answered what it had begun, after the moment; and how many that were."""
    seen = log.records
    mine = seen[(seen["version"] == old) & (seen["start"] <= moment) & (seen["end"] > moment)]
    return (float(mine["end"].max()) - moment if len(mine) else 0.0), len(mine)
