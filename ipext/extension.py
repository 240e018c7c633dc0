"""What `%load_ext ipext` puts into a shell, and `%unload_ext ipext` takes out again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ipext import reports
from ipext.completion import Completions
from ipext.magics import Magics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_LOADED = "_turnout_extension"


class Extension:
    """One shell's magics and completions.

    Args:
        shell: The shell.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._magics = Magics(shell)
        self._matcher = Completions(self._magics).matcher()
        self._before: dict[str, dict[str, Callable[..., Any]]] = {}

    @staticmethod
    def load(shell: InteractiveShell) -> None:
        """Load it into a shell; one that has it already gets it anew."""
        Extension.unload(shell)
        extension = Extension(shell)
        extension._enter()
        setattr(shell, _LOADED, extension)

    @staticmethod
    def unload(shell: InteractiveShell) -> None:
        """Take it out of a shell, which is then as it was before."""
        extension: Extension | None = getattr(shell, _LOADED, None)
        if extension is not None:
            extension._leave()
            delattr(shell, _LOADED)

    def _enter(self) -> None:
        known = self._shell.magics_manager.magics
        self._magics.settle()
        self._before = {kind: dict(known[kind]) for kind in ("line", "cell")}
        for name, magic in self._magics.all().items():
            self._shell.register_magic_function(magic, "line", name)
        _service_code().register(self._shell, self._magics.app, self._magics.displayed)
        self._shell.Completer.custom_matchers.append(self._matcher)
        reports.register(self._shell)
        self._magics.open()

    def _leave(self) -> None:
        self._magics.close()
        _service_code().unregister(self._shell)
        reports.unregister(self._shell)
        known = self._shell.magics_manager.magics
        for kind, before in self._before.items():
            for name in known[kind].keys() - before.keys():
                if _is_ours(known[kind][name]):
                    del known[kind][name]
            for name, magic in before.items():
                if name in known[kind] and _is_ours(known[kind][name]):
                    known[kind][name] = magic
        with suppress(ValueError):
            self._shell.Completer.custom_matchers.remove(self._matcher)


def _is_ours(magic: Callable[..., Any]) -> bool:
    """Whether a magic is one of this extension: another one may have been loaded since."""
    return str(getattr(magic, "__module__", "")).partition(".")[0] == __package__


def _service_code() -> Any:
    from ipext import service_code

    return service_code
