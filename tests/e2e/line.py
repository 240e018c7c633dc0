"""What the tests of the whole line share: a project in a folder of its own, and the real command in its process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CREDIT = """[tool.turnout.models.credit]
train = "notebooks/credit/train.ipynb"
validate = "notebooks/credit/validate.ipynb"

[tool.turnout.models.credit.gates]
accuracy = { min = 0.6 }
"""
"""A model that trains in seconds, with the notebooks in `tests/notebooks/credit`."""
TURNOUT = str(Path(sys.executable).with_name("turnout"))


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its stdout, which must be exactly one JSON document."""
        return json.loads(self.out)


@dataclass(frozen=True)
class ProjectFolder:
    """A project on disk.

    Args:
        root: Its folder.
        environment: Variables for its commands.
    """

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """Where Turnout keeps everything."""
        return self.root / ".turnout"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start `turnout ...` in the project's folder."""
        return subprocess.Popen(
            [TURNOUT, *arguments],
            cwd=self.root,
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def turnout(self, *arguments: str, code: int | None = 0, **environment: str) -> Done:
        """Run `turnout ...` to its end; it must end with `code` (None: any)."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=500)
        done = Done(process.returncode, out, err)
        assert "Traceback" not in err, err
        assert code is None or done.code == code, f"turnout {' '.join(arguments)} ended with {done.code}\n{out}\n{err}"
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        """The JSON document of a command."""
        return self.turnout(*arguments, "--json", code=code).document

    @contextlib.contextmanager
    def warm(self) -> Iterator[ProjectFolder]:
        """The project with warm kernels, as they are unless switched off; what they come from is ended afterwards."""
        try:
            yield replace(self, environment={**self.environment, "TURNOUT_WARM_KERNELS": "1"})
        finally:
            self.turnout("down")

    @contextlib.contextmanager
    def serving(self, ref: str) -> Iterator[str]:
        """Serve a version; yields its URL."""
        port = free_port()
        process = self.start("serve", ref, "--port", str(port))
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(url, process)
            yield url
        finally:
            process.terminate()
            process.communicate(timeout=30)


def make_project(root: Path, tables: str, **notebooks: Path) -> ProjectFolder:
    """A project with `tables` as its `[tool.turnout]` part and a copy of each folder of notebooks, by model."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text(tables, encoding="utf-8")
    for model, folder in notebooks.items():
        shutil.copytree(folder, root / "notebooks" / model, ignore=shutil.ignore_patterns(".*", "*.py"))
    return ProjectFolder(root)


def readme_blocks(marker: str, file: str) -> list[str]:
    """The code blocks of the README behind `<!-- MARKER by FILE -->`, in their order.

    Args:
        marker: What is done with them: `run`, `sent`.
        file: The file that does it, as its `__file__`.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    name = re.escape(Path(file).resolve().relative_to(ROOT).as_posix())
    return re.findall(rf"<!-- {marker} by {name} -->\n```\w+\n(.*?)```", text, re.DOTALL)


def readme_commands(file: str) -> list[list[str]]:
    """The `turnout` commands that the README tells a newcomer to type and `file` runs, in their order."""
    blocks = readme_blocks("run", file)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ turnout ")]
    return [shlex.split(line)[2:] for line in lines]


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, process: subprocess.Popen[str], seconds: float = 90) -> None:
    """Return when `/readyz` answers 200; fail with the process's own words when it ends first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the host ended with {process.returncode}: {process.communicate()}")
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(f"{url}/readyz", timeout=5),
        ):
            return
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"{url} was not ready after {seconds} s: {process.communicate()}")


def post(url: str, body: bytes | dict[str, Any], **headers: str) -> tuple[int, Any, dict[str, str]]:
    """POST JSON; returns the status, the decoded answer and its headers in lower case."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer), {k.lower(): v for k, v in answer.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), {k.lower(): v for k, v in error.headers.items()}
