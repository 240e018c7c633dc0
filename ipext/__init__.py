"""The IPython extension: `%load_ext ipext` makes a magic of every `turnout` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%load_ext ipext`."""
    from ipext.extension import Extension

    Extension.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%unload_ext ipext`; nothing is left behind."""
    from ipext.extension import Extension

    Extension.unload(shell)
