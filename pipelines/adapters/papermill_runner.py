"""Runs notebooks with papermill, each in a kernel process of its own.

papermill works in a thread of its own and the caller's thread waits: so Ctrl-C reaches the caller at once, also inside
a Jupyter kernel whose event loop is running, and progress is reported where the caller is.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.adapters.notebook_parameters import checked_parameters, declared_parameters
from pipelines.errors import (
    BadProject,
    Interrupted,
    KernelDied,
    NotebookFailed,
    NotebookRaised,
    NotebookTimeout,
    StorageFailed,
)
from pipelines.ports import CellProgress, NotebookJob
from pipelines.values import Parameter

if TYPE_CHECKING:
    from pipelines.adapters.papermill_engine import Execution
    from pipelines.adapters.warm.client import WarmKernels

# A kernel that was killed is noticed within a second; more means that something else hangs.
_PATIENCE_SECONDS = 30.0
_KERNEL_WORDS = 2000
_LONGEST_HOME = 70


class PapermillRunner:
    """Implements `ports.NotebookRunner`.

    A notebook runs in its own folder, as by hand in JupyterLab.

    Args:
        warm: Where kernels come from that have imported already what the notebook does; None for ordinary ones. Nothing
            but the time it takes tells the two apart.
    """

    def __init__(self, warm: WarmKernels | None = None) -> None:
        self._warm = warm

    def defaults(self, notebook: Path) -> dict[str, Parameter]:
        """What the cell tagged `parameters` declares, where the default is a boolean, a number or a text."""
        declared = declared_parameters(_glance(notebook) or _read(notebook), notebook.name)
        return {name: default for name, default in declared.items() if default is not None}

    def run(self, job: NotebookJob, progress: Callable[[CellProgress], None]) -> float:
        """Run the notebook to its end; see `ports.NotebookRunner.run`."""
        try:
            return self._run(job, progress)
        except KeyboardInterrupt:
            # While papermill was being imported, or in the middle of the clean-up after a first Ctrl-C.
            raise Interrupted(f"{job.notebook.name} was interrupted; no kernel of it is left") from None

    def _run(self, job: NotebookJob, progress: Callable[[CellProgress], None]) -> float:
        source = _inside(job.notebook, job.root)
        notebook = _read(source)
        name = source.name
        parameters = checked_parameters(job.parameters, declared_parameters(notebook, name), name)
        with _place(job.output) as place, tempfile.TemporaryDirectory(prefix="turnout-", dir=_socket_home()) as folder:
            started = time.monotonic()
            failure, execution = _execute(job, source, notebook, parameters, Path(folder), progress, self._warm)
            seconds = time.monotonic() - started
            try:
                _keep(execution, job, place)
            except OSError as error:
                raise StorageFailed.from_os(error, f"keeping the executed notebook {job.output}") from failure
        if failure is not None:
            raise failure
        return seconds


def _socket_home() -> str:
    # The path of a Unix socket ends at about 100 bytes, and a person's TMPDIR may be as long.
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= _LONGEST_HOME else "/tmp"  # noqa: S108 - mkdtemp makes it private


def _inside(notebook: Path, root: Path) -> Path:
    real, home = notebook.resolve(), root.resolve()
    if not real.is_relative_to(home):
        raise BadProject(
            f"the notebook {notebook} lies outside the project",
            instead=f"notebooks lie below {home}",
            then="Move it into the project, or correct its path in pyproject.toml.",
        )
    return real


def _glance(path: Path) -> dict[str, Any] | None:
    """The notebook, when it is plainly one; None where that takes nbformat to say, whose import takes a second."""
    try:
        found = json.loads(path.read_bytes())
        kernel = found["metadata"].get("kernelspec", {})
        cells = [
            {**cell, "source": source if isinstance(source := cell["source"], str) else "".join(source)}
            for cell in found["cells"]
            if isinstance(cell["metadata"], dict) and isinstance(cell["cell_type"], str)
        ]
        is_plain = found["nbformat"] == 4 and len(cells) == len(found["cells"])
        return {"cells": cells} if is_plain and kernel.get("language", "python").lower() == "python" else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _import_nbformat() -> Any:
    """Import it without 38 grammars of web addresses, which jsonschema compiles (0.7 s) and no notebook is checked by.

    Not in a Jupyter kernel: there jsonschema is the person's as well.
    """
    grammars = "rfc3987_syntax"
    is_ours = not {grammars, "jsonschema", "ipykernel"} & sys.modules.keys()
    if is_ours:
        sys.modules[grammars] = None  # type: ignore[assignment]
    try:
        import nbformat
    finally:
        if is_ours:
            del sys.modules[grammars]
    return nbformat


def _read(path: Path) -> Any:
    nbformat = _import_nbformat()
    try:
        # Cells without an id are given one; the notebook on the disk stays as it is.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            notebook = nbformat.read(path, as_version=4)
            nbformat.validate(notebook)
    except FileNotFoundError:
        raise BadProject(
            f"there is no notebook {path}", then="Its path stands in pyproject.toml, relative to that file."
        ) from None
    except OSError as error:
        raise BadProject(f"the notebook {path} cannot be read: {error.strerror}") from error
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadProject(
            f"{path} is no notebook: {first}", instead="it is a file that JupyterLab opens and saves"
        ) from error
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language.lower() != "python":
        raise BadProject(f"the notebook {path} is written in {language}", instead="Turnout runs Python notebooks")
    return notebook


@contextmanager
def _place(output: Path) -> Iterator[Path]:
    """A file beside `output`, made before the work so that a full or read-only disk is known before it."""
    place = output.with_name(f".{output.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    except OSError as error:
        raise StorageFailed.from_os(error, "making room for the executed notebook") from error
    try:
        yield place
    finally:
        place.unlink(missing_ok=True)


def _keep(execution: Execution, job: NotebookJob, place: Path) -> None:
    import nbformat

    if execution.notebook is None:
        return
    notebook = execution.notebook
    notebook.metadata.papermill["input_path"] = str(job.notebook.resolve().relative_to(job.root.resolve()))
    notebook.metadata.papermill["output_path"] = job.output.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = nbformat.writes(notebook, version=nbformat.NO_CONVERT)
    # A lone surrogate that a cell printed becomes a JSON escape.
    with place.open("wb") as file:
        file.write(text.encode("utf-8", "backslashreplace"))
        file.flush()
        os.fsync(file.fileno())
    place.replace(job.output)


def _environment(job: NotebookJob) -> dict[str, str]:
    merged = {**os.environ, **job.environment}
    return {name: value for name, value in merged.items() if value or name not in job.environment}


def _execute(
    job: NotebookJob,
    source: Path,
    notebook: Any,
    parameters: Mapping[str, Parameter],
    folder: Path,
    progress: Callable[[CellProgress], None],
    warm: WarmKernels | None,
) -> tuple[NotebookFailed | Interrupted | None, Execution]:
    from pipelines.adapters.papermill_engine import Execution

    heard: queue.SimpleQueue[CellProgress | None] = queue.SimpleQueue()
    failures: list[BaseException] = []
    kernel_log = folder / "kernel.log"
    with kernel_log.open("wb") as words:
        execution = Execution(
            folder=folder,
            kernel_log=words,
            environment=_environment(job),
            working_folder=source.parent,
            cell_timeout_seconds=job.cell_timeout_seconds,
            progress=heard.put,
            source=source,
            warm=warm,
        )

        def work() -> None:
            try:
                _run_papermill(notebook, parameters, execution)
            except BaseException as error:  # noqa: BLE001 - it is judged in the caller's thread
                failures.append(error)
            finally:
                heard.put(None)

        worker = threading.Thread(target=work, name=f"notebook {source.name}", daemon=True)
        try:
            worker.start()
            while (said := heard.get()) is not None:
                progress(said)
        except KeyboardInterrupt:
            return _interrupted(source, execution), execution
        finally:
            # Also when `progress` raised. What the notebook started must not outlive it either.
            execution.kill()
            worker.join(_PATIENCE_SECONDS)
    error = failures[0] if failures else None
    if error is None and execution.is_complete:
        return None, execution
    said_last = kernel_log.read_bytes()[-_KERNEL_WORDS:].decode(errors="replace").strip()
    return _failure(error, execution, job, source, said_last), execution


def _run_papermill(notebook: Any, parameters: Mapping[str, Parameter], execution: Execution) -> None:
    import papermill
    from jupyter_core.utils import ensure_event_loop

    from pipelines.adapters.papermill_engine import ENGINE

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            papermill.execute_notebook(
                notebook,
                None,
                parameters=dict(parameters),
                engine_name=ENGINE,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                execution=execution,
            )
    finally:
        _close(ensure_event_loop())


def _close(loop: asyncio.AbstractEventLoop) -> None:
    waiting = asyncio.all_tasks(loop)
    for task in waiting:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
    loop.close()


def _interrupted(source: Path, execution: Execution) -> Interrupted:
    where = f" in {_cell(execution, execution.running)}" if execution.running is not None else ""
    return Interrupted(f"{source.name} was interrupted{where}; its kernel has been stopped")


def _cell(execution: Execution, index: int | None) -> str:
    if index is None or index not in execution.numbers:
        return "its start"
    return f"cell {execution.numbers[index]} ({execution.titles[index]})"


def _failure(
    error: BaseException | None, execution: Execution, job: NotebookJob, source: Path, said_last: str
) -> NotebookFailed:
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    then = f"The executed notebook is {job.output}."
    where = _cell(execution, execution.running)
    if isinstance(error, PapermillExecutionError):
        where = _cell(execution, error.cell_index)
        last = (error.evalue or "").strip().splitlines()
        cause = f"{error.ename}: {last[-1]}" if last else error.ename
        return NotebookRaised(f"{source.name}, {where}, raised {cause}", then=then)
    if isinstance(error, CellTimeoutError):
        return NotebookTimeout(
            f"{source.name}, {where}, took longer than {job.cell_timeout_seconds:g} seconds",
            then=f"`cell_timeout_minutes` in pyproject.toml allows more. {then}",
        )
    if isinstance(error, DeadKernelError) or (execution.notebook is not None and isinstance(error, RuntimeError)):
        last_words = f"; its last words: {said_last.splitlines()[-1]}" if said_last else ""
        return KernelDied(
            f"the kernel of {source.name} ended in {where}{last_words}",
            instead="a cell must not end its own process, and the machine needs enough memory",
            then=then,
        )
    if error is None:
        return NotebookRaised(
            f"{source.name} left in {where}, before its end",
            instead="a notebook runs through its last cell, without sys.exit()",
            then=then,
        )
    return NotebookFailed(f"papermill could not run {source.name}: {type(error).__name__}: {error}", then=then)


__all__ = ["PapermillRunner"]
