"""Which answers are told apart, when two versions are compared by what they say."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

MOST = 20
"""Kinds; what is rarer than the twentieth is one kind together."""
BINS = 10
_NUMBER = "~"
"""Begins a number's place; see `pipelines.serving.arms`."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """Classes or labels by their names, or numbers by the upper ends of their bins; the last kind is all the rest.

    Args:
        names: The classes' names.
        ends: Places among the numbers, rising.
    """

    names: tuple[str, ...] = ()
    ends: tuple[int, ...] = ()

    @classmethod
    def of(cls, seen: Mapping[str, int]) -> Self:
        """The kinds of a sample: its most frequent classes, or bins that hold as many of its numbers each."""
        if any(name.startswith(_NUMBER) for name in seen):
            return cls(ends=_ends(sorted((_place(name), count) for name, count in seen.items())))
        return cls(names=tuple(sorted(seen, key=lambda name: (-seen[name], name))[: MOST - 1]))

    def count(self, seen: Mapping[str, int]) -> tuple[int, ...]:
        """How many answers are of each kind."""
        counts = [0] * (len(self.names) + len(self.ends) + 1)
        places = {name: place for place, name in enumerate(self.names)}
        for name, count in seen.items():
            place = bisect_left(self.ends, _place(name)) if self.ends else places.get(name, -1)
            counts[place] += count
        return tuple(counts)

    def as_list(self) -> list[str | int]:
        """The kinds as JSON; none at all are one empty bin."""
        return [*self.names, *self.ends]

    @classmethod
    def from_list(cls, data: Sequence[str | int]) -> Self:
        """The inverse of `as_list`."""
        return cls(
            tuple(one for one in data if isinstance(one, str)), tuple(one for one in data if isinstance(one, int))
        )


def _ends(places: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    total, seen = sum(count for _, count in places), 0
    ends: list[int] = []
    for place, count in places[:-1]:
        seen += count
        if seen >= total * (len(ends) + 1) / BINS:
            ends.append(place)
    return tuple(ends)


def _place(name: str) -> int:
    """Where a number lies; a whole number between the others stands for itself."""
    try:
        return int(name.removeprefix(_NUMBER))
    except ValueError:
        return 0
