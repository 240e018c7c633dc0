"""A command that goes on while other cells run: a process of its own, and a handle to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from ipext.progress import Card, Progress
from pipelines.errors import Interrupted, Refused, TurnoutError
from pipelines.views.blocks import Tone


class Background:
    """The handle of `%train digits --background`.

    The work is done by a process, since a notebook's stop button, its restart and its end must not take it along:
    `stop()` does. Its card is drawn where it was begun.

    Args:
        words: The command.
        folder: Where the search for the project begins.
        expected: Finds out how many seconds it took before.
    """

    def __init__(self, words: Sequence[str], folder: Path, expected: Callable[[], float | None]) -> None:
        self._progress = Progress(" ".join(words[:2]))
        self._card = Card(self._progress)
        self._outcome: dict[str, Any] = {}
        self._over = threading.Event()
        command = [sys.executable, "-P", "-m", "pipelines.worker", str(folder), *words]
        paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        threading.Thread(target=self._follow, args=(expected,), name="turnout background", daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether it is over, well or not."""
        return self._over.is_set()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def result(self, timeout: float | None = None) -> Finished:
        """What it led to; waits for the end.

        Args:
            timeout: Seconds to wait; for ever without.

        Raises:
            TimeoutError: it goes on.
            TurnoutError: it did not succeed; the very error that the command itself raises.
        """
        if not self._over.wait(timeout):
            raise TimeoutError(f"{self._progress.title} goes on: {(self._progress.steps or ['it begins'])[-1]}")
        if "error" in self._outcome:
            raise TurnoutError.from_dict(self._outcome["error"])
        finished = Finished(self._outcome)
        if not self._outcome["ok"]:
            from IPython.display import display

            display(finished)
            raise Refused(f"{self._progress.title}: it did not succeed", then="The report above says why.")
        return finished

    def stop(self) -> None:
        """Ask it to stop, as Ctrl-C does: what it had begun is undone. Returns at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def look_away(self) -> None:
        """Draw the card no more; the work goes on."""
        self._card.close()

    def __repr__(self) -> str:
        return self._progress.view().text()

    def _ipython_display_(self) -> None:
        self._card.show()
        if self.done:
            self._card.close()

    def _follow(self, expected: Callable[[], float | None]) -> None:
        try:
            self._progress.expected = expected()
        except TurnoutError:
            self._progress.expected = None
        if (stream := self._process.stdout) is not None:
            with stream:
                self._listen(stream)
        self._process.wait()
        if not self._outcome:
            said = f"{self._progress.title} ended without a result (exit code {self._process.returncode})"
            self._outcome = {"error": Interrupted(said, then="Run it again.").as_dict()}
        is_good = self._outcome.get("ok", False)
        self._progress.end(*("done", Tone.GOOD) if is_good else ("failed", Tone.BAD))
        self._over.set()
        self._card.close()

    def _listen(self, stream: IO[bytes]) -> None:
        from pipelines.ports import CellProgress

        for line in stream:
            try:
                said = json.loads(line)
            except ValueError:
                continue  # not ours: something printed
            if "step" in said:
                self._progress.step(said["step"])
            elif "cell" in said:
                self._progress.cell = CellProgress(**said["cell"])
            else:
                self._outcome = said


class Finished:
    """A result that came from another process: `str()` of a version is its REF, `json` its document.

    Args:
        outcome: What the process said last.
    """

    def __init__(self, outcome: dict[str, Any]) -> None:
        self._outcome = outcome
        self.json: dict[str, Any] = outcome["json"]

    def __str__(self) -> str:
        return str(self._outcome["str"])

    def __repr__(self) -> str:
        return str(self._outcome["text"])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        del include, exclude
        return {"text/html": self._outcome["html"], "text/plain": self._outcome["text"]}
