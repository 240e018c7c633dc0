"""A plugin of pytest that tests a notebook with nbval and tells what comes of each cell, or of each test of a file.

`python -m pytest -p pipelines.adapters.notebook_tests.plugin FILE...`, told its job by TURNOUT_TESTS as JSON: `pipe` (a
descriptor that takes the lines), and for a notebook `cells` (the name of each code cell), `folder` (where its kernel
runs), `kernel` (the kernel's name), `is_strict` and `output` (where the executed notebook goes).

Each line is `{"begun": NUMBER}` or `{"name": ..., "outcome": ..., "says": ..., "seconds": ...}`.
"""

from __future__ import annotations

import json
import math
import os
import queue
import re
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError

JOB = "TURNOUT_TESTS"
_START_SECONDS = 120
_LONGEST = 300
_LOOK_SECONDS = 1.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_job: dict[str, Any] = json.loads(os.environ.get(JOB, "{}"))


class Kernel(RunningKernel):  # type: ignore[misc]
    """A kernel whose end is noticed while a cell is waited for, which may take an hour otherwise."""

    def get_message(self, stream: str, timeout: float | None = None) -> Any:
        """The next message.

        Raises:
            queue.Empty: none came in time.
            RuntimeError: none will come.
        """
        deadline = time.monotonic() + timeout if timeout is not None else math.inf
        while True:
            try:
                return super().get_message(stream, timeout=min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                if not self.is_alive():
                    raise RuntimeError("the kernel ended") from None
                if time.monotonic() >= deadline:
                    raise


class Notebook(IPyNbFile):  # type: ignore[misc]
    """The cells of a notebook, in a kernel that runs where the notebook lies; what is read may be a copy of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.compare_outputs = bool(_job["is_strict"])
        self.has_raised = False
        self.cells: list[Any] = []

    def setup(self) -> None:
        """Start the kernel."""
        self.kernel = Kernel(_job["kernel"], cwd=_job["folder"], startup_timeout=_START_SECONDS)
        self.setup_sanitize_files()

    def collect(self) -> Iterator[Any]:
        """Its cells."""
        self.cells = list(super().collect())
        yield from self.cells

    def teardown(self) -> None:
        """Keep what the cells gave, and end the kernel."""
        for cell in self.cells:
            outputs = cell.test_outputs
            cell.cell.outputs = [] if outputs is None else [nbformat.from_dict(dict(output)) for output in outputs]
            cell.cell.execution_count = None if outputs is None else cell.cell_num + 1
        text = nbformat.writes(self.nb)
        Path(_job["output"]).write_bytes(text.encode("utf-8", "backslashreplace"))
        super().teardown()


def pytest_collect_file(file_path: Path, parent: Any) -> Any:
    """A notebook is ours."""
    is_ours = file_path.suffix == ".ipynb" and "cells" in _job
    return Notebook.from_parent(parent, path=file_path) if is_ours else None


def pytest_runtest_setup(item: Any) -> None:
    """Behind a cell that raised, nothing means what it should."""
    if isinstance(item, IPyNbCell):
        _say({"begun": item.cell_num + 1})
        if item.parent.has_raised:
            pytest.skip("an earlier cell did not come to its end")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Generator[None, Any, None]:
    """Tell how it ended: a test that does not come to its call ends in its setup."""
    report = (yield).get_result()
    says = _why(item, call) if report.outcome != "passed" else ""
    if isinstance(item, IPyNbCell) and report.outcome == "failed" and _raised(item):
        item.parent.has_raised = True
    if report.when == "call" or report.outcome != "passed":
        # A test that is expected to fail and does, is one that is skipped to pytest.
        _say({"name": _name(item), "outcome": report.outcome, "says": says, "seconds": call.duration})


def pytest_collectreport(report: Any) -> None:
    """A file that cannot be read or imported."""
    if report.failed:
        _say({"name": report.nodeid, "outcome": "failed", "says": _last_line(str(report.longrepr)), "seconds": 0.0})


def _name(item: Any) -> str:
    return str(_job["cells"][item.cell_num]) if isinstance(item, IPyNbCell) else str(item.nodeid)


def _raised(cell: Any) -> bool:
    """Whether it has not come to its end; one whose outputs differ has."""
    if cell.test_outputs is None or cell.parent.timed_out or not cell.parent.kernel.is_alive():
        return True
    return any(output["output_type"] == "error" for output in cell.test_outputs)


def _why(item: Any, call: Any) -> str:
    if call.excinfo is None:
        return "it was expected to fail"
    error = call.excinfo.value
    outputs = getattr(item, "test_outputs", None) or ()
    raised = [output for output in outputs if output["output_type"] == "error"]
    if raised:
        return f"{raised[-1]['ename']}: {_last_line(raised[-1]['evalue'])}".rstrip(": ")
    if isinstance(item, IPyNbCell) and item.parent.kernel is not None and not item.parent.kernel.is_alive():
        return "its kernel ended"
    details = _plain(getattr(error, "inner_traceback", None) or "")
    told = " ".join(details.split())[:_LONGEST]
    says = next(iter(_plain(str(error)).strip().splitlines()), "")
    if not isinstance(error, NbCellError):
        says = f"{type(error).__name__}: {says}".rstrip(": ")
    return f"{says}: {told}" if told else says


def _last_line(text: str) -> str:
    lines = [line.strip() for line in _plain(text).splitlines() if line.strip()]
    return lines[-1].removeprefix("E ").strip() if lines else ""


def _plain(text: str) -> str:
    return _COLOURS.sub("", text)


def _say(what: dict[str, Any]) -> None:
    if "pipe" in _job:
        os.write(int(_job["pipe"]), json.dumps(what).encode() + b"\n")
