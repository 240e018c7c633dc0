"""Commands about a project as a whole: making one, and looking after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipelines.commands.group import SESSION, Session, main_group

if TYPE_CHECKING:
    from pipelines.views import View


@main_group.command()
@SESSION
def doctor(session: Session) -> View:
    """Look at the machine and the project, and say how to mend what is found."""
    return session.app.doctor()


@main_group.command()
@click.option(
    "--prune", is_flag=True, help="Remove what only spares time: digests, leftovers, warm kernels; no version."
)
@SESSION
def cache(session: Session, prune: bool) -> View:  # noqa: FBT001
    """Show what is kept so that work need not be done again, and its size."""
    return session.app.cache(is_pruned=prune)
