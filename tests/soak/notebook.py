"""An open `%monitor` in JupyterLab, for half an hour."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
import psutil

from tests.e2e.running import RunningLine, running_line
from tests.ipext.browser import CHROMIUM, jupyterlab, page_of, run_all, until, write_notebook
from tests.soak.outcome import Outcome, verdict

MINUTES = 30.0
_EVERY_SECONDS = 10.0
_TITLE = "A monitor that stays open"


def open_monitor(folder: Path, scale: float) -> Outcome:
    """Neither the kernel's memory nor the notebook's file grows while the panel looks once a second."""
    if CHROMIUM is None:
        return Outcome(_TITLE, "not run", {"why": "there is no Chromium"})
    with running_line(folder / "project", 2) as line:
        line.deploy(1)
        line.deploy(2, 10)
        notebook = write_notebook(line.root)
        with (
            line.load(folder, kept=1, fresh=0, slow=0, pause_seconds=0.1, seconds=MINUTES * 60 + 300) as load,
            jupyterlab(line.root, folder / "jupyter") as address,
            page_of(address) as page,
        ):
            panel = run_all(page)
            sizes = [_saved(page, notebook)]
            samples = []
            until_then = time.monotonic() + MINUTES * 60 * scale
            while time.monotonic() < until_then:
                time.sleep(_EVERY_SECONDS * min(1.0, scale * 10))
                samples.append(_kernel(line))
            sizes.append(_saved(page, notebook))
            is_live = "as of" in panel.inner_text()
    # What is cached once grows at first.
    third = max(1, len(samples) // 3)
    early, late = (np.mean(part, axis=0) for part in (samples[third : 2 * third], samples[-third:]))
    is_good = late[0] <= early[0] * 1.02 + 1 and late[1] <= early[1] + 1 and sizes[0] == sizes[1] and is_live
    requests = f"{len(load.log.records):,} requests meanwhile, {load.log.failed} failed"
    facts = {
        "open for": f"{MINUTES * scale:.0f} min, {requests}",
        "the kernel's memory, second third → last third": f"{early[0]:.1f} → {late[0]:.1f} MB",
        "its threads": f"{early[1]:.0f} → {late[1]:.0f}",
        "the notebook's file, saved at first → in the end": f"{sizes[0]:,} → {sizes[1]:,} bytes",
    }
    return Outcome(_TITLE, verdict(bool(is_good)), facts)


def _saved(page: object, notebook: Path) -> int:
    """The size of the notebook's file once it is saved."""
    before = notebook.stat().st_mtime_ns
    page.keyboard.press("Control+s")  # type: ignore[attr-defined]
    until(lambda: notebook.stat().st_mtime_ns != before, "the notebook to be saved")
    return notebook.stat().st_size


def _kernel(line: RunningLine) -> tuple[float, int]:
    """Memory in MB and threads of the notebook's kernel."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "ipykernel_launcher" in " ".join(process.cmdline()) and process.cwd() == str(line.root.resolve()):
                return process.memory_full_info().uss / 1e6, process.num_threads()
    raise AssertionError("the kernel is gone")
