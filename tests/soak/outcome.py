"""What a part of the soak found, and how that is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """One part.

    Args:
        title: Its heading.
        verdict: `held`, or `NOT HELD`.
        facts: What was measured, by name.
        problems: What went wrong, in words.
        table: A table instead of the facts: its columns, then its rows.
    """

    title: str
    verdict: str
    facts: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()

    def markdown(self) -> str:
        """The part as a section."""
        lines = [f"## {self.title}: {self.verdict}", ""]
        if self.facts:
            lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in self.facts.items()), ""]
        if self.table:
            head, *rows = self.table
            lines += [
                f"| {' | '.join(head)} |",
                "|" + "---|" * len(head),
                *(f"| {' | '.join(row)} |" for row in rows),
                "",
            ]
        if self.problems:
            lines += ["Problems:", "", *(f"- {problem}" for problem in self.problems), ""]
        return "\n".join(lines)


def verdict(is_good: bool) -> str:
    """In a word."""
    return "held" if is_good else "NOT HELD"


def spread(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and largest of durations, in milliseconds."""
    if not len(seconds):
        return "none"
    median, high, most = (1000 * value for value in (*np.percentile(seconds, [50, 99]), max(seconds)))
    return f"median {median:.1f} ms, p99 {high:.1f} ms, largest {most:.1f} ms (n = {len(seconds)})"
