"""IPython in a terminal, for tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect

from tests.e2e.line import ROOT

PROMPT = r"In \[\d+\]: "
SECONDS = 60


@contextmanager
def terminal(folder: Path) -> Iterator[pexpect.spawn]:
    """IPython in a folder, at its first prompt."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython"), "TERM": "dumb"}
    arguments = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"]
    child = pexpect.spawn(
        sys.executable,
        arguments,
        cwd=str(folder),
        env=environment,
        encoding="utf-8",
        dimensions=(50, 120),
        echo=False,
    )
    try:
        child.expect(PROMPT, timeout=SECONDS)
        yield child
        child.sendline("exit")
        child.expect(pexpect.EOF, timeout=SECONDS)
    finally:
        child.close(force=True)


def typed(child: pexpect.spawn, line: str) -> str:
    """What a line leads to, up to the next prompt."""
    child.sendline(line)
    child.expect(PROMPT, timeout=SECONDS)
    return str(child.before).replace("\r\n", "\n")


def pasted(child: pexpect.spawn, text: str) -> str:
    """What a cell of one or several lines leads to."""
    return typed(child, f"%cpaste -q\n{text}\n--")
