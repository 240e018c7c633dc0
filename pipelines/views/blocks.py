"""What a view is made of; each block has one text and one HTML form (text.py, html.py)."""

from __future__ import annotations

import math
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
    """A number against what was asked of it, to be drawn.

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


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a grid; `is_badge` makes a mark of its text, such as a verdict."""

    text: str
    tone: Tone = Tone.PLAIN
    is_badge: bool = False
    is_number: bool = False
    scale: Scale | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a view."""

    text: str
    badge: Cell | None = None
    beside: str = ""


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
        remarks: For text: sentences below the table, by the row they belong to. HTML has them in the row.
        spare: For text: columns to leave out, in this order, when the table is wider than the terminal.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    remarks: Sequence[tuple[str, str]] = ()
    spare: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Code:
    """Lines that are shown as they are, such as those of a diff."""

    lines: Sequence[tuple[str, Tone]]


Block = Heading | Facts | Grid | Line | Code


def verdict_cell(verdict: Verdict | None) -> Cell:
    """A verdict as a mark; what was not judged yet is a dash."""
    return Cell(verdict.value, TONES[verdict], is_badge=True) if verdict else Cell("-")


def number_text(value: object) -> str:
    """A number with the digits a person reads, other values as they are."""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    return str(value)
