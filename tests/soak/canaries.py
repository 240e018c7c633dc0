"""Rollouts that are left to the judge: bad canaries, and twenty that are as good as what they replace."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import TurnoutError
from tests.e2e.running import RunningLine, running_line
from tests.e2e.versions import row_ending_in
from tests.soak.outcome import Outcome, verdict

_SETTINGS = """
judge = true
steps = [{first}, 100]
min_requests = 50
min_minutes = {minutes}
bake_minutes = 0
on_shift = "rollback"
"""
_FULL: dict[str, Any] = {"kept": 8, "fresh": 0, "slow": 0, "seconds": 3600.0, "requests": 10_000_000}
_GENTLE: dict[str, Any] = {"kept": 4, "fresh": 0, "slow": 0, "pause_seconds": 0.01, "seconds": 3600.0}
_BAD = {
    "fails 10 % of its requests": ("moody", "tenth"),
    "answers 503": ("moody", "503"),
    "answers NaN": ("overflows", ""),
    "twenty milliseconds slower": ("slow", ""),
    'answers otherwise (`on_shift = "rollback"`)': ("shifted", ""),
}
_OVERFLOWING = json.dumps({"inputs": row_ending_in(2.0)})
_PATIENCE_SECONDS = 240.0
_EQUAL_MINUTES = 0.5


def bad_verdicts(folder: Path, scale: float) -> Outcome:
    """Each kind of bad canary several times: how soon it is gone, and what it cost."""
    rounds = max(1, round(5 * scale))
    rows: list[tuple[str, ...]] = []
    problems: list[str] = []
    for number, (name, (kind, mood)) in enumerate(_BAD.items()):
        found = []
        for turn in range(rounds):
            settings = _SETTINGS.format(first=10, minutes=2)
            with running_line(folder / f"{number}-{turn}", 1, settings) as line:
                found.append(_judged(line, folder, kind, mood, _GENTLE))
        problems += [f"{name}: {one.ended}, {one.reason}" for one in found if one.ended != "rolled back"]
        lost = sum(one.lost for one in found)
        problems += [f"{name}: {lost} requests failed for the client"] if lost else []
        spread = [_spread([getattr(one, part) for one in found]) for part in ("seconds", "requests", "failures")]
        rows.append((name, f"{sum(one.ended == 'rolled back' for one in found)} of {rounds}", *spread))
    head = ("canary at 10 %", "rolled back", "seconds, median (most)", "its requests", "of them failed")
    title = "Bad canaries are rolled back by themselves"
    return Outcome(title, verdict(not problems), table=[head, *rows], problems=problems)


def equal_versions(folder: Path, scale: float) -> Outcome:
    """Twenty canaries that are as good as what they replace, under as much load as the machine takes."""
    rounds = max(1, round(10 * scale))
    rows: list[tuple[str, ...]] = []
    problems: list[str] = []
    wrong = 0
    for first in (10, 5):
        settings = _SETTINGS.format(first=first, minutes=_EQUAL_MINUTES)
        ended = []
        for turn in range(rounds):
            with running_line(folder / f"{first}-{turn}", 1, settings) as line:
                ended.append(_judged(line, folder, "good", "", _FULL))
        counts = {what: sum(one.ended == what for one in ended) for what in ("promoted", "rolled back", "undecided")}
        wrong += counts["rolled back"]
        problems += [f"at {first} %: {one.ended}, {one.reason}" for one in ended if one.ended != "promoted"]
        seconds, requests = (np.median([getattr(one, part) for one in ended]) for part in ("seconds", "requests"))
        shown = [str(count) for count in counts.values()]
        rows.append((f"{100 - first} / {first}", str(rounds), *shown, f"{seconds:.0f}", f"{requests:,.0f}"))
    medians = ("seconds, median", "requests of the canary, median")
    head = ("split", "rollouts", "promoted", "rolled back", "undecided", *medians)
    title = "Equal versions under saturation"
    return Outcome(title, verdict(wrong <= 1), table=[head, *rows], problems=problems)


@dataclass(frozen=True)
class Ended:
    """One rollout.

    Args:
        ended: How.
        seconds: From the deploy to that.
        requests: The canary's, as far as they were judged.
        failures: Those of them that failed.
        lost: Requests that failed for the client.
        reason: What the judge said last.
    """

    ended: str
    seconds: float
    requests: int
    failures: int
    lost: int
    reason: str


def _spread(values: list[float]) -> str:
    shown = ".1f" if any(isinstance(value, float) for value in values) else ",.0f"
    return f"{np.median(values):{shown}} ({max(values):{shown}})"


def _judged(line: RunningLine, folder: Path, kind: str, mood: str, load: dict[str, Any]) -> Ended:
    """One rollout, to its end."""
    line.deploy(1)
    ref = line.shelf.add(2, kind)
    body = {"body": _OVERFLOWING} if kind == "overflows" else {}
    with line.load(folder, **load, **body) as running:
        running.wait_for_more(500)
        begun = time.monotonic()
        line.deploy(2, _first_share(line))
        if mood:
            line.shelf.mood(ref, mood)
        ended = _ended(line)
        took = time.monotonic() - begun
        seen = line.entry().get("rollout") or {}
    counts = (int(seen.get("requests", 0)), int(seen.get("failures", 0)))
    return Ended(ended, took, *counts, running.log.failed, str(seen.get("reason", "")))


def _first_share(line: RunningLine) -> int:
    """The first step of the project's rollouts."""
    text = (line.root / "pyproject.toml").read_text(encoding="utf-8")
    return int(text.partition("steps = [")[2].partition(",")[0])


def _ended(line: RunningLine) -> str:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            entry = line.entry()
            if entry["champion"] == "digits@2" or entry["phase"] == "baking":
                return "promoted"
            if "digits@2" in entry["quarantined"]:
                return "rolled back"
        except TurnoutError:
            pass
        time.sleep(0.2)
    return "undecided"
