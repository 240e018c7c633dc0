"""A project with a daemon of its own, and commands from other processes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pipelines.errors import TurnoutError
from pipelines.local.client import DaemonClient
from pipelines.local.failpoints import VARIABLE
from pipelines.local.process import PROJECT_TAG
from pipelines.local.protocol import ADDRESS
from pipelines.local.runtime import Runtime
from tests.local.world import until

ROOT = Path(__file__).resolve().parents[2]
CLIENT = """
import json, sys
from pathlib import Path
from pipelines.errors import TurnoutError
from tests.local.daemon_line import Line
try:
    said = Line(Path(sys.argv[1])).client.operate(sys.argv[2], "digits", json.loads(sys.argv[3]), print)
except TurnoutError as error:
    said = {"error": error.as_dict()}
print(json.dumps(said))
"""


@dataclass
class Line:
    """A project with a daemon."""

    root: Path
    steps: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        command = [sys.executable, "-P", "-m", "tests.local.daemon_entry", str(self.root)]
        self.client = DaemonClient(self.root, self.root / ".turnout", command)

    def do(self, verb: str, model: str = "digits", **arguments: Any) -> dict[str, Any]:
        """One operation from this process."""
        return self.client.operate(verb, model, arguments, self.steps.append)

    def start_client(self, verb: str, failpoint: str = "", **arguments: Any) -> subprocess.Popen[str]:
        """One operation from a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(self.root), verb, json.dumps(arguments)],
            cwd=ROOT,
            env={**os.environ, VARIABLE: failpoint},
            stdout=subprocess.PIPE,
            text=True,
        )

    def entry(self) -> dict[str, Any]:
        """What runs of digits."""
        found: dict[str, Any] = self.client.status()["models"].get("digits", {"versions": {}})
        return found

    def weights(self) -> dict[str, int]:
        """Shares above 0."""
        return {ref: one["weight"] for ref, one in self.entry()["versions"].items() if one["weight"]}

    @property
    def daemon(self) -> int:
        """The daemon's process id."""
        return int(json.loads((self.root / ".turnout" / ADDRESS).read_text())["pid"])

    def processes(self) -> list[psutil.Process]:
        """Daemon and guardian, by the tag in their environment."""
        digest, found = Runtime.of(self.root).digest, []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                is_ours = process.environ().get(PROJECT_TAG) == digest
                # The one that tells the registry ends by itself.
                if is_ours and process.status() != psutil.STATUS_ZOMBIE and "-c" not in process.cmdline():
                    found.append(process)
        return found

    def guardians(self) -> list[psutil.Process]:
        """The guardian's process, once it runs: one that is just being started is its parent's copy for a moment."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if "pipelines.local.guardian" in process.cmdline():
                    found.append(process)
        return found

    @property
    def guardian(self) -> psutil.Process:
        """The guardian's process."""
        (found,) = self.guardians()
        return found

    def kill(self) -> None:
        """Kill daemon and guardian, and whichever of them the other brings back meanwhile."""

        def is_dead() -> bool:
            left = self.processes()
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            return not left

        until(is_dead)

    def end(self) -> None:
        """End what runs."""
        self.kill()
        with contextlib.suppress(TurnoutError, OSError):
            for path in Runtime.of(self.root).folder.iterdir():
                path.unlink()
            Runtime.of(self.root).folder.rmdir()
