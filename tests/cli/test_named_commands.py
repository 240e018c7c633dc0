"""What messages and pages tell a person to type can be typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pipelines.cli import main_group

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`turnout ([a-z][^`\n]*)`")


def named() -> Iterator[tuple[str, str]]:
    """Each command that stands in backticks, and where; what is filled in at run time stands for one word."""
    files = [*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "ipext").rglob("*.py"), *(ROOT / "docs").rglob("*.md")]
    for path in [*files, *(ROOT / "pipelines" / "templates").glob("*"), ROOT / "README.md", ROOT / "CHANGELOG.md"]:
        if path.is_file():
            for words in NAMED.findall(path.read_text(encoding="utf-8")):
                yield path.relative_to(ROOT).as_posix(), re.sub(r"\{[^}]*\}", "WORD", words)


def fault(words: str) -> str:
    """What is wrong with a command; empty when nothing is. `[...]` may be left out, `A|B` is a choice."""
    text = re.sub(r"(['\"]).*?\1", "WORD", re.sub(r"[\[\]]|\.\.\.", "", words))
    verb, *rest = re.sub(r"\\?\|", "/", re.sub(r"\\?\|(?=-)", " ", text)).split()
    command = main_group.commands.get(verb)
    if command is None:
        return f"there is no command {verb}"
    options = {name: one for one in command.params if isinstance(one, click.Option) for name in one.opts}
    given = 0
    rest.reverse()
    while rest:
        word = rest.pop()
        if not word.startswith("-"):
            given += 1
        elif word not in {*options, "-h", "--help"}:
            return f"{verb} has no option {word}"
        elif word in options and not options[word].is_flag:
            del rest[len(rest) - options[word].nargs :]
    places = [one for one in command.params if isinstance(one, click.Argument)]
    if any(one.nargs < 0 for one in places) or given <= len(places):
        return ""
    return f"{verb} takes {len(places)} words, not {given}"


def test_each_command_that_is_named_exists() -> None:
    """Verb, options and number of words; a message that names another one sends a person into the next error."""
    found = list(named())
    assert len(found) > 200, "so that the test looks at something"
    assert [(place, words, wrong) for place, words in found if (wrong := fault(words))] == []


@pytest.mark.parametrize("words", ["stop MODEL", "down MODEL", "deploy REF --share 10", "status MODEL MODEL"])
def test_one_that_does_not_exist_is_noticed(words: str) -> None:
    """The check itself can fail."""
    assert fault(words)
