"""Child processes that leave nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_STOP_SECONDS = 10.0
_TAIL_BYTES = 16_384
_ERROR = re.compile(r"\w*(Error|Exception|Failed)\b.*:|Failed to import")


def run_logged(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path, seconds: float | None = None
) -> int:
    """Run a command to its end, its output appended to `log`, and return its exit code.

    The command's standard input is a pipe that stays open as long as this process lives. When this call is interrupted,
    the whole process tree is stopped; likewise after `seconds`, which raises TimeoutError.
    """
    with log.open("ab") as output:
        # A session of its own: Ctrl-C reaches this process alone, which then stops the child.
        child = subprocess.Popen(  # noqa: S603
            [sys.executable, *command],
            cwd=cwd,
            env=clean_environment(environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"it had not ended after {seconds:g} seconds") from error
    finally:
        stop_tree(child)


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would change how Python finds modules, and with `extra`."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONSAFEPATH", "PYTHONHOME")}
    return {**kept, **extra}


def stop_tree(child: subprocess.Popen[bytes]) -> None:
    """End a process and all its children: politely, and after ten seconds by force. Closes its standard input."""
    if child.stdin:
        child.stdin.close()
    try:
        root = psutil.Process(child.pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    # psutil compares start times, so a process id that was given anew is not hit.
    for process in family[1:]:
        if process.is_running():
            process.kill()


def tail(log: Path, lines: int = 1) -> str:
    """The last lines of a log that say something."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join([line.strip() for line in text.splitlines() if line.strip()][-lines:])


def blame(log: Path) -> str:
    """The line of a log that says what went wrong: the last one that names an error, else the last one."""
    lines = tail(log, lines=40).splitlines()
    errors = [line for line in lines if _ERROR.search(line)]
    return (errors or lines or [""])[-1].rstrip(".")
