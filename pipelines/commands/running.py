"""Commands that change what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pipelines.commands.group import DRY_RUN, REF, SESSION, SHARE, WAIT, YES, Session, main_group
from pipelines.errors import BadInput
from pipelines.values import VersionSpec

if TYPE_CHECKING:
    from pipelines.stages.deploy import DeployOptions
    from pipelines.views import View


@main_group.command()
@click.argument("ref", type=REF)
@SHARE
@click.option("--sticky-header", metavar="NAME", help="Keep a user, told by this header, with one version.")
@click.option("--sticky-cookie", metavar="NAME", help="Keep a user, told by this cookie, with one version.")
@click.option("--replicas", type=int, help="Processes; as many as the live version has, unless given.")
@click.option("--force", is_flag=True, help="Also when it did not pass or is quarantined; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why it is forced; recorded.")
@click.option("--no-judge", is_flag=True, help="Leave ramping, promoting and rolling back to a person.")
@click.option("--watch", is_flag=True, help="Follow the rollout until it has ended; Ctrl-C ends the watching only.")
@WAIT
@DRY_RUN
@YES
@SESSION
def deploy(session: Session, /, ref: VersionSpec, force: bool, reason: str | None, yes: bool, **options: Any) -> View:  # noqa: FBT001
    """Start a packaged version and give it a share of the traffic."""
    return session.app.deploy(ref, deploy_options(forced=(reason or "") if force else None, **options), yes=yes)


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
@click.option("--to-time", metavar="WHEN", help='To what was live then: 2h, "yesterday 14:00", 2026-01-31.')
@click.option("--reason", metavar="TEXT", help="Why; recorded with the version that is left.")
@click.option("--no-quarantine", is_flag=True, help="The version that is left may come back without a reason.")
@DRY_RUN
@SESSION
def rollback(
    session: Session,
    model: str,
    to: VersionSpec | None,
    to_time: str | None,
    reason: str | None,
    no_quarantine: bool,  # noqa: FBT001
    dry_run: bool,  # noqa: FBT001
) -> View:
    """Go back to the last proven version at once."""
    return session.app.rollback(
        model, to=to, to_time=to_time, reason=reason, quarantine=not no_quarantine, dry_run=dry_run
    )


@main_group.command()
@click.argument("model")
@DRY_RUN
@SESSION
def undo(session: Session, model: str, dry_run: bool) -> View:  # noqa: FBT001
    """Call off what is under way, without a verdict on it."""
    return session.app.undo(model, dry_run=dry_run)


@main_group.command()
@click.argument("model", required=False)
@SESSION
def status(session: Session, model: str | None) -> View:
    """Show what runs, as the gateway and the hosts report it."""
    return session.app.status(model)


@main_group.command()
@DRY_RUN
@SESSION
def up(session: Session, dry_run: bool) -> View:  # noqa: FBT001
    """Start the runtime and bring back what was live."""
    return session.app.up(dry_run=dry_run)


@main_group.command()
@DRY_RUN
@YES
@SESSION
def down(session: Session, dry_run: bool, yes: bool) -> View:  # noqa: FBT001
    """Stop all versions, the gateway and the daemon."""
    return session.app.down(yes=yes, dry_run=dry_run)


@main_group.command(cls=click.Command, hidden=True)
@SESSION
@click.pass_context
def daemon(context: click.Context, session: Session) -> None:
    """Be the project's daemon; its guardian calls this."""
    context.exit(session.app.daemon())


def deploy_options(
    *,
    canary: int | None,
    shadow: bool,
    wait: bool = False,
    dry_run: bool = False,
    no_judge: bool = False,
    watch: bool = False,
    **more: Any,
) -> DeployOptions:
    """What was asked of a deployment.

    Raises:
        BadInput: two shares at once.
    """
    from pipelines.stages.deploy import DeployOptions

    if shadow and canary is not None:
        raise BadInput("--shadow and --canary exclude each other", instead="a shadow has no share")
    judged = not no_judge
    share: Any = "shadow" if shadow else canary
    return DeployOptions(share, is_waiting=wait, is_dry=dry_run, is_judged=judged, is_watched=watch, **more)
