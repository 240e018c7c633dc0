"""Commands that show what was written and what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands.group import REF, SESSION, Session, main_group
from pipelines.errors import BadInput
from pipelines.values import VersionSpec

if TYPE_CHECKING:
    from pipelines.views import View


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
@click.argument("left", type=REF, metavar="REF")
@click.argument("right", type=REF, metavar="REF")
@click.option("--since", metavar="WHEN", help='Requests not before: 10m, 2h, "yesterday 14:00", 2026-01-31.')
@click.option("--tolerance", type=float, metavar="NUMBER", help="By how much numbers may differ and still agree.")
@SESSION
def compare(
    session: Session, left: VersionSpec, right: VersionSpec, since: str | None, tolerance: float | None
) -> View:
    """Show where two versions that got the same requests disagree."""
    return session.app.compare(left, right, since=since, tolerance=tolerance)


@main_group.command()
@click.argument("model")
@SESSION
def drift(session: Session, model: str) -> View:
    """Show where the rows that come differ from those a version was validated with."""
    return session.app.drift(model)


@main_group.command()
@click.argument("model")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@SESSION
def labels(session: Session, model: str, file: Path | None) -> View:
    """Show how well a model's versions have answered, by the truth that came later.

    FILE has it: a .csv, .jsonl or .parquet with the columns request_id (an answer's header x-turnout-id) and label.
    """
    return session.app.labels(model, file)


@main_group.command()
@click.argument("model")
@SESSION
def history(session: Session, model: str) -> View:
    """Show what happened to a model, the latest first."""
    return session.app.history(model)


@main_group.command()
@click.argument("model")
@click.option("-f", "--follow", is_flag=True, help="And again every two seconds, until Ctrl-C.")
@SESSION
def monitor(session: Session, model: str, follow: bool) -> View | None:  # noqa: FBT001
    """Show a model's live figures by version, its split and how far its rollout has come."""
    if not follow:
        return session.app.monitor(model)
    if session.follow is None:
        raise BadInput("a cell cannot follow", instead=f"`%monitor {model}` shows a panel that goes on by itself")
    session.app.watch(model, session.follow, 2.0)
    return None
