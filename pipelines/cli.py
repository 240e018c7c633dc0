"""The command line: each command parses, calls one verb of the app and returns its view."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines import __version__
from pipelines.errors import BadInput, Interrupted, StorageFailed, TurnoutError
from pipelines.values import VersionSpec

if TYPE_CHECKING:
    from pipelines.app import App
    from pipelines.stages.deploy import DeployOptions
    from pipelines.views import View


@dataclass
class Session:
    """What a door hands to the commands: the terminal one here, a notebook's in `ipext`.

    Args:
        app: The verbs.
        show: Shows a view now, for a command that goes on afterwards.
        follow: Shows one view of many, as a line of JSON where that is asked for; None where a command cannot go on
            until Ctrl-C.
    """

    app: App
    show: Callable[[View], None]
    follow: Callable[[View], None] | None = None


class Ref(click.ParamType[VersionSpec]):
    """`digits@7`, or `digits@champion`."""

    name = "ref"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> VersionSpec:
        """Read the text; a wrong one raises BadInput, which every door shows alike."""
        del param, ctx
        return value if isinstance(value, VersionSpec) else VersionSpec.parse(str(value))


class Verb(click.Command):
    """A command that returns a view; each has `--json`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Read by the door that prints the view, not by the command.
        option = click.Option(["--json"], is_flag=True, expose_value=False, help="Print one JSON document.")
        self.params.append(option)


class Verbs(click.Group):
    """The commands in the order in which they are used, not of the alphabet."""

    command_class = Verb

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they were declared, without those that only Turnout itself calls."""
        del ctx
        return [name for name, command in self.commands.items() if not command.hidden]


REF = Ref()
PARAMETER = click.option(
    "-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter of the notebook."
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
WAIT = click.option("--wait", is_flag=True, help="Wait while somebody else is at work on the model.")
SESSION = click.make_pass_decorator(Session)


def SHARE(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 - an option like the others, of two
    """How much of the traffic."""
    canary = click.option("--canary", type=int, metavar="PERCENT", help="Its share, 1 to 100; 100 switches now.")
    shadow = click.option("--shadow", is_flag=True, help="Copies of the requests, the answers discarded.")
    return canary(shadow(command))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="turnout")
def main_group() -> None:
    """Bring a model from a notebook to production and back.

    MODEL is a name in the project file, REF a version: digits@7, digits@champion, digits@previous or digits@latest.
    The project is found from the current folder upwards.
    """


@main_group.command()
@click.argument("model")
@PARAMETER
@SESSION
def train(session: Session, model: str, parameters: tuple[tuple[str, str], ...]) -> View:
    """Run the training notebook and register what it trained."""
    return session.app.train(model, dict(parameters))


@main_group.command()
@click.argument("ref", type=REF)
@SESSION
def validate(session: Session, ref: VersionSpec) -> View:
    """Run the validation notebook and judge the gates."""
    return session.app.validate(ref)


@main_group.command()
@click.argument("ref", type=REF)
@click.option("--native", is_flag=True, help="Keep the original model; do not try an export.")
@click.option("--force", is_flag=True, help="Also when a gate did not pass; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why it is forced; recorded with the version.")
@SESSION
def package(session: Session, ref: VersionSpec, native: bool, force: bool, reason: str | None) -> View:  # noqa: FBT001
    """Make a bento of a version that passed."""
    return session.app.package(ref, native=native, reason=(reason or "") if force else None)


@main_group.command()
@click.argument("ref", type=REF)
@click.option("--port", type=int, default=3000, show_default=True, help="The port on 127.0.0.1.")
@SESSION
def serve(session: Session, ref: VersionSpec, port: int) -> None:
    """Serve one packaged version in the foreground, until Ctrl-C."""
    session.app.serve(ref, port)


@main_group.command()
@click.argument("ref", type=REF)
@SHARE
@click.option("--sticky-header", metavar="NAME", help="Keep a user, told by this header, with one version.")
@click.option("--sticky-cookie", metavar="NAME", help="Keep a user, told by this cookie, with one version.")
@click.option("--replicas", type=int, help="Processes; as many as the live version has, unless given.")
@click.option("--force", is_flag=True, help="Also when it did not pass or is quarantined; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why it is forced; recorded.")
@WAIT
@DRY_RUN
@YES
@SESSION
def deploy(session: Session, /, ref: VersionSpec, force: bool, reason: str | None, yes: bool, **options: Any) -> View:  # noqa: FBT001
    """Start a packaged version and give it a share of the traffic."""
    return session.app.deploy(ref, _options(forced=(reason or "") if force else None, **options), yes=yes)


@main_group.command()
@click.argument("target", metavar="REF|MODEL")
@WAIT
@DRY_RUN
@SESSION
def promote(session: Session, target: str, wait: bool, dry_run: bool) -> View:  # noqa: FBT001
    """Give the candidate all the traffic; make a version the champion by hand where nothing runs."""
    return session.app.promote(target, wait=wait, dry_run=dry_run)


@main_group.command()
@click.argument("model")
@click.option("--to", type=REF, metavar="REF", help="Where to; the last proven version, unless given.")
@click.option("--reason", metavar="TEXT", help="Why; recorded with the version that is left.")
@click.option("--no-quarantine", is_flag=True, help="The version that is left may come back without a reason.")
@DRY_RUN
@SESSION
def rollback(
    session: Session,
    model: str,
    to: VersionSpec | None,
    reason: str | None,
    no_quarantine: bool,  # noqa: FBT001
    dry_run: bool,  # noqa: FBT001
) -> View:
    """Go back to the last proven version at once."""
    return session.app.rollback(model, to=to, reason=reason, quarantine=not no_quarantine, dry_run=dry_run)


@main_group.command()
@click.argument("model")
@DRY_RUN
@SESSION
def undo(session: Session, model: str, dry_run: bool) -> View:  # noqa: FBT001
    """Call off what is under way, without a verdict on it."""
    return session.app.undo(model, dry_run=dry_run)


@main_group.command()
@click.argument("model")
@PARAMETER
@SHARE
@click.option("--serve", "and_serve", is_flag=True, help="Serve it afterwards, until Ctrl-C, without a gateway.")
@click.option("--port", type=int, default=3000, show_default=True, help="The port for --serve.")
@SESSION
def ship(
    session: Session,
    model: str,
    parameters: tuple[tuple[str, str], ...],
    canary: int | None,
    shadow: bool,  # noqa: FBT001
    and_serve: bool,  # noqa: FBT001
    port: int,
) -> View | None:
    """Train, validate, package and, with a share, deploy; skip what has not changed."""
    wanted = _options(canary=canary, shadow=shadow) if canary is not None or shadow else None
    view = session.app.ship(model, dict(parameters), wanted)
    if not (and_serve and view.ok):
        return view
    session.show(view)
    session.app.serve(VersionSpec.parse(str(view)), port)
    return None


@main_group.command()
@click.argument("model", required=False)
@SESSION
def status(session: Session, model: str | None) -> View:
    """Show what runs, as the gateway and the hosts report it."""
    return session.app.status(model)


@main_group.command()
@click.argument("ref", type=REF, required=False)
@click.option("-n", "--lines", type=int, default=50, show_default=True, help="How many of the last messages.")
@click.option("--level", default="DEBUG", metavar="LEVEL", help="At least DEBUG, INFO, WARNING, ERROR or CRITICAL.")
@click.option("--since", metavar="WHEN", help='Not before: 10m, 2h, 14:00, "yesterday 14:00", 2026-01-31.')
@click.option("--until", metavar="WHEN", help="Before that.")
@click.option("--grep", default="", metavar="TEXT", help="Those that contain the text, in any case.")
@click.option("-f", "--follow", is_flag=True, help="And those that come, until Ctrl-C.")
@click.option("--summary", is_flag=True, help="What they have in common, and what is new since the version before.")
@SESSION
def logs(session: Session, /, ref: VersionSpec | None, follow: bool, summary: bool, **asked: Any) -> View | None:  # noqa: FBT001
    """Show what a version's hosts wrote last, or all that runs."""
    if not follow:
        return session.app.logs(ref, asked, is_summary=summary)
    if summary:
        raise BadInput("--follow and --summary exclude each other", instead="a summary is of what was written")
    if session.follow is None:
        raise BadInput(
            "a cell cannot follow the logs", instead="`%logs --since 10m` shows what is there; a terminal can follow"
        )
    session.app.follow_logs(ref, asked, session.follow)
    return None


