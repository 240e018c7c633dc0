"""Named points at which a test may kill, stop or fail the process; nothing happens there otherwise.

`TURNOUT_FAILPOINT="deploy.routed=kill"` arms one: `kill` (SIGKILL to itself), `stop` (SIGSTOP) or `raise` (a
RuntimeError). The tests enumerate `NAMES`, so that a new step without a crash test fails.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "TURNOUT_FAILPOINT"
VERBS = ("deploy", "promote", "rollback", "undo", "down", "up", "bake")
STEPS = ("accepted", "intended", "starting", "started", "routing", "routed", "recorded", "stopping", "stopped")
"""What an operation has just done, or is about to do: the intent is in the journal from `intended` on."""

NAMES = frozenset(f"{verb}.{step}" for verb in VERBS for step in STEPS)


def failpoint(name: str, setting: str | None = None) -> None:
    """Do what the setting, or else the environment, arms for this name.

    Raises:
        LookupError: the name is not registered.
        RuntimeError: that was asked for.
    """
    if name not in NAMES:
        raise LookupError(f"{name} is not registered in {__name__}.NAMES")
    armed, _, action = (os.environ.get(VARIABLE, "") if setting is None else setting).partition("=")
    if armed != name:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "raise":
        raise RuntimeError(f"failpoint {name}")
