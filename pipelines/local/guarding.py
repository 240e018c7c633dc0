"""Starts a guardian: a client does where none is, and the daemon when it has lost its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.local.failpoints import VARIABLE

ARGUMENTS = "TURNOUT_GUARDIAN"
"""In the daemon's environment: the arguments of its guardian, as JSON. Without them it starts none."""
ADOPTS = "TURNOUT_GUARDIAN_ADOPTS"
"""In a guardian's environment: the daemon is there already, and one that has left on purpose is not started again."""

_started: list[int] = []
"""Guardians started by this process: they outlive it, and are reaped when they do not."""


def start_guardian(arguments: Sequence[str], log: Path, environment: Mapping[str, str], *, adopts: bool) -> int:
    """Start one and return its process id; when there is another already it ends at once, with 0.

    Args:
        arguments: Those of `pipelines.local.guardian`.
        log: What it and the daemon print is appended here.
        environment: Its own and the daemon's.
        adopts: Whether the daemon runs already.

    Raises:
        OSError: it cannot be started.
    """
    variables = {**environment, ARGUMENTS: json.dumps(list(arguments))}
    if adopts:
        variables[ADOPTS] = "1"
        # A failpoint was for this daemon.
        variables.pop(VARIABLE, None)
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # Not by `subprocess`, which warns of children that outlive their parent: this one shall.
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, descriptor, 1),
            (os.POSIX_SPAWN_DUP2, descriptor, 2),
        ]
        command = [sys.executable, "-S", "-P", "-m", "pipelines.local.guardian", *arguments]
        started = os.posix_spawn(sys.executable, command, variables, file_actions=actions, setsid=True)
    finally:
        os.close(descriptor)
    _started.append(started)
    return started


def reap_guardians() -> dict[int, int]:
    """The exit codes of those guardians that have ended since the last call, by process id."""
    codes = {}
    for pid in list(_started):
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended, status = pid, 0
        if ended:
            _started.remove(pid)
            codes[pid] = os.waitstatus_to_exitcode(status)
    return codes
