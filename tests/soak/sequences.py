"""Whatever happens in whatever order, many times over: the state machines of the tests at their full length."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.line import ROOT
from tests.soak.outcome import Outcome, verdict

MACHINES = {
    "against a target in memory": ("tests/local/test_machine.py", "TURNOUT_SOAK", 2000),
    "with real processes": ("tests/e2e/test_machine_line.py", "TURNOUT_SOAK_REAL", 10),
}


def sequences(folder: Path, scale: float) -> Outcome:
    """Deploy, ramp, promote, roll back, kill, reboot, full disk, in any order: the invariants hold after each step."""
    facts, problems = {}, []
    for name, (file, variable, many) in MACHINES.items():
        count = max(1, round(many * scale))
        begun = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-show-statistics", file]
        environment = {**os.environ, variable: str(count), "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis")}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3600, check=False
        )
        ran = sum(int(found) for found in re.findall(r"(\d+) passing", done.stdout))
        facts[f"sequences {name}"] = f"{ran:,} in {time.monotonic() - begun:.0f} s"
        if done.returncode != 0 or ran < count:
            problems.append(f"{file}: {done.stdout[-600:]}")
    return Outcome("Whatever happens in whatever order", verdict(not problems), facts, problems)
