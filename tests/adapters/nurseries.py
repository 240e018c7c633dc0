"""Processes that warm kernels are forked from, for tests: made when the first needs one, ended with the module."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from pipelines.adapters.warm.client import WarmKernels
from pipelines.adapters.warm.nursery import KERNEL_NAME

NURSERY = "pipelines.adapters.warm.nursery"
_folders: list[Path] = []


def warm_kernels(root: Path, **facts: Any) -> WarmKernels:
    """The nurseries of a project at `root`; tests of one module that need the same packages share them."""
    if not _folders:
        # The path of a socket is short, and pytest's folders are not.
        _folders.append(Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp")))
    return WarmKernels(facts.pop("folder", _folders[0]), root, _folders[0] / "nursery.log", **facts)


def nurseries() -> list[psutil.Process]:
    """Those of the tests that run."""
    return [process for process in _processes() if not _is_fork(process)]


def kernels() -> list[psutil.Process]:
    """The kernels forked by them that run."""
    return [process for process in _processes() if _is_fork(process)]


def _processes() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            is_ours = NURSERY in command and any(command[-1].startswith(str(folder)) for folder in _folders)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _is_fork(process: psutil.Process) -> bool:
    try:
        return process.name().startswith(KERNEL_NAME)
    except psutil.Error:
        return True


def ordinary_kernels() -> list[str]:
    """The lines that say why a kernel was an ordinary one after all."""
    log = _folders[0] / "nursery.log" if _folders else None
    text = log.read_text(encoding="utf-8", errors="replace") if log is not None and log.exists() else ""
    return [line for line in text.splitlines() if " an ordinary kernel for " in line]


def end_nurseries() -> None:
    """Tell all of them to end, and wait until they have."""
    for folder in _folders:
        WarmKernels(folder, folder, folder / "nursery.log").end()
        deadline = time.monotonic() + 30
        while nurseries() and time.monotonic() < deadline:
            time.sleep(0.05)
        shutil.rmtree(folder, ignore_errors=True)
    left = nurseries()
    _folders.clear()
    assert left == []
