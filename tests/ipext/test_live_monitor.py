"""What an open `%monitor` costs a kernel; tests/soak/notebook.py looks for half an hour."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from tests.e2e.running import RunningLine, running_line
from tests.ipext.shells import Kernel, kernel


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A project with a champion and a canary."""
    with running_line(tmp_path_factory.mktemp("monitor") / "project") as one:
        one.deploy(1)
        one.deploy(2, 10)
        yield one


@pytest.fixture(scope="module")
def notebook(line: RunningLine) -> Iterator[Kernel]:
    """A kernel with the panel in it."""
    with kernel(line.root) as one:
        assert one.run("%load_ext ipext").error == ""
        said = one.run("seen = %monitor digits\npanel = seen.widget\npanel._watcher._pause = 0.1")
        assert said.error == ""
        yield one


def test_looking_leaves_nothing_behind(notebook: Kernel) -> None:
    """Hundreds of looks later the kernel holds as much as before."""
    notebook.run("panel._view_count = 1")
    notebook.run("panel._watcher._pause = 0.0")
    process = psutil.Process(int(notebook.run("import os\nprint(os.getpid())").printed))
    looks = "\n".join(
        (
            "import time",
            "n, last = 0, panel._last",
            "while n < 150:",
            "    time.sleep(0.002)",
            "    n, last = n + (panel._last != last), panel._last",
        )
    )
    assert notebook.run(looks).error == ""
    before = process.memory_info().rss
    for _ in range(4):
        assert notebook.run(looks).error == ""
    grown = process.memory_info().rss - before
    assert grown < 6_000_000, f"{grown / 1e6:.1f} MB more after 600 looks"