@main_group.command()
@click.argument("model")
@SESSION
def history(session: Session, model: str) -> View:
    """Show what happened to a model, the latest first."""
    return session.app.history(model)


@main_group.command()
@SESSION
def up(session: Session) -> View:
    """Start the runtime and bring back what was live."""
    return session.app.up()


@main_group.command()
@DRY_RUN
@YES
@SESSION
def down(session: Session, dry_run: bool, yes: bool) -> View:  # noqa: FBT001
    """Stop all versions, the gateway and the daemon."""
    return session.app.down(yes=yes, dry_run=dry_run)


@main_group.command()
@click.argument("model")
@SESSION
def versions(session: Session, model: str) -> View:
    """List a model's versions."""
    return session.app.versions(model)


@main_group.command()
@click.argument("left", type=REF, metavar="REF")
@click.argument("right", type=REF, metavar="REF")
@SESSION
def diff(session: Session, left: VersionSpec, right: VersionSpec) -> View:
    """Show what differs between two versions of a model."""
    return session.app.diff(left, right)


@main_group.command()
@click.argument("model", required=False)
@click.option("--keep", type=int, default=5, show_default=True, help="How many of the newest passed versions stay.")
@YES
@DRY_RUN
@SESSION
def prune(session: Session, model: str | None, keep: int, yes: bool, dry_run: bool) -> View:  # noqa: FBT001
    """Remove old versions, never a champion's."""
    return session.app.prune(model, keep=keep, yes=yes, dry_run=dry_run)


@main_group.command(cls=click.Command, hidden=True)
@SESSION
@click.pass_context
def daemon(context: click.Context, session: Session) -> None:
    """Be the project's daemon; its guardian calls this."""
    context.exit(session.app.daemon())


@main_group.command(hidden=True)
@click.argument("ref", type=REF)
@SESSION
def champion(session: Session, ref: VersionSpec) -> View:
    """Tell the registry who is champion; the daemon calls this."""
    return session.app.champion(ref)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one command in the terminal; return its exit code: 0 done, 1 it did not succeed, 2 wrong call, 3 busy."""
    from pipelines.app import App
    from pipelines.terminal import TerminalReporter

    is_json = "--json" in arguments
    ask = _ask if sys.stdin is not None and sys.stdin.isatty() else None
    with TerminalReporter() as reporter:
        app = App(Path.cwd(), reporter, ask)
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


def _options(
    *, canary: int | None, shadow: bool, wait: bool = False, dry_run: bool = False, **more: Any
) -> DeployOptions:
    from pipelines.stages.deploy import DeployOptions

    if shadow and canary is not None:
        raise BadInput("--shadow and --canary exclude each other", instead="a shadow has no share")
    return DeployOptions(share="shadow" if shadow else canary, is_waiting=wait, is_dry=dry_run, **more)


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


def _width() -> int:
    try:
        return min(os.get_terminal_size().columns, 120)
    except OSError:
        return 100


if __name__ == "__main__":
    main()
