"""Processes that warm kernels are forked from, for tests: made when the first needs one, ended with the module."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from pipelines.adapters.warm.client import WarmKernels

NURSERY = "pipelines.adapters.warm.nursery"
_folders: list[Path] = []


def warm_kernels(root: Path, **facts: Any) -> WarmKernels:
    """The nurseries of a project at `root`; tests of one module that need the same packages share them."""
    if not _folders:
        # The path of a socket is short, and pytest's folders are not.
        _folders.append(Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp")))
    return WarmKernels(facts.pop("folder", _folders[0]), root, _folders[0] / "nursery.log", **facts)


def nurseries() -> list[psutil.Process]:
    """Those started by this process that run."""
    found = []
    for child in psutil.Process().children():
        try:
            if NURSERY in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


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
    _folders.clear()
    assert nurseries() == []
