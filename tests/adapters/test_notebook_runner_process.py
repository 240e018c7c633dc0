"""Papermill's runner in a process of its own: what only a whole process can be told or be short of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.adapters.runner_world import copied, has_ended

PLAIN = """
import sys
from pathlib import Path
from pipelines.adapters.papermill_runner import PapermillRunner
from pipelines.ports import NotebookJob

root = Path(sys.argv[1])
PapermillRunner().run(NotebookJob(root / "nb/parameters.ipynb", root / "out.ipynb", root), lambda progress: None)
"""


def test_a_long_path_for_temporary_files_does_no_harm(tmp_path: Path) -> None:
    """A Unix socket's path ends at about 100 bytes: where TMPDIR is longer, the kernel is still reached."""
    root, far = copied(tmp_path), tmp_path / ("long" * 25)
    far.mkdir()
    command, environment = [sys.executable, "-c", PLAIN, str(root)], {**os.environ, "TMPDIR": str(far)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (root / "out.ipynb").exists()


INTERRUPTIBLE = """
import sys
from pathlib import Path
import psutil
from pipelines.adapters.papermill_runner import PapermillRunner
from pipelines.errors import Interrupted
from pipelines.ports import NotebookJob

def begun(progress):
    print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)

root = Path(sys.argv[1])
try:
    PapermillRunner().run(NotebookJob(root / "nb/never_ends.ipynb", root / "out.ipynb", root), begun)
except Interrupted as interrupted:
    print(interrupted)
"""


def test_ctrl_c_stops_the_kernel(tmp_path: Path) -> None:
    """SIGINT ends the run with Interrupted; the kernel and its children are gone, and the output is kept."""
    root = copied(tmp_path)
    command = [sys.executable, "-c", INTERRUPTIBLE, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        kernels = [int(pid) for pid in process.stdout.readline().split()]
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert kernels
    assert all(has_ended(pid) for pid in kernels)
    assert said.strip() == "never_ends.ipynb was interrupted in cell 1 (Wait for ever); its kernel has been stopped."
    assert errors == ""
    assert json.loads((root / "out.ipynb").read_text())["nbformat"] == 4


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from pipelines.adapters.papermill_runner import PapermillRunner
from pipelines.errors import StorageFailed
from pipelines.ports import NotebookJob

root = Path(sys.argv[1])

def begun(progress):
    # From the first cell on this process cannot write more than a few bytes into any file.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

try:
    PapermillRunner().run(NotebookJob(root / "nb/parameters.ipynb", root / "runs/out.ipynb", root), begun)
except StorageFailed as failed:
    print(failed)
"""


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """When the output cannot be written at the end, the error says so and no part of it is left."""
    root = copied(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(root)], capture_output=True, text=True, timeout=120, check=True
    )
    assert "keeping the executed notebook" in done.stdout
    assert done.stderr == ""
    assert list((root / "runs").iterdir()) == []
