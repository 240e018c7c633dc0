"""The Tab key behind a magic: commands, options, models, versions and aliases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from ipext.magics import BACKGROUND, LONG, commands
from pipelines.cli import Ref, main_group
from pipelines.errors import TurnoutError

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext

    from ipext.magics import Magics

ALIASES = ("champion", "previous", "latest")
MOST = 200
"""Versions offered, the newest first."""
_CALL = re.compile(r"(?:^|[=(,\s])%%?(\w+)\s+([^\n]*)$")
_CODE = ("preprocess", "postprocess")


class Completions:
    """Finds what may stand at the cursor.

    Args:
        magics: Whose project it is.
    """

    def __init__(self, magics: Magics) -> None:
        self._magics = magics

    def matcher(self) -> Callable[[CompletionContext], Any]:
        """For IPython's completer."""
        from IPython.core.completer import SimpleCompletion, context_matcher

        @context_matcher()  # type: ignore[untyped-decorator]
        def turnout_matcher(context: CompletionContext) -> Any:
            found = self.at(context.text_until_cursor)
            if found is None:
                return {"completions": [], "suppress": False}
            fragment, words = found
            return {
                "completions": [SimpleCompletion(text=word, type="turnout") for word in words],
                "matched_fragment": fragment,
                "suppress": bool(words),
                "ordered": True,
            }

        found: Callable[[CompletionContext], Any] = turnout_matcher
        return found

    def at(self, text: str) -> tuple[str, list[str]] | None:
        """What may follow a line's text up to the cursor: the begun word, and the words it may become.

        None where no command of ours is called.
        """
        call = _CALL.search(text)
        if call is None:
            return None
        verb, rest = call.groups()
        begun = re.search(r"\S*$", rest)
        fragment = begun.group() if begun else ""
        before = rest[: len(rest) - len(fragment)].split()
        words = self._words(verb, before, fragment)
        return None if words is None else (fragment, [word for word in words if word.startswith(fragment)])

    def _words(self, verb: str, before: Sequence[str], fragment: str) -> list[str] | None:
        if verb == "turnout":
            if not before:
                return [*commands(), "project"]
            verb, before = before[0], before[1:]
        if verb in _CODE:
            return ["--show", "--remove"] if fragment.startswith("-") else list(self._models())
        command = main_group.commands.get(verb)
        if command is None or command.hidden:
            return None
        if fragment.startswith("-"):
            return sorted(_options(command, verb))
        kind, name = _expected(command, before)
        if isinstance(kind, Ref):
            return list(self._refs(fragment))
        if name in ("model", "models", "target"):
            return list(self._refs(fragment)) if name == "target" and "@" in fragment else list(self._models())
        return []

    def _models(self) -> tuple[str, ...]:
        try:
            return self._magics.app().place.models
        except (TurnoutError, OSError):
            return ()

    def _refs(self, fragment: str) -> Iterator[str]:
        model, at, _ = fragment.partition("@")
        if not at:
            yield from (f"{name}@" for name in self._models())
            return
        yield from (f"{model}@{alias}" for alias in ALIASES)
        try:
            yield from (f"{model}@{number}" for number in self._magics.app().version_numbers(model)[:MOST])
        except (TurnoutError, OSError):
            return


def _options(command: click.Command, verb: str) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            yield from parameter.opts
    yield "--help"
    if verb in LONG:
        yield BACKGROUND


def _expected(command: click.Command, before: Sequence[str]) -> tuple[click.ParamType[Any] | None, str]:
    """The parameter that the next word is for: its type and name."""
    options = {name: one for one in command.params if isinstance(one, click.Option) for name in one.opts}
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    waiting: click.Option | None = None
    left = place = 0
    for word in before:
        if left:
            left -= 1
        elif word in options and not options[word].is_flag:
            waiting, left = options[word], options[word].nargs
        elif not word.startswith("-"):
            place += 1
    if left and waiting is not None:
        return waiting.type, waiting.name or ""
    if arguments and arguments[-1].nargs == -1:
        place = min(place, len(arguments) - 1)
    if place < len(arguments):
        return arguments[place].type, arguments[place].name or ""
    return None, ""
