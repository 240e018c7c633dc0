"""Commands for somebody else, told line by line as JSON: a notebook's handle, a sweep, a watch.

`python -m pipelines.worker FOLDER VERB ...` carries out one command; without a verb, those that come on stdin, each a
JSON list of words on a line, until there are no more.

Each line on stdout is `{"step": TEXT}` or `{"cell": {...}}`, and a command's last one the outcome: `{"ok": ..., "str":
..., "json": ..., "text": ..., "html": ...}` or `{"error": {...}}`.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.ports import CellProgress, Picture


class Teller:
    """Implements `ports.Reporter`.

    Args:
        stream: A file descriptor.
    """

    def __init__(self, stream: int) -> None:
        self._stream = stream

    def step(self, text: str) -> None:
        """Tell it."""
        self.say({"step": text})

    def cell(self, progress: CellProgress) -> None:
        """Tell it."""
        self.say({"cell": asdict(progress)})

    def board(self, picture: Picture) -> None:
        """Its steps are told anyway."""

    def say(self, what: dict[str, Any]) -> None:
        """One line; whoever listened may be gone, and the work goes on."""
        try:
            os.write(self._stream, json.dumps(what).encode() + b"\n")
        except OSError:
            return


class Orders:
    """The commands that come on a stream; when it ends, so does the command under way, as by Ctrl-C.

    Args:
        stream: A file descriptor.
    """

    def __init__(self, stream: int) -> None:
        self._found: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._stream = stream
        self._lock = threading.Lock()
        self._is_busy = False
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def next(self) -> list[str] | None:
        """The next command's words; None when there will be none."""
        with self._lock:
            self._is_busy = False
        words = self._found.get()
        with self._lock:
            self._is_busy = words is not None
        return words

    def _read(self) -> None:
        with os.fdopen(self._stream, encoding="utf-8") as stream:
            for line in stream:
                self._found.put(json.loads(line))
        self._found.put(None)
        with self._lock:
            if self._is_busy:
                os.kill(os.getpid(), signal.SIGINT)


def carry_out(folder: Path, words: Sequence[str], teller: Teller) -> int:
    """Run one command; return 0 when it succeeded."""
    import click

    from pipelines.app import App
    from pipelines.cli import Session, as_turnout, main_group
    from pipelines.errors import TurnoutError

    session = Session(App(folder, teller), lambda view: teller.step(view.text()))
    try:
        view = main_group.main(list(words), prog_name="turnout", standalone_mode=False, obj=session)
    except (TurnoutError, click.ClickException, click.Abort, KeyboardInterrupt, OSError) as error:
        teller.say({"error": as_turnout(error).as_dict()})
        return 1
    if view is None or isinstance(view, int):
        teller.say({"ok": True, "str": "", "json": {}, "text": "", "html": ""})
        return 0
    teller.say({"ok": view.ok, "str": str(view), "json": view.json(), "text": view.text(), "html": view.html()})
    return 0 if view.ok else 1


def main(arguments: list[str]) -> int:
    """Carry out what is asked; the exit code of the last command."""
    folder, *words = arguments
    # Ray holds it back from all it starts, a shell from what runs in the background: nothing could be stopped.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # Whatever prints must not get between our lines, and whatever reads must not take our orders.
    teller = Teller(os.dup(1))
    os.dup2(2, 1)
    if words:
        return carry_out(Path(folder), words, teller)
    stream = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    orders, code = Orders(stream), 0
    try:
        while (found := orders.next()) is not None:
            code = carry_out(Path(folder), found, teller)
    except KeyboardInterrupt:
        # Between two commands: nothing was under way.
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
