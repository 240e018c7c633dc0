"""Commands about a project as a whole: making one, and looking after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipelines.commands.group import SESSION, Session, main_group
from pipelines.values.starting import Wish

if TYPE_CHECKING:
    from pipelines.views import View


@main_group.command()
@click.argument("folder", default=".")
@click.option("--name", default="", help="The name of the model; else the folder's.")
@click.option("--framework", default="", help="sklearn, keras, torch, xgboost or lightgbm.")
@click.option("--from", "source", default="", metavar="FILE.ipynb", help="Begin with a notebook of your own.")
@click.option(
    "--ci", "systems", multiple=True, metavar="SYSTEM", help="Its pipeline: github, gitlab, jenkins, travis, circleci."
)
@click.option("--yes", is_flag=True, help="Ask nothing: what is not said is as most begin.")
@SESSION
def init(
    session: Session,
    folder: str,
    name: str,
    framework: str,
    source: str,
    systems: tuple[str, ...],
    yes: bool,  # noqa: FBT001
) -> View:
    """Begin a project that ships at once, in FOLDER or here; no file is overwritten.

    In a project that has a model, `--ci SYSTEM` alone writes the pipeline and nothing else.
    """
    return session.app.init(folder, Wish(name, framework, systems, source), is_asked=not yes)


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
