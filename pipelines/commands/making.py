"""Commands that make versions: from a notebook to a bento."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pipelines.commands.group import DRY_RUN, PARAMETER, REF, SESSION, SHARE, YES, Session, main_group, share_words
from pipelines.commands.running import deploy_options
from pipelines.errors import BadInput
from pipelines.values import VersionSpec

if TYPE_CHECKING:
    from pipelines.views import View


@main_group.command()
@click.argument("model")
@PARAMETER
@click.option("--verify", is_flag=True, help="Train twice and compare the metrics, to the last digit.")
@SESSION
def train(session: Session, model: str, parameters: tuple[tuple[str, str], ...], verify: bool) -> View:  # noqa: FBT001
    """Run the training notebook and register what it trained."""
    if verify:
        return session.app.verify(model, dict(parameters))
    return session.app.train(model, dict(parameters))


@main_group.command()
@click.argument("ref", type=REF)
@click.option("--reuse", is_flag=True, help="Take an earlier result that depended on the same.")
@SESSION
def validate(session: Session, ref: VersionSpec, reuse: bool) -> View:  # noqa: FBT001
    """Run the validation notebook and judge the gates."""
    return session.app.validate(ref, is_reused=reuse)


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
@click.option("--port", type=int, default=3000, show_default=True, help="The port on 127.0.0.1; 0 for a free one.")
@SESSION
def serve(session: Session, ref: VersionSpec, port: int) -> None:
    """Serve one packaged version in the foreground, until Ctrl-C."""
    session.app.serve(ref, port)


@main_group.command()
@click.argument("models", nargs=-1, metavar="MODEL...")
@click.option("--all", "is_all", is_flag=True, help="All models of the project.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Of several models at most so many at once.")
@PARAMETER
@SHARE
@click.option("--force", is_flag=True, help="Run all stages, also what has not changed; the gates stay.")
@click.option("--explain", "--dry-run", "explain", is_flag=True, help="Say what would run and why, and run nothing.")
@click.option("--junit", metavar="FILE", help="Also write the stages and gates as JUnit XML.")
@click.option("--report", metavar="FILE.md", help="Also write Markdown for a pull request, its plots beside it.")
@click.option("--serve", "and_serve", is_flag=True, help="Serve it afterwards, until Ctrl-C, without a gateway.")
@click.option("--port", type=int, default=3000, show_default=True, help="The port for --serve.")
@SESSION
def ship(
    session: Session,
    models: tuple[str, ...],
    is_all: bool,  # noqa: FBT001
    jobs: int | None,
    parameters: tuple[tuple[str, str], ...],
    canary: int | None,
    shadow: bool,  # noqa: FBT001
    force: bool,  # noqa: FBT001
    explain: bool,  # noqa: FBT001
    junit: str | None,
    report: str | None,
    and_serve: bool,  # noqa: FBT001
    port: int,
) -> View | None:
    """Train, validate, package and, with a share, deploy; skip what has not changed.

    Of several models those that do not depend on each other are shipped in parallel.
    """
    from pipelines.app.reporting import Reporting

    if is_all or len(models) != 1:
        alone = {"-p": parameters, "--explain": explain, "--junit": junit, "--report": report, "--serve": and_serve}
        _check_several(models, [name for name, value in alone.items() if value], is_all=is_all)
        words = (*share_words(canary=canary, shadow=shadow), *(("--force",) if force else ()))
        return session.app.ship_all(models, words, jobs)
    (model,) = models
    wanted = deploy_options(canary=canary, shadow=shadow) if canary is not None or shadow else None
    if explain:
        return session.app.explain(model, dict(parameters), wanted, force=force)
    view = session.app.ship(model, dict(parameters), wanted, Reporting(report, junit), force=force)
    if not (and_serve and view.ok):
        return view
    session.show(view)
    session.app.serve(VersionSpec.parse(str(view)), port)
    return None


def _check_several(models: Sequence[str], alone: Sequence[str], *, is_all: bool) -> None:
    if is_all and models:
        raise BadInput("--all and names of models exclude each other", instead="one of them says what is shipped")
    if not is_all and not models:
        raise BadInput("no model is named", then="`turnout ship MODEL` ships one, `turnout ship --all` all.")
    if alone:
        raise BadInput(f"{' and '.join(alone)} cannot be given for several models", instead="they belong to one")


@main_group.command()
@click.argument("model")
@click.option("--since", default="", metavar="REV", help="Only those trained at or after this revision of the code.")
@SESSION
def versions(session: Session, model: str, since: str) -> View:
    """List a model's versions."""
    return session.app.versions(model, since=since)


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


@main_group.command(hidden=True)
@click.argument("ref", type=REF)
@SESSION
def champion(session: Session, ref: VersionSpec) -> View:
    """Tell the registry who is champion; the daemon calls this."""
    return session.app.champion(ref)
