"""The group of all commands, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pipelines import __version__
from pipelines.values import VersionSpec

if TYPE_CHECKING:
    from pipelines.app import App
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
        """As they were arranged, without those that only Turnout itself calls."""
        del ctx
        return [name for name, command in self.commands.items() if not command.hidden]

    def arrange(self, names: Sequence[str]) -> None:
        """Put the commands in this order, which names each of them once."""
        if sorted(names) != sorted(self.commands):
            raise ValueError(f"the order and the commands differ: {set(names) ^ set(self.commands)}")
        self.commands = {name: self.commands[name] for name in names}


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


def share_words(*, canary: int | None, shadow: bool) -> tuple[str, ...]:
    """The share as it would be typed, for a command that somebody else carries out."""
    # What is wrong is told now, not by each of them.
    if canary is not None or shadow:
        from pipelines.commands.running import deploy_options

        deploy_options(canary=canary, shadow=shadow)
    return (*(() if canary is None else ("--canary", str(canary))), *(("--shadow",) if shadow else ()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="turnout")
def main_group() -> None:
    """Bring a model from a notebook to production and back.

    MODEL is a name in the project file, REF a version: digits@7, digits@champion, digits@previous or digits@latest.
    The project is found from the current folder upwards.
    """
