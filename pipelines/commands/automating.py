"""Commands that do much by themselves: many runs, many models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from pipelines.commands.group import PARAMETER, SESSION, SHARE, Session, main_group, share_words
from pipelines.errors import BadInput

if TYPE_CHECKING:
    from pipelines.stages.sweep import Asked
    from pipelines.views import View


@main_group.command()
@click.argument("model")
@click.option(
    "-p",
    "--parameter",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUES",
    help="A parameter of the notebook and its values: 4,8; with --random also a range: 0.001..0.1:log.",
)
@click.option("--from", "source", type=click.Path(path_type=Path), help="Runs from a file: .csv, or .json.")
@click.option("--random", "count", type=int, metavar="N", help="Draw so many combinations.")
@click.option("--seed", type=int, default=0, show_default=True, help="For --random: the same seed, the same runs.")
@click.option("--by", default="", metavar="METRIC", help="What the best is chosen by; the first gate's, unless given.")
@click.option("--better", type=click.Choice(["higher", "lower"]), help="Which way that metric improves.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="At most so many runs at once.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where it runs: this machine, or a Ray cluster.",
)
@click.option("--resume", is_flag=True, help="Go on with the model's last sweep.")
@SESSION
def sweep(session: Session, /, model: str, engine: str, resume: bool, **asked: Any) -> View:  # noqa: FBT001
    """Train with many combinations of parameters, several at once, and judge the best."""
    return session.app.sweep(_asked(model, is_resumed=resume, **asked), engine=engine, is_resumed=resume)


@main_group.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@SHARE
@click.option("--once", is_flag=True, help="Ship what has changed since the last time, and end.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="At most so many models at once.")
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Look at everything after so long, also where no change was told.",
)
@SESSION
def watch(
    session: Session,
    models: tuple[str, ...],
    canary: int | None,
    shadow: bool,  # noqa: FBT001
    once: bool,  # noqa: FBT001
    jobs: int | None,
    every: float,
) -> View | None:
    """Ship models when their code, data or packages change, on schedule, and after those they build on."""
    from pipelines.stages.triggers import Asked as Triggers

    if session.follow is None and not once:
        raise BadInput(
            "a cell cannot watch", instead="`%watch --once` ships what has changed now; a terminal can go on watching"
        )
    asked = Triggers(tuple(dict.fromkeys(models)), share_words(canary=canary, shadow=shadow), every, jobs, once)
    return session.app.watch_models(asked, session.follow)


@main_group.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--strict", is_flag=True, help="All cells have to give the outputs that are stored with them.")
@SESSION
def test(session: Session, models: tuple[str, ...], strict: bool) -> View:  # noqa: FBT001
    """Test the notebooks cell by cell, and what lies beside them; no version is made."""
    return session.app.test(tuple(dict.fromkeys(models)), is_strict=strict)


@main_group.command(hidden=True)
@click.argument("model")
@PARAMETER
@click.option("--by", default="", metavar="METRIC", help="What it will be compared by.")
@SESSION
def attempt(session: Session, model: str, parameters: tuple[tuple[str, str], ...], by: str) -> View:
    """Make one run of a sweep; its workers call this."""
    return session.app.attempt(model, dict(parameters), by)


def _asked(
    model: str,
    *,
    parameters: tuple[tuple[str, str], ...],
    source: Path | None,
    count: int | None,
    seed: int,
    is_resumed: bool,
    by: str,
    better: Literal["higher", "lower"] | None,
    jobs: int | None,
) -> Asked:
    from pipelines.policy.sweep import drawn, grid, listed
    from pipelines.stages.sweep import Asked

    if sum((bool(parameters), source is not None, is_resumed)) > 1:
        raise BadInput("-p, --from and --resume exclude each other", instead="each of them says which runs there are")
    if count is not None and not parameters:
        raise BadInput("--random needs -p", instead="it draws from the values that -p names")
    options: dict[str, list[str]] = {}
    for name, values in parameters:
        options.setdefault(name, []).extend(text.strip() for text in values.split(",") if text.strip())
    if is_resumed:
        runs: list[dict[str, str]] = []
    elif source is not None:
        from pipelines.wiring import sweep_list

        runs = listed(sweep_list(source), source.name)
    else:
        runs = grid(options) if count is None else drawn(options, count, seed)
    return Asked(model, runs, by, better, jobs)
