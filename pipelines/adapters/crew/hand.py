"""What carries out commands on a node of a cluster, one after another. It knows nothing of Ray."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.adapters.crew.local import LocalCrew
from pipelines.errors import TurnoutError
from pipelines.ports import CellProgress
from pipelines.values.work import Task

Said = tuple[str, Any]
"""`step` and a text, `cell` and its fields, `done` and the outcome, `error` and that."""


class Hand:
    """A worker process on this node.

    Args:
        root: The project's folder.
    """

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._crew = LocalCrew(self._root)

    def where(self) -> str:
        """The node's id; its name where Ray has not started this."""
        return os.environ.get("RAY_NODE_ID") or _node() or socket.gethostname()

    def sees_project(self) -> tuple[str, bool]:
        """The node's name, and whether the project is there."""
        return socket.gethostname(), (self._root / "pyproject.toml").is_file()

    def carry_out(self, key: str, words: Sequence[str]) -> Iterator[Said]:
        """Carry out one command; yields what it says, and its end."""
        said: queue.SimpleQueue[Said] = queue.SimpleQueue()

        def hear(one: str | CellProgress) -> None:
            said.put(("step", one) if isinstance(one, str) else ("cell", asdict(one)))

        def work() -> None:
            try:
                done = self._crew.carry_out(Task(key, tuple(words)), hear)
            except TurnoutError as error:
                said.put(("error", error.as_dict()))
            else:
                outcome = {"document": dict(done.document), "ok": done.ok, "memory_mb": done.memory_mb}
                said.put(("done", outcome))

        thread = threading.Thread(target=work, name=key, daemon=True)
        thread.start()
        while (one := said.get())[0] in ("step", "cell"):
            yield one
        yield one

    def stop(self) -> None:
        """Have what is under way end, as Ctrl-C does."""
        self._crew.stop()

    def close(self) -> None:
        """End it, with everything it has started."""
        self._crew.close()


def _node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id()) if ray.is_initialized() else ""
