"""What a person wishes to begin with, and which files come of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What becomes of one file."""

    NEW = "written"
    ADDED = "added to"
    KEPT = "kept as it was"


@dataclass(frozen=True, slots=True)
class Wish:
    """What `turnout init` was asked for; empty where it was not said.

    Args:
        name: The model.
        framework: What it is trained with.
        systems: Continuous integration of which systems.
        source: A notebook of one's own to begin with, as it was typed.
    """

    name: str = ""
    framework: str = ""
    systems: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file to be written.

    Args:
        path: Where, relative to the project's folder, with `/`.
        text: What it shall contain.
        before: What it contains now; None where there is none.
        outcome: What becomes of it.
    """

    path: str
    text: str
    before: str | None = None
    outcome: Outcome = Outcome.NEW


@dataclass(frozen=True, slots=True)
class Begun:
    """A project that was begun, or added to.

    Args:
        folder: Its folder, absolute.
        model: The model that is new; empty where only files for continuous integration are.
        sheets: Its files.
        notes: What a person should know, a sentence each.
        commands: What to type next.
        additions: Files, and what a person has to add to the end of each before that.
    """

    folder: str
    model: str
    sheets: tuple[Sheet, ...]
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    additions: tuple[tuple[str, str], ...] = ()
