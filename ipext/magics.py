"""`%turnout VERB ...` runs the command of that name and displays its view."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.app import App
from pipelines.cli import Session, main_group
from pipelines.errors import BadInput, Refused
from pipelines.terminal import TerminalReporter

if TYPE_CHECKING:
    from pipelines.views import View


class Displayed:
    """A view as a notebook shows it: HTML where there is a page, text elsewhere. Its attributes are the view's."""

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


def turnout(line: str) -> Displayed | None:
    """Run a Turnout command, as in a terminal: `%turnout ship digits -p epochs 4`.

    Raises:
        TurnoutError: as the command says; a notebook shows it as one line. A gate that did not pass raises Refused
            after its report was displayed, so that a notebook run by CI stops there.
    """
    from IPython.display import display

    session = Session(App(Path.cwd(), TerminalReporter()), lambda view: display(Displayed(view)))
    try:
        view = main_group.main(
            shlex.split(line) or ["--help"], prog_name="%turnout", standalone_mode=False, obj=session
        )
    except click.ClickException as error:
        raise BadInput(error.format_message().rstrip("."), then="`%turnout --help` lists the commands.") from None
    except ValueError as error:
        # shlex: a quotation that never ends. Our own BadInput is a ValueError too, and goes through as it is.
        raise error if isinstance(error, BadInput) else BadInput(f"cannot read {line!r}: {error}") from None
    if view is None or isinstance(view, int):
        return None
    if not view.ok:
        session.show(view)
        raise Refused(f"%turnout {line}: it did not succeed", then="The report above says why.")
    return Displayed(view)
