"""Whatever happens in whatever order, with real processes: what serves stays sound.

tests/local/test_machine.py does far more of it against a target in memory. `TURNOUT_SOAK_REAL=20 pytest
tests/e2e/test_machine_line.py` runs that many sequences, drawn anew each time.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import psutil
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pipelines.errors import TurnoutError
from tests.e2e.running import BODY, RunningLine, make_line, wait_until

SETTLED_SECONDS = 20.0
MOST_HOST_KILLS = 3
"""A version is given up after five crashes in a row, as it should be."""


class Machine(RuleBasedStateMachine):
    """Three versions of a model, somebody who operates, and somebody who kills."""

    @initialize(keep=st.integers(0, 2))
    def begin(self, keep: int) -> None:
        """A project whose first version serves."""
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.host_kills = 0
        self.line: RunningLine = make_line(Path(self.folder.name) / "project", 3, f"bake_minutes = 0.02\nkeep = {keep}")
        self.line.deploy(1)
        self.settle()

    def operate(self, verb: str, **arguments: Any) -> bool:
        """Have it done; whether it was. What is refused is an error of ours, and no other."""
        try:
            self.line.operate(verb, **arguments)
        except TurnoutError:
            return False
        return True

    def settle(self) -> dict[str, Any]:
        """Wait until a version with a share answers and all such are ready; what runs, which must be sound."""

        def is_settled() -> bool:
            entry = self.line.entry()
            carrying = {ref: one for ref, one in entry["versions"].items() if one["weight"]}
            is_up = carrying and all(one["health"] == "ready" for one in carrying.values())
            return bool(is_up and not entry["operation"] and self.answered() in carrying)

        wait_until(is_settled, "a version that serves", SETTLED_SECONDS)
        entry = self.line.entry()
        assert sum(one["weight"] for one in entry["versions"].values()) == 100
        for ref in entry["quarantined"]:
            assert not entry["versions"].get(ref, {}).get("weight"), "what was left by a rollback has no share"
        return entry

    def answered(self) -> str:
        """Which version answers a request; none when it failed."""
        request = urllib.request.Request(self.line.url(), BODY.encode(), {"content-type": "application/json"})
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10) as reply:
            return str(reply.headers["x-model-version"])
        return ""

    @rule(number=st.integers(1, 3), share=st.sampled_from([10, 50, 100, "shadow"]))
    def deploy(self, number: int, share: int | str) -> None:
        """A canary, a ramp, a switch, a shadow, another one in mid-canary."""
        done = self.operate("deploy", ref=f"digits@{number}", share=share)
        entry = self.settle()
        if done and share == 100:
            assert entry["versions"][f"digits@{number}"]["weight"] == 100

    @rule()
    def promote(self) -> None:
        """The candidate gets the rest, where there is one."""
        self.operate("promote", ref=None)
        self.settle()

    @rule(quarantine=st.booleans())
    def rollback(self, quarantine: bool) -> None:
        """Back to a version that was ready and that nobody had left for a reason."""
        before = self.line.entry()
        if self.operate("rollback", to=None, reason="a try", quarantine=quarantine):
            (goal,) = self.line.weights()
            assert goal not in before["quarantined"]
            assert before["versions"][goal]["health"] == "ready"
        self.settle()

    @rule()
    def undo(self) -> None:
        """What is under way is called off."""
        self.operate("undo")
        self.settle()

    @rule(role=st.sampled_from(["daemon", "guardian", "gateway"]))
    def kill(self, role: str) -> None:
        """One of those that keep it up is killed; the shares stay."""
        before = self.line.weights()
        self.strike(role)
        self.settle()
        assert set(self.line.weights()) <= set(before) | {self.line.entry()["champion"]}

    @precondition(lambda self: self.host_kills < MOST_HOST_KILLS)
    @rule()
    def kill_hosts(self) -> None:
        """All versions die at once, and come back without a command."""
        self.host_kills += 1
        self.strike("host")
        self.settle()

    @rule()
    def kill_everything(self) -> None:
        """As by a power cut: `up` brings back what was live."""
        self.line.kill()
        self.line.control.operator.up(self.line.notes.append)
        self.settle()

    def strike(self, role: str) -> None:
        """Kill the processes of a role, once."""
        for process in self.line.processes(role):
            with contextlib.suppress(psutil.Error):
                process.kill()

    def teardown(self) -> None:
        """Nothing is left."""
        if hasattr(self, "line"):
            left = self.line.end()
            self.folder.cleanup()
            assert not left, f"had to be killed: {left}"


SEQUENCES = int(os.environ.get("TURNOUT_SOAK_REAL", "0"))
Machine.TestCase.settings = settings(
    max_examples=SEQUENCES or 2,
    stateful_step_count=12 if SEQUENCES else 8,
    deadline=None,
    # The same few each time where nobody asked for more; and processes are not to be replayed to find a shorter case.
    derandomize=not SEQUENCES,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestMachine = Machine.TestCase
