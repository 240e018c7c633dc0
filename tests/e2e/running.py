"""A project whose versions really run: daemon, guardian, gateway and hosts, in a folder and on a port of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from pipelines.errors import TurnoutError
from pipelines.local.process import PROJECT_TAG
from pipelines.local.runtime import Runtime
from pipelines.stages.resolve import Control
from pipelines.wiring import local_control
from tests.e2e.line import ROOT, Done, free_port
from tests.e2e.load import Load, Plan
from tests.e2e.versions import ROW, Shelf

BODY = json.dumps({"inputs": ROW})
# What a command line has of each, in this order: the guardian's names the daemon's.
_ROLES = {
    "guardian": "pipelines.local.guardian",
    "host": "pipelines.serving.host",
    "gateway": "bootstrap.json",
    "daemon": "daemon",
}


@dataclass
class RunningLine:
    """A project with hand-made versions.

    Args:
        root: Its folder.
        port: The gateway's port.
        notes: What the client was told, step by step.
    """

    root: Path
    port: int
    notes: list[str] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """Where all state lives."""
        return self.root / ".turnout"

    @property
    def shelf(self) -> Shelf:
        """Its packaged versions."""
        return Shelf(self.state)

    @cached_property
    def control(self) -> Control:
        """A client that is running already: nothing has to be imported for its commands."""
        return local_control(self.root.resolve(), self.state, _no_registry)

    def url(self, model: str = "digits") -> str:
        """Where a model is asked."""
        return f"http://127.0.0.1:{self.port}/{model}/predict"

    def load(self, folder: Path, **changes: Any) -> Load:
        """Load on `digits`."""
        return Load(Plan(self.url(), **{"body": BODY, **changes}), folder)

    def operate(self, verb: str, model: str = "digits", **arguments: Any) -> dict[str, Any]:
        """One operation from this process; the model's entry afterwards."""
        return self.control.operator.operate(verb, model, arguments, self.notes.append)

    def deploy(self, number: int, share: int | str = 100, **arguments: Any) -> dict[str, Any]:
        """Deploy a version of digits."""
        return self.operate("deploy", ref=f"digits@{number}", share=share, **arguments)

    def entry(self, model: str = "digits") -> dict[str, Any]:
        """The model's part of the status."""
        entry: dict[str, Any] = self.control.operator.status()["models"][model]
        return entry

    def weights(self) -> dict[str, int]:
        """Shares above 0, by REF."""
        return {ref: one["weight"] for ref, one in self.entry()["versions"].items() if one["weight"]}

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start `turnout ...` in the project's folder."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def turnout(self, *arguments: str, code: int | None = 0, **environment: str) -> Done:
        """Run `turnout ...` to its end, which must have `code` (None: any)."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=180)
        done = Done(process.returncode, out, err)
        assert "Traceback" not in err, err
        assert code is None or done.code == code, f"turnout {' '.join(arguments)} ended with {done.code}\n{out}\n{err}"
        return done

    def processes(self, role: str | None = None) -> list[psutil.Process]:
        """The project's processes, of one role or all: by the tag in their environment, or their folder."""
        found = []
        digest = Runtime.of(self.root).digest
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                    continue
                said = " ".join(process.cmdline())
                is_ours = process.environ().get(PROJECT_TAG) == digest or str(self.root) in said
                if is_ours and (role is None or _role(said) == role):
                    found.append(process)
        return found

    def only(self, role: str) -> psutil.Process:
        """The one process of a role."""
        (process,) = self.processes(role)
        return process

    def kill(self, *roles: str) -> None:
        """Kill all processes of these roles, or all there are; one that another brings back meanwhile too."""

        def is_dead() -> bool:
            left = [process for role in roles or (None,) for process in self.processes(role)]
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            return not left

        wait_until(is_dead, f"the end of {' and '.join(roles) or 'all'}")

    def end(self) -> list[str]:
        """Stop everything; what had to be killed, as command lines."""
        with contextlib.suppress(TurnoutError):
            self.control.operator.down(self.notes.append)
        _, alive = psutil.wait_procs(self.processes(), 5)
        said = []
        for process in {*alive, *self.processes()}:
            with contextlib.suppress(psutil.Error):
                said.append(" ".join(process.cmdline()))
                process.kill()
        return said


def _role(said: str) -> str:
    return next((role for role, word in _ROLES.items() if word in said), "")


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 30.0) -> float:
    """Return the seconds it took until `is_so`; fail after `seconds`."""
    begun = time.monotonic()
    last: Exception | None = None
    while time.monotonic() - begun < seconds:
        try:
            if is_so():
                return time.monotonic() - begun
        except (TurnoutError, OSError, KeyError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s; {last}")


@contextlib.contextmanager
def running_line(root: Path, versions: int = 3, settings: str = "") -> Iterator[RunningLine]:
    """A project with `digits@1` to `digits@versions`, packaged; nothing of it runs afterwards.

    Args:
        root: Its folder.
        versions: How many good versions it has.
        settings: Lines for `[tool.turnout.models.digits.rollout]`; nothing is judged unless they say `judge = true`.
    """
    line = make_line(root, versions, settings)
    try:
        yield line
    finally:
        left = line.end()
        assert not left, f"had to be killed: {left}"


def make_line(root: Path, versions: int = 3, settings: str = "") -> RunningLine:
    """The project of `running_line`, before anything is started."""
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    if "judge" not in settings:
        # Here a person operates: the judge must not be quicker.
        settings = f"judge = false\n{settings}"
    (root / "pyproject.toml").write_text(
        f"[tool.turnout]\nport = {port}\n"
        '[tool.turnout.models.digits]\ntrain = "train.ipynb"\nvalidate = "validate.ipynb"\n'
        f"[tool.turnout.models.digits.rollout]\n{settings}\n"
        '[tool.turnout.models.credit]\ntrain = "train.ipynb"\nvalidate = "validate.ipynb"\n',
        encoding="utf-8",
    )
    for name in ("train", "validate"):
        (root / f"{name}.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    line = RunningLine(root, port)
    for number in range(1, versions + 1):
        line.shelf.add(number)
    return line


def _no_registry() -> Any:
    raise AssertionError("nothing here needs the registry")
