"""pytest in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.adapters.notebook_files import read_notebook
from pipelines.adapters.notebook_parameters import TAG, checked_parameters, declared_parameters
from pipelines.errors import Interrupted, MissingExtra, StorageFailed, TurnoutError
from pipelines.ports import CellProgress, NotebookJob
from pipelines.values import Parameter
from pipelines.values.testing import Ended, OneTest

KERNEL = "turnout-tests"
_PLUGIN = "pipelines.adapters.notebook_tests.plugin"
_PROVISIONER = "turnout-warm"
_CODE = Path(__file__).resolve().parents[3]
_STOP_SECONDS = 30.0
_WORDS = 1500
_GOOD_CODES = (0, 1, 5)
"""pytest's own: all passed, some failed, there was none."""


class PytestTester:
    """Implements `crews.NotebookTester`.

    Args:
        warm: What a kernel spec says of the nursery that kernels come from; None for ordinary kernels.
        is_there: Whether a module is installed.
    """

    def __init__(
        self,
        warm: Mapping[str, str] | None = None,
        is_there: Callable[[str], bool] = lambda name: find_spec(name) is not None,
    ) -> None:
        self._warm = warm
        self._is_there = is_there

    def check(self) -> None:
        """Whether what it takes is installed; see `crews.NotebookTester.check`."""
        for module in ("nbval", "pytest", "nbconvert"):
            if not self._is_there(module):
                raise MissingExtra.of("lab", module, "testing notebooks")

    def notebook(
        self, job: NotebookJob, progress: Callable[[CellProgress], None], *, is_strict: bool = False
    ) -> list[OneTest]:
        """Test the cells of a notebook; see `crews.NotebookTester.notebook`."""
        notebook = _prepared(job)
        names, titles = _names(notebook)
        told = str(job.notebook.relative_to(job.root))
        found: list[OneTest] = []

        def hear(said: Mapping[str, Any]) -> None:
            if "begun" in said:
                progress(CellProgress(said["begun"], len(names), titles[said["begun"] - 1]))
            else:
                found.append(_test(told, said))

        with tempfile.TemporaryDirectory(prefix="turnout-tests-") as home:
            copy = Path(home, job.notebook.name)
            copy.write_text(json.dumps(notebook), encoding="utf-8")
            Path(home, "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
            _write_spec(Path(home), self._warm, job.notebook)
            search = os.pathsep.join(filter(None, [home, os.environ.get("JUPYTER_PATH", "")]))
            cells = {
                "cells": names,
                "folder": str(job.notebook.parent),
                "kernel": KERNEL,
                "is_strict": is_strict,
                "output": str(job.output),
            }
            # Of the person's own settings none is meant for this; what pytest would load besides takes a second.
            words = ["-c", f"{home}/pytest.ini", "--rootdir", home, "--noconftest", "-p", "no:cacheprovider"]
            options = ["-p", "nbval.plugin", "--nbval-cell-timeout", str(job.cell_timeout_seconds)]
            over = {**job.environment, "JUPYTER_PATH": search, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            _pytest([*words, *options, str(copy)], Path(home), over, cells, hear)
        return found

    def files(
        self, paths: Sequence[Path], root: Path, environment: Mapping[str, str], step: Callable[[str], None]
    ) -> list[OneTest]:
        """Run pytest over files, as the project sets it up; see `crews.NotebookTester.files`."""
        found: list[OneTest] = []

        def hear(said: Mapping[str, Any]) -> None:
            file, _, name = str(said["name"]).partition("::")
            found.append(_test(file, {**said, "name": name or file}))
            step(f"{file}: {name or 'it'} {said['outcome']}")

        _pytest(
            ["-p", "no:cacheprovider", "--continue-on-collection-errors", *map(str, paths)], root, environment, {}, hear
        )
        return found


def _prepared(job: NotebookJob) -> dict[str, Any]:
    """The notebook with a cell that sets the parameters, behind the one that declares them."""
    notebook = read_notebook(job.notebook)
    for cell in notebook["cells"]:
        cell["source"] = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        cell.setdefault("metadata", {})
    given = checked_parameters(job.parameters, declared_parameters(notebook, job.notebook.name), job.notebook.name)
    if given:
        place = next(at for at, cell in enumerate(notebook["cells"]) if TAG in cell["metadata"].get("tags", ()))
        notebook["cells"].insert(place + 1, _setting(given))
    return notebook


def _setting(given: Mapping[str, Parameter]) -> dict[str, Any]:
    # Each is a literal: a name was checked, and so was its value.
    lines = [f"{name} = {value!r}" for name, value in given.items()]
    tags = {"tags": ["injected-parameters"]}
    source = "\n".join(["# Parameters", *lines])
    return {"cell_type": "code", "metadata": tags, "source": source, "outputs": [], "execution_count": None}


def _names(notebook: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Of each code cell what it is called (`cell 3 (Train)`), and its title alone."""
    names: list[str] = []
    titles: list[str] = []
    heading = ""
    for cell in notebook["cells"]:
        lines = [line.strip() for line in cell["source"].splitlines() if line.strip()]
        if cell["cell_type"] == "markdown":
            heading = next((line.lstrip("# ") for line in reversed(lines) if line.startswith("#")), heading)
        elif cell["cell_type"] == "code":
            is_ours = "injected-parameters" in cell["metadata"].get("tags", ())
            titles.append("Parameters" if is_ours else heading or "".join(lines[:1]))
            names.append(f"cell {len(names) + 1} ({titles[-1]})")
    return names, titles


def _write_spec(home: Path, warm: Mapping[str, str] | None, notebook: Path) -> None:
    spec: dict[str, Any] = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Turnout",
        "language": "python",
    }
    # An installation from before there was one has no provisioner of that name, and no such kernel then.
    if warm is not None and entry_points(group="jupyter_client.kernel_provisioners", name=_PROVISIONER):
        config = {**warm, "notebook": str(notebook)}
        spec["metadata"] = {"kernel_provisioner": {"provisioner_name": _PROVISIONER, "config": config}}
    folder = home / "kernels" / KERNEL
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


def _test(file: str, said: Mapping[str, Any]) -> OneTest:
    return OneTest(file, said["name"], Ended(said["outcome"]), said["says"], round(float(said["seconds"]), 3))


def _pytest(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    job: Mapping[str, Any],
    hear: Callable[[Mapping[str, Any]], None],
) -> None:
    merged = {**os.environ, **environment}
    clean = {name: value for name, value in merged.items() if value or name not in environment}
    clean["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_CODE), clean.get("PYTHONPATH", "")]))
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as output, os.fdopen(reading, "rb") as lines:
        clean["TURNOUT_TESTS"] = json.dumps({**job, "pipe": writing})
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "pytest", "-p", _PLUGIN, "-q", *words],
                cwd=folder,
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[writing],
                # Ctrl-C is passed on once, so that the kernel is ended in order.
                start_new_session=True,
            )
        except OSError as error:
            raise StorageFailed.from_os(error, "starting pytest") from error
        finally:
            os.close(writing)
        try:
            has_failed = [_heard(line, hear) for line in lines]
            code = process.wait()
        except BaseException as error:
            _end(process)
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted("the tests were interrupted; no kernel of them is left") from None
            raise
        output.seek(0)
        said = output.read()[-_WORDS:].decode(errors="replace").strip()
    if code not in _GOOD_CODES and not any(has_failed):
        raise TurnoutError(f"pytest ended with exit code {code}: {said or 'it said nothing'}")


def _heard(line: bytes, hear: Callable[[Mapping[str, Any]], None]) -> bool:
    """Pass it on; whether it is a test that failed."""
    said = json.loads(line)
    hear(said)
    return bool(said.get("outcome") == "failed")


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
