"""What a view is made of; each block has one text and one HTML form (text.py, html.py)."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipelines.values import Verdict


class Tone(StrEnum):
    """How a word is meant."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"


TONES = {Verdict.PASS: Tone.GOOD, Verdict.FAIL: Tone.BAD, Verdict.INCONCLUSIVE: Tone.UNSURE}


@dataclass(frozen=True, slots=True)
class Scale:
    """A number against what was asked of it, to be drawn; all numbers are finite.

    Args:
        value: The number seen.
        low: The lower bound of the allowed range; None where it is open.
        high: The upper bound.
        interval: The interval of the number, where it has one.
    """

    value: float
    low: float | None = None
    high: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def points(self) -> list[float]:
        """Every number on the scale."""
        return [self.value, *(self.interval or ()), *(end for end in (self.low, self.high) if end is not None)]

    def place(self, number: float) -> float:
        """Where one of the points lies in the picture, from 0 (left) to 1."""
        # Halved, the largest numbers there are do not overflow.
        points = [point / 2 for point in self.points]
        if (self.low is None) != (self.high is None) and self.interval is None:
            # With one bound alone, 0.248 would lie as far from 0.25 as 0.1 does.
            bound = (self.high if self.low is None else self.low) or 0.0
            points += [bound * 0.45, bound * 0.55]
        low, high = min(points), max(points)
        room = (high - low) * 0.12 or abs(high) * 0.12 or 1.0
        return min(1.0, max(0.0, (number / 2 - low + room) / (high - low + 2 * room)))


@dataclass(frozen=True, slots=True)
class Spark:
    """How a number went of late, to be drawn as a line: none below 0; None where nobody looked."""

    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a grid; `is_badge` makes a mark of its text, such as a verdict."""

    text: str
    tone: Tone = Tone.PLAIN
    is_badge: bool = False
    is_number: bool = False
    scale: Scale | None = None
    spark: Spark | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a view, or, with `is_small`, of a part of it."""

    text: str
    badge: Cell | None = None
    beside: str = ""
    is_small: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they stand for."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Args:
        columns: The headings.
        rows: As many cells each.
        remarks: Sentences, by the row they belong to: below the table in text, below the row in HTML.
        spare: For text: columns to leave out, in this order, when the table is wider than the terminal.
        is_even: For HTML: columns of equal width, in line with those of the tables above and below.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    remarks: Sequence[tuple[str, str]] = ()
    spare: Sequence[str] = ()
    is_even: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Bar:
    """Shares of a whole, drawn side by side and named.

    Args:
        name: What is shared.
        parts: Names and shares, in percent.
    """

    name: str
    parts: Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Happening:
    """One event on a timeline.

    Args:
        at: The time of day.
        title: What happened.
        beside: Who did it, and how long it took.
        text: Why, in any length.
        tone: How it went.
    """

    at: str
    title: str
    beside: str = ""
    text: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened, by day."""

    days: Sequence[tuple[str, Sequence[Happening]]]


@dataclass(frozen=True, slots=True)
class Code:
    """The changed lines of a text, each with its `+`, `-` or blank in front; `@@` begins another place."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Fold:
    """What a person may want to look into: closed in HTML until it is clicked, open in text."""

    title: str
    blocks: Sequence[Block]


Block = Heading | Facts | Grid | Line | Bar | Timeline | Code | Fold


def verdict_cell(verdict: Verdict | None) -> Cell:
    """A verdict as a mark; what was not judged yet is a dash."""
    return Cell(verdict.value, TONES[verdict], is_badge=True) if verdict else Cell("-")


def number_text(value: object) -> str:
    """A number with the digits a person reads, other values as they are."""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    return str(value)


def visible(text: str) -> str:
    """The text with what would steer a terminal, or turn the direction of a line, spelled out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in "\n\t" or not _steers(char) else ascii(char)[1:-1] for char in text)


def _steers(char: str) -> bool:
    # Joiners (Cf too) are part of many scripts and of emoji: only control characters and directions are meant.
    return unicodedata.category(char) in ("Cc", "Cs") or unicodedata.bidirectional(char) in _DIRECTIONS


_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
