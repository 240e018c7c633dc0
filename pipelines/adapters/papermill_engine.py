"""papermill's engine as Turnout needs it: own kernel, own progress, and a record that tells the truth.

Importing this module imports papermill and nbclient (3 s): `papermill_runner` does so when a notebook is to run.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psutil
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines

from pipelines.adapters.papermill_kernel import START_SECONDS, OwnKernel
from pipelines.adapters.warm.client import WarmKernels
from pipelines.adapters.warm.nursery import EXITS
from pipelines.ports import CellProgress

ENGINE = "turnout"

# papermill and nbclient log what they raise as well; it is said once, by the error.
QUIET = logging.getLogger("pipelines.notebook")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False
logging.getLogger("papermill").addHandler(logging.NullHandler())

# After a cell's reply its outputs follow on another channel: on a busy machine not within nbclient's 4 s.
_OUTPUT_SECONDS = 60
# For exit handlers, such as MLflow's that send what is still queued.
_SHUTDOWN_SECONDS = 20.0
_KILLED_SECONDS = 5.0


@dataclass
class Execution:
    """One execution as it goes: what the runner gives to the engine, and what it finds there afterwards.

    Args:
        folder: A private folder for the kernel's connection file and sockets; its path is short.
        kernel_log: Takes what the kernel process itself writes.
        environment: The kernel's environment, whole.
        working_folder: Where the kernel runs.
        cell_timeout_seconds: The longest a cell may run.
        progress: Called as each code cell begins, and once at the end.
    """

    folder: Path
    kernel_log: BinaryIO
    environment: Mapping[str, str]
    working_folder: Path
    cell_timeout_seconds: float
    progress: Callable[[CellProgress], None]
    source: Path | None = None
    """Where the notebook lies."""
    warm: WarmKernels | None = None
    """Where its kernel may come from; None for an ordinary one."""
    notebook: Any = None
    """The notebook with what was executed so far; None before the engine has it."""
    numbers: dict[int, int] = field(default_factory=dict)
    """The number, from 1, of each cell that runs, by its index."""
    titles: dict[int, str] = field(default_factory=dict)
    running: int | None = None
    """The index of the cell now running."""
    answered: set[int] = field(default_factory=set)
    """The cells that the kernel itself said had succeeded."""
    process: int | None = None
    """The kernel's process id, which is its process group's too."""
    leash: socket.socket | None = None
    """The connection on which a warm kernel was asked for."""
    is_killed: bool = False

    @property
    def is_complete(self) -> bool:
        """The end-of-run mark: the kernel has said of every cell that it succeeded."""
        return self.notebook is not None and self.answered >= self.numbers.keys()

    def open(self, notebook: Any) -> None:
        """Take the notebook and number the cells that will run."""
        self.notebook = notebook
        heading = ""
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "markdown":
                heading = _last_heading(cell.source) or heading
            elif cell.cell_type == "code" and cell.source.strip() and "skip-execution" not in _tags(cell):
                self.numbers[index] = len(self.numbers) + 1
                self.titles[index] = (
                    "Parameters" if "injected-parameters" in _tags(cell) else heading or _first_line(cell.source)
                )

    def begin(self, index: int) -> None:
        """A cell begins."""
        if index in self.numbers:
            self.running = index
            self.progress(CellProgress(self.numbers[index], len(self.numbers), self.titles[index]))

    def finish(self) -> None:
        """All cells have run."""
        self.running = None
        self.progress(CellProgress(len(self.numbers) + 1, len(self.numbers), ""))

    def answer(self, cell: Any, cell_index: int, execute_reply: Mapping[str, Any]) -> None:
        """The kernel's own word on a cell; nbclient calls this with these names."""
        if execute_reply["content"]["status"] == "ok":
            self.answered.add(cell_index)
            cell.metadata.papermill["status"] = NotebookExecutionManager.COMPLETED

    def kill(self) -> None:
        """End the kernel and all it started, at once."""
        self.is_killed = True
        if self.leash is not None:
            # Whoever waits for a kernel wakes up, and one that is under way is killed by its nursery.
            with suppress(OSError):
                self.leash.shutdown(socket.SHUT_RDWR)
        if self.process is None:
            # Ctrl-C came between the start of the process and our note of it.
            mine = psutil.Process().children()
            self.process = next((child.pid for child in mine if str(self.folder) in " ".join(_command(child))), None)
        if self.process is not None:
            try:
                os.killpg(self.process, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return
            _await_end_of(self.process)


def _await_end_of(group: int) -> None:
    """Wait until a process group that was killed is gone: on a busy machine that takes a moment."""
    deadline = time.monotonic() + _KILLED_SECONDS
    while any(_is_of(group, process) for process in psutil.process_iter()) and time.monotonic() < deadline:
        time.sleep(0.01)


def _is_of(group: int, process: psutil.Process) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", ()))


def _last_heading(markdown: str) -> str:
    headings = [line.lstrip("#").strip() for line in markdown.splitlines() if line.startswith("#")]
    return headings[-1] if headings else ""


def _first_line(source: str) -> str:
    return next(line.strip() for line in source.splitlines() if line.strip())


class _Record(NotebookExecutionManager):  # type: ignore[misc]
    """Writes what happened into the notebook's metadata.

    papermill's own says COMPLETED of the cell during which the kernel died, and of all after it.
    """

    def __init__(self, notebook: Any, execution: Execution) -> None:
        super().__init__(notebook, output_path=None, progress_bar=False, autosave_cell_every=0)
        self.execution = execution

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        super().cell_start(cell, cell_index, **kwargs)
        if cell_index is not None:
            self.execution.begin(cell_index)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        if cell_index in self.execution.numbers and cell_index not in self.execution.answered:
            cell.metadata.papermill["status"] = self.FAILED
        super().cell_complete(cell, cell_index, **kwargs)

    def notebook_complete(self, **kwargs: Any) -> None:
        waiting = [cell for cell in self.nb.cells if cell.metadata.papermill["status"] == self.PENDING]
        super().notebook_complete(**kwargs)
        for cell in waiting:
            cell.metadata.papermill["status"] = self.PENDING


# Exit handlers run in the reverse order of their registration: this one after those of the libraries that the notebook
# imports (MLflow sends what is still queued), and instead of IPython's and ipykernel's, which collect all garbage (5 s
# with TensorFlow) and at times wait for each other for ever.
_PROLOGUE = (
    '__import__("atexit").register(__import__("os")._exit, 0)\n'
    # In a warm kernel, those of the packages that were imported before the fork.
    f'getattr(__import__("sys").modules.get("{EXITS}"), "again", int)()'
)

# ipykernel waits up to 28 s for children that have ended and that nobody has waited for (joblib leaves such). Dropping
# the notebook's names closes the files that it left open.
_FAREWELL = """
import gc, psutil
children = psutil.Process().children(recursive=True)
for child in children:
    child.terminate()
for child in psutil.wait_procs(children, timeout=1)[1]:
    child.kill()
psutil.wait_procs(children, timeout=1)
gc.freeze()
get_ipython().reset(new_session=False)
"""


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    def start_new_kernel_client(self, **kwargs: Any) -> Any:
        if self.km.is_warm:
            self.startup_timeout = self.km.provisioner.warm.progress_seconds
        return super().start_new_kernel_client(**kwargs)

    def papermill_execute_cells(self) -> None:
        with self._watched():
            self._say(_PROLOGUE)
        super().papermill_execute_cells()
        if self.nb_man.execution.is_complete:
            self._say(_FAREWELL)
            # Only a kernel that has come to its end may take its time to leave.
            self.shutdown_kernel = "graceful"

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """A fork that hangs is killed; an ordinary kernel never answers late because of what another process did."""
        if not self.km.is_warm:
            yield
            return
        watch = threading.Timer(self.km.provisioner.warm.progress_seconds, self.km.provisioner.process.kill)
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _say(self, code: str) -> None:
        self.wait_for_reply(self.kc.execute(code, silent=True, store_history=False))


class TurnoutEngine(Engine):  # type: ignore[misc]
    """Runs a notebook for `papermill.execute_notebook(engine_name=ENGINE, execution=...)`."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, *, execution: Execution, **kwargs: Any) -> Any:  # noqa: ARG003
        """Run all cells; papermill passes more keywords than concern us."""
        execution.open(nb)
        if execution.warm is not None:
            try:
                _run(nb, kernel_name, execution, execution.warm)
            except _NoProgress as failed:
                execution.warm.note(str(execution.source), f"the fork came to nothing: {failed.__cause__}")
                execution.process = None
                _run(nb, kernel_name, execution, None)
        else:
            _run(nb, kernel_name, execution, None)
        if execution.is_complete:
            execution.finish()
        return nb


class _NoProgress(Exception):
    """A warm kernel has not come as far as the first cell."""


def _run(nb: Any, kernel_name: str, execution: Execution, warm: WarmKernels | None) -> None:
    """Run all cells in a kernel of their own.

    Raises:
        _NoProgress: nothing of the notebook has run, and it may run in an ordinary kernel.
    """
    record = _Record(nb, execution)
    kernel = OwnKernel(
        kernel_name=kernel_name,
        transport="ipc",
        ip=str(execution.folder / ("w" if warm is not None else "k")),
        connection_file=str(execution.folder / ("warm.json" if warm is not None else "kernel.json")),
        shutdown_wait_time=_SHUTDOWN_SECONDS,
        log=QUIET,
    )
    kernel.provide(execution, warm)
    client = _Client(
        record,
        km=kernel,
        kernel_name=kernel_name,
        log=QUIET,
        startup_timeout=START_SECONDS,
        iopub_timeout=_OUTPUT_SECONDS,
        timeout_func=lambda _cell: execution.cell_timeout_seconds,
        on_cell_executed=execution.answer,
        shutdown_kernel="immediate",
    )
    record.notebook_start()
    try:
        client.execute(
            cleanup_kc=True,
            cwd=str(execution.working_folder),
            env=dict(execution.environment),
            stdout=execution.kernel_log,
            stderr=execution.kernel_log,
        )
    except Exception as error:
        # Nothing has run that could have had an effect; a second Ctrl-C or a kill by ourselves is no reason to go on.
        if warm is not None and kernel.is_warm and execution.running is None and not execution.is_killed:
            raise _NoProgress from error
        raise
    finally:
        record.notebook_complete()
        if kernel.is_warm and kernel.provisioner.process is not None:
            kernel.provisioner.process.close()


papermill_engines.register(ENGINE, TurnoutEngine)
