"""Shells and kernels for the tests of the extension."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 180.0


def make_shell() -> InteractiveShell:
    """A shell in this process, without a history file."""
    return InteractiveShell(config=Config(HistoryManager={"enabled": False, "hist_file": ":memory:"}))


@dataclass
class Said:
    """What a cell led to.

    Args:
        error: The last line of what was raised; empty when nothing was.
        traceback: All lines of it.
        printed: To stdout and stderr.
        shown: Each display as it was at last, with its kinds: results too.
    """

    error: str = ""
    traceback: list[str] = field(default_factory=list)
    printed: str = ""
    shown: list[dict[str, Any]] = field(default_factory=list)
    updates: int = 0

    @property
    def text(self) -> str:
        """All plain text that was displayed."""
        return "\n".join(str(one.get("text/plain", "")) for one in self.shown)


class Kernel:
    """A kernel of this environment.

    Args:
        manager: Its manager.
        client: A client of it.
    """

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager, self.client = manager, client

    def run(self, code: str) -> Said:
        """Run a cell to its end."""
        return self.follow(self.begin(code))

    def begin(self, code: str) -> str:
        """Begin a cell; its id."""
        message: str = self.client.execute(code, store_history=False)
        return message

    def follow(self, message: str) -> Said:
        """Wait for a cell's end."""
        said, places = Said(), {}
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with suppress(Empty):
                heard = self.client.get_iopub_msg(timeout=1)
                kind, content = heard["msg_type"], heard["content"]
                if kind == "update_display_data":
                    said.updates += 1
                    place = content["transient"]["display_id"]
                    if place in places:
                        said.shown[places[place]] = content["data"]
                if heard["parent_header"].get("msg_id") != message:
                    continue
                if kind == "status" and content["execution_state"] == "idle":
                    return said
                if kind == "stream":
                    said.printed += content["text"]
                elif kind in ("display_data", "execute_result"):
                    if place := content.get("transient", {}).get("display_id"):
                        places[place] = len(said.shown)
                    said.shown.append(content["data"])
                elif kind == "error":
                    said.error, said.traceback = content["evalue"], content["traceback"]
        raise AssertionError(f"the cell did not end within {SECONDS:.0f} s; {said}")

    def complete(self, code: str) -> list[str]:
        """What the Tab key offers at the end of the code."""
        reply = self.client.complete(code, len(code), reply=True, timeout=SECONDS)
        found: list[str] = reply["content"]["matches"]
        return found


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel whose folder is `folder`; gone afterwards."""
    manager = KernelManager(kernel_name="python3")
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    manager.start_kernel(cwd=str(folder), env={**os.environ, "PYTHONPATH": paths})
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
