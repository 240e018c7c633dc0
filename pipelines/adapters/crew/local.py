"""Worker processes on this machine: each takes one command after another, so that what they import is imported once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from pipelines.adapters.crew import machine
from pipelines.crews import Room
from pipelines.errors import Interrupted, Refused, StorageFailed, TurnoutError
from pipelines.ports import CellProgress
from pipelines.values.work import Carried, Task

_LOOK_SECONDS = 0.5
# A kernel that was told to stop has exit handlers.
_STOP_SECONDS = 30.0
_CODE = Path(__file__).resolve().parents[3]


class LocalCrew:
    """Implements `crews.Crew`.

    Args:
        root: The project's folder.
        is_lasting: Whether a worker takes another command after its first; without, what is imported is always new.
    """

    def __init__(self, root: Path, *, is_lasting: bool = True) -> None:
        self._root = root
        self._is_lasting = is_lasting
        self._guard = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._is_stopped = False

    @property
    def most(self) -> int:
        """The cores."""
        return machine.cores()

    def room(self) -> Room:
        """What is taken and what is free now."""
        with self._guard:
            busy = list(self._busy)
        return Room(machine.available_mb(), [worker.used_mb for worker in busy])

    def carry_out(self, task: Task, hear: Callable[[str | CellProgress], None]) -> Carried:
        """Carry out one command; see `crews.Crew.carry_out`."""
        with self._worker() as worker:
            begun = time.monotonic()
            try:
                outcome = worker.ask(task, hear)
            except TurnoutError:
                if self._is_stopped:  # before it could take the word
                    raise Interrupted("it was stopped") from None
                raise
            if "error" in outcome:
                raise TurnoutError.from_dict(outcome["error"])
            return Carried(outcome["json"], bool(outcome["ok"]), time.monotonic() - begun, worker.peak_mb)

    def stop(self) -> None:
        """Have all that is under way end, as Ctrl-C does."""
        with self._guard:
            self._is_stopped = True
            busy = list(self._busy)
        for worker in busy:
            worker.interrupt()

    def close(self) -> None:
        """End what is left."""
        self.stop()
        with self._guard:
            left = [*self._idle, *self._busy]
            self._idle.clear()
        for worker in left:
            worker.end()

    @contextlib.contextmanager
    def _worker(self) -> Iterator[_Worker]:
        with self._guard:
            if self._is_stopped:
                raise Interrupted("it was stopped before it began")
            worker = self._idle.pop() if self._idle else _Worker(self._root)
            self._busy.add(worker)
        try:
            yield worker
        finally:
            with self._guard:
                self._busy.discard(worker)
                is_kept = self._is_lasting and not self._is_stopped and worker.is_alive
                if is_kept:
                    self._idle.append(worker)
            if not is_kept:
                worker.end()


class _Worker:
    """One process."""

    def __init__(self, root: Path) -> None:
        paths = [str(_CODE), os.environ.get("PYTHONPATH", "")]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-P", "-m", "pipelines.worker", str(root)],
                cwd=root,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Ctrl-C goes to the terminal's group: who has made the worker tells it when to stop.
                start_new_session=True,
            )
        except OSError as error:
            raise StorageFailed.from_os(error, "starting a worker") from error
        self.used_mb = self.peak_mb = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether it can take another command."""
        return self._process.poll() is None

    def ask(self, task: Task, hear: Callable[[str | CellProgress], None]) -> dict[str, Any]:
        """Give it a command and listen to the end; its last line."""
        self.used_mb = self.peak_mb = 0.0
        over = threading.Event()
        watch = threading.Thread(target=self._measure, args=(over,), name=f"memory of {task.key}", daemon=True)
        watch.start()
        try:
            return self._listen(task, hear)
        finally:
            over.set()
            watch.join()

    def interrupt(self) -> None:
        """Ctrl-C."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """End it, at once where it does not end by itself, with everything it has started."""
        process = self._process
        family = _family(process.pid)
        with contextlib.suppress(OSError, ValueError):
            (process.stdin or contextlib.nullcontext()).__exit__(None, None, None)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _listen(self, task: Task, hear: Callable[[str | CellProgress], None]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:  # as mypy sees it
            raise Refused("the worker has no pipes")
        try:
            stdin.write(json.dumps(list(task.words)).encode() + b"\n")
            stdin.flush()
            for line in stdout:
                said = json.loads(line)
                if "step" in said:
                    hear(said["step"])
                elif "cell" in said:
                    hear(CellProgress(**said["cell"]))
                else:
                    return dict(said)
        except (OSError, ValueError):
            # Its end of the pipe is gone, and so is it.
            pass
        code = self._process.wait()
        raise TurnoutError(
            f"the process of `turnout {' '.join(task.words)}` ended (exit code {code}) and told nothing",
            instead="a process that needs more memory than there is, is killed so",
            then="Run it again, with a smaller `--jobs`.",
        )

    def _measure(self, over: threading.Event) -> None:
        while True:
            self.used_mb = machine.used_mb(self._process.pid)
            self.peak_mb = max(self.peak_mb, self.used_mb)
            if over.wait(_LOOK_SECONDS):
                return


def _family(process: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(process).children(recursive=True))
    except psutil.Error:
        return []
