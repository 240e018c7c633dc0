"""What a nursery imports, and whether it may be forked after that."""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import sys
import sysconfig
import threading
import weakref
from collections.abc import Callable
from typing import Any

_KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython", "psutil")
_INSTALLED = ("site-packages", "dist-packages")
_PYTHON = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))


class Exits:
    """Exit handlers that packages register while they are imported.

    A kernel registers them again at the right moment: after IPython's own, before those of the notebook.
    """

    def __init__(self) -> None:
        self.kept: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
        self._register, self._unregister = atexit.register, atexit.unregister
        self._is_recording = True

    def record(self) -> None:
        """Note what is registered from now on."""
        atexit.register, atexit.unregister = self.register, self.unregister

    def stop(self) -> None:
        """Note no more."""
        atexit.register, atexit.unregister = self._register, self._unregister
        self._is_recording = False

    def register(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """As `atexit.register`."""
        if self._is_recording:
            self.kept.append((function, args, kwargs))
        return self._register(function, *args, **kwargs)

    def unregister(self, function: Callable[..., Any], /) -> None:
        """As `atexit.unregister`."""
        self.kept = [each for each in self.kept if each[0] != function]
        self._unregister(function)

    def forget(self) -> None:
        """In a kernel: nothing that belongs to the nursery is run at its end."""
        for function, _, _ in self.kept:
            self._unregister(function)
        for info in getattr(weakref.finalize, "_registry", {}).values():
            info.atexit = False

    def again(self) -> None:
        """In a kernel: register them anew. What removes files would remove the nursery's, and is left out."""
        for function, args, kwargs in self.kept:
            if getattr(function, "__module__", "") not in ("shutil", "os", "posix", "pathlib"):
                self._register(function, *args, **kwargs)


def import_packages(modules: list[str]) -> tuple[Exits, str]:
    """Import; return the exit handlers met on the way, and what speaks against forking.

    A package that cannot be imported is left to the notebook, which gets the error at its own cell.
    """
    exits = Exits()
    exits.record()
    # As ipykernel sets them before the first cell: packages may look at them when they are imported.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    os.environ["JPY_PARENT_PID"] = str(os.getpid())
    for name in (*_KERNEL, *modules):
        if _may_import(name):
            try:
                importlib.import_module(name)
            except BaseException as error:  # noqa: BLE001 - the notebook will meet it
                sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
    exits.stop()
    return exits, _objection()


def _may_import(name: str) -> bool:
    """Whether it is an installed module. pyplot chooses its back end at import, and only a kernel has the right one."""
    if name.startswith("matplotlib.pyplot"):
        return False
    try:
        top = importlib.util.find_spec(name.partition(".")[0])
        found = importlib.util.find_spec(name) if top is not None and _is_installed(top) else None
    except BaseException:  # noqa: BLE001 - finding a submodule imports its package
        return False
    return found is not None and _is_installed(found)


def _is_installed(spec: Any) -> bool:
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    return all(_stays(str(place)) for place in places)


def _stays(place: str) -> bool:
    """Whether it is part of Python or an installed package, and not the project's or one that somebody works on."""
    return any(f"{os.sep}{name}{os.sep}" in place for name in _INSTALLED) or place.startswith(_PYTHON)


def _objection() -> str:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        return f"this system has no descriptors of processes: {error}"
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        return f"what was imported has started threads ({', '.join(others)}), which a fork would lose"
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        # multiprocessing has another name for the main module.
        is_ours = module is sys.modules["__main__"] or name.partition(".")[0] == "pipelines"
        if file and not is_ours and not _stays(file):
            return f"what was imported has imported {name}, which is not installed"
    return ""
