"""`%%preprocess MODEL` and `%%postprocess MODEL`: a function from a cell, for before or after the model."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipext.words import typed
from pipelines.errors import BadInput

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from pipelines.app import App
    from pipelines.values import FunctionName
    from pipelines.views import View

Wrap = Callable[["View"], Any]


class Card:
    """A view as a notebook shows it; its attributes are the view's."""

    def __init__(self, view: View) -> None:
        self.view = view

    def __getattr__(self, name: str) -> Any:
        return getattr(self.view, name)

    def __str__(self) -> str:
        return str(self.view)

    def __repr__(self) -> str:
        return self.view.text()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        del include, exclude
        return {"text/html": self.view.html(), "text/plain": self.view.text()}


def register(shell: InteractiveShell, app: Callable[[], App] | None = None, wrap: Wrap = Card) -> None:
    """Give the shell both magics.

    Args:
        shell: The shell.
        app: Opens the project; without it, the one around the current folder.
        wrap: Makes of a view what a cell displays.
    """
    for name, magic in _magics(app or _app_here, wrap).items():
        shell.register_magic_function(magic, "line_cell", name)


def unregister(shell: InteractiveShell) -> None:
    """Take both away again."""
    for name in ("preprocess", "postprocess"):
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop(name, None)


def _app_here() -> App:
    from pipelines.app import App
    from pipelines.terminal import TerminalReporter

    return App(Path.cwd(), TerminalReporter())


def _magics(app: Callable[[], App], wrap: Wrap) -> dict[FunctionName, Callable[..., Any]]:
    def preprocess(line: str, cell: str | None = None) -> Any:
        """Take the function `preprocess` from a cell: what it returns for a request's rows goes into the model."""
        return _run("preprocess", line, cell, app, wrap)

    def postprocess(line: str, cell: str | None = None) -> Any:
        """Take the function `postprocess` from a cell: what it returns for the model's outputs is the answer."""
        return _run("postprocess", line, cell, app, wrap)

    return {"preprocess": preprocess, "postprocess": postprocess}


def _run(name: FunctionName, line: str, cell: str | None, app: Callable[[], App], wrap: Wrap) -> Any:
    """Do what the line says.

    Raises:
        TurnoutError: a notebook shows it as one line, and nothing was stored.
    """
    try:
        words = typed(shlex.split(line))
    except ValueError as error:
        raise BadInput(f"cannot read {line!r}: {error}") from None
    try:
        view = _command(name, cell, app).main(words, prog_name=f"%%{name}", standalone_mode=False)
    except click.ClickException as error:
        raise BadInput(error.format_message().rstrip("."), then=f"`%{name} -h` shows how.") from None
    return None if view is None or isinstance(view, int) else wrap(view)


def _command(name: FunctionName, cell: str | None, app: Callable[[], App]) -> click.Command:
    words = {"preprocess": "before", "postprocess": "after"}

    def act(model: str | None, rows: Path | None, remove: bool, show: bool) -> View:  # noqa: FBT001
        opened = app()
        model = model or _only(opened.place.models, name)
        if remove and (show or rows):
            raise BadInput("--remove goes alone", then=f"`%{name} -h` shows how.")
        if remove:
            return opened.remove_code(model, name)
        if cell is not None:
            return opened.store_code(model, name, cell, rows=rows, is_dry=show)
        if rows is not None:
            raise BadInput(f"--rows goes with the cell of a function, %%{name}", then=f"`%{name} -h` shows how.")
        return opened.show_code(model, name)

    options: list[click.Parameter] = [
        click.Argument(["model"], required=False),
        click.Option(["--show"], is_flag=True, help="With a cell: check it and show what would change."),
        click.Option(["--remove"], is_flag=True, help="Take the stored function away; the cell's text does not count."),
    ]
    rows = click.Option(
        ["--rows"], type=click.Path(path_type=Path), help="Example rows as clients send them, .json or .csv."
    )
    hidden = click.Option(["--rows"], type=click.Path(path_type=Path), hidden=True)
    options.append(rows if name == "preprocess" else hidden)
    return click.Command(
        name,
        params=options,
        callback=act,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=f"Store the function `{name}` of a cell, to be applied {words[name]} MODEL from the next packaged version "
        "on. Without a cell, show what is stored.",
    )


def _only(models: tuple[str, ...], name: str) -> str:
    if len(models) == 1:
        return models[0]
    raise BadInput(f"%{name} needs to know the model", instead=f"the project has {', '.join(models) or 'none yet'}")
