"""The IPython extension: `%load_ext ipext` gives a notebook the `%turnout` magic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%load_ext ipext`."""
    from ipext.magics import turnout

    shell.register_magic_function(turnout, "line", "turnout")


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%unload_ext ipext`; nothing is left behind."""
    shell.magics_manager.magics["line"].pop("turnout", None)
