"""What this machine can give, also inside a container that may use a part of it only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from pipelines.adapters.warm.nursery import KERNEL_NAME

_GROUP = Path("/sys/fs/cgroup")


def cores(group: Path = _GROUP) -> int:
    """Cores that this process may use, at least 1."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        usable = min(usable, max(1, int(quota) // int(period)))
    return max(1, usable)


def available_mb(group: Path = _GROUP) -> float:
    """Memory that can still be taken, 10^6 bytes."""
    free = psutil.virtual_memory().available / 1e6
    with suppress(OSError, ValueError):
        limit = int((group / "memory.max").read_text())
        free = min(free, (limit - int((group / "memory.current").read_text())) / 1e6)
    return free


def used_mb(process: int) -> float:
    """Memory of a process, all it has started and its warm kernels, 10^6 bytes; what several share is counted once."""
    try:
        root = psutil.Process(process)
        family = [root, *root.children(recursive=True)]
        names = {f"{KERNEL_NAME}{member.pid}" for member in family}
        for kernel in psutil.process_iter(["name"]):
            if kernel.info["name"] in names:
                family += [kernel, *kernel.children(recursive=True)]
    except psutil.Error:
        return 0.0
    return sum(_one(member) for member in family) / 1e6


def _one(process: psutil.Process) -> int:
    try:
        # The share of pages that a forked kernel has in common with others is split among them.
        whole = process.memory_full_info()
        return int(getattr(whole, "pss", 0) or whole.uss)
    except (psutil.Error, NotImplementedError):
        pass
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
