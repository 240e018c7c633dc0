"""The terminal's door to the commands: runs one, prints its view, ends with its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.commands import Ref, Session, Verbs, main_group
from pipelines.errors import BadInput, Interrupted, StorageFailed, TurnoutError

if TYPE_CHECKING:
    from pipelines.views import View

__all__ = ["Ref", "Session", "Verbs", "as_turnout", "main", "main_group", "run"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one command in the terminal; return its exit code: 0 done, 1 it did not succeed, 2 wrong call, 3 busy."""
    from pipelines.app import App
    from pipelines.terminal import TerminalReporter

    is_json = "--json" in arguments
    is_asked = sys.stdin is not None and sys.stdin.isatty()
    with TerminalReporter() as reporter:
        app = App(Path.cwd(), reporter, _ask if is_asked else None, choose=_choose if is_asked else None)
        session = Session(
            app, lambda view: _print(view, is_json=is_json), lambda view: _print(view, is_json=is_json, is_one=False)
        )
        try:
            # A bare `turnout` is a question, not a mistake.
            view = main_group.main(arguments or ["--help"], prog_name="turnout", standalone_mode=False, obj=session)
        except (TurnoutError, click.ClickException, click.Abort, KeyboardInterrupt, OSError) as error:
            return _fail(error, is_json=is_json)
    # Help and --version end with click's own exit code and have no view.
    if view is None or isinstance(view, int):
        return view or 0
    session.show(view)
    return 0 if view.ok else 1


def _print(view: View, *, is_json: bool, is_one: bool = True) -> None:
    if is_json:
        import orjson

        said = orjson.dumps(view.json(), option=orjson.OPT_INDENT_2 if is_one else None).decode()
    else:
        color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        said = view.text(width=_width(), color=color, encoding=sys.stdout.encoding or "utf-8")
    click.echo(said)


def _fail(error: BaseException, *, is_json: bool) -> int:
    failure = as_turnout(error)
    if is_json:
        from pipelines.views import ErrorView

        _print(ErrorView(failure), is_json=True)
    else:
        click.echo(f"{type(failure).__name__}: {failure}", err=True)
    return failure.exit_code


def as_turnout(error: BaseException) -> TurnoutError:
    """What ended a command, as one of our errors; click's and the system's are translated."""
    if isinstance(error, TurnoutError):
        return error
    if isinstance(error, click.ClickException):
        command = getattr(error, "ctx", None)
        path = command.command_path if command else "turnout"
        return BadInput(error.format_message().rstrip("."), then=f"`{path} --help` says how it is called.")
    if isinstance(error, OSError):
        return StorageFailed.from_os(error, "running the command")
    return Interrupted("interrupted: what had begun was undone")


def _ask(question: str) -> bool:
    return click.confirm(question, err=True)


def _choose(question: str, default: str, answers: Sequence[str]) -> str:
    kind = click.Choice(answers) if answers else None
    return str(click.prompt(question, default=default, type=kind, err=True))


def _width() -> int:
    try:
        return min(os.get_terminal_size().columns, 120)
    except OSError:
        return 100


if __name__ == "__main__":
    main()
