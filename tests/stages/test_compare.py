"""compare: joins what two versions have kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.errors import BadInput, Refused
from pipelines.stages.compare import compare
from pipelines.stages.resolve import Control
from pipelines.values import Captured, VersionRef, VersionSpec
from tests.fakes import FakeCatalogue, FakeOperator

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SEVEN, EIGHT = VersionRef("digits", 7), VersionRef("digits", 8)


@dataclass
class Kept:
    """Implements `ports.Captures`: what is given."""

    rows: dict[VersionRef, list[Captured]] = field(default_factory=dict)

    def versions(self, model: str) -> list[VersionRef]:
        """Those with something."""
        return sorted(ref for ref in self.rows if ref.model == model)

    def read(self, ref: VersionRef) -> Iterator[Captured]:
        """All of a version."""
        return iter(self.rows.get(ref, []))


def captured(ref: VersionRef, number: int, *outputs: Any, inputs: list[Any] | None = None) -> Captured:
    """One request's answer."""
    return Captured(f"r{number}", "", NOON + timedelta(minutes=number), ref, inputs=inputs, outputs=list(outputs))


def control() -> Control:
    """Nothing runs, and nothing need be known of it."""
    return Control(FakeOperator(), FakeCatalogue(), lambda: pytest.fail("the registry is not needed"))


def test_requests_are_joined_by_their_id() -> None:
    """Row by row, also where a request had several; what only one of them got does not count."""
    kept = Kept(
        {
            SEVEN: [captured(SEVEN, 1, "a", "b"), captured(SEVEN, 2, "a"), captured(SEVEN, 3, "a")],
            EIGHT: [captured(EIGHT, 2, "a"), captured(EIGHT, 1, "a", "c"), captured(EIGHT, 9, "z")],
        }
    )
    found = compare(VersionSpec("digits", 7), VersionSpec("digits", 8), control(), kept)
    assert (found.requests, found.found.disagree.total) == (2, 3)
    assert [(pair.request_id, pair.row, pair.left, pair.right) for pair in found.found.pairs] == [("r1", 1, "b", "c")]


def test_only_what_came_since_then_counts() -> None:
    """A model that was fed other data before."""
    kept = Kept({ref: [captured(ref, number, "a") for number in range(10)] for ref in (SEVEN, EIGHT)})
    since = NOON + timedelta(minutes=7)
    assert compare(VersionSpec("digits", 7), VersionSpec("digits", 8), control(), kept, since=since).requests == 3


def test_what_cannot_be_compared_is_counted() -> None:
    """Answers that are neither classes nor numbers, beside others that are."""
    kept = Kept({ref: [captured(ref, 1, "a"), captured(ref, 2, [[1, 2], [3, 4]])] for ref in (SEVEN, EIGHT)})
    assert compare(VersionSpec("digits", 7), VersionSpec("digits", 8), control(), kept).unread == 1


@pytest.mark.parametrize(
    ("left", "right", "tolerance", "disagree"),
    [
        ([*range(1000)], [1, *range(1, 1000)], None, 1),
        ([*range(1000)], [1, *range(1, 1000)], 1.0, 0),
        ([*map(float, range(1000))], [1.0, *map(float, range(1, 1000))], None, 0),
        ([*range(1000)], [*map(float, range(1000))], None, 0),
    ],
    ids=["classes", "asked for as numbers", "numbers", "another type"],
)
def test_a_whole_number_is_a_class(
    left: list[float], right: list[float], tolerance: float | None, disagree: int
) -> None:
    """Class 0 is not nearly class 1, however many there are."""
    kept = Kept({SEVEN: [captured(SEVEN, 1, *left)], EIGHT: [captured(EIGHT, 1, *right)]})
    found = compare(VersionSpec("digits", 7), VersionSpec("digits", 8), control(), kept, tolerance=tolerance).found
    assert (found.disagree.count, found.disagree.total) == (disagree, 1000)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({}, "nothing of digits@7 and digits@8 was kept"),
        ({SEVEN: [captured(SEVEN, 1, "a")]}, "nothing of digits@8 was kept"),
        ({SEVEN: [captured(SEVEN, 1, "a")], EIGHT: [captured(EIGHT, 2, "a")]}, "no request was answered by both"),
        ({ref: [captured(ref, 1, None)] for ref in (SEVEN, EIGHT)}, "neither classes nor numbers"),
    ],
)
def test_where_there_is_nothing_to_compare_it_says_what_is_missing(
    rows: dict[VersionRef, list[Captured]], says: str
) -> None:
    """And what would bring it."""
    with pytest.raises(Refused, match=says):
        compare(VersionSpec("digits", 7), VersionSpec("digits", 8), control(), Kept(rows))


@pytest.mark.parametrize("other", [VersionSpec("digits", 7), VersionSpec("credit", 7)], ids=str)
def test_a_wrong_pair_is_refused(other: VersionSpec) -> None:
    """One version alone, or two models."""
    with pytest.raises(BadInput, match="cannot be compared"):
        compare(VersionSpec("digits", 7), other, control(), Kept())


def test_a_negative_tolerance_is_none() -> None:
    """Nothing would agree."""
    with pytest.raises(BadInput, match=r"tolerance of -1"):
        compare(VersionSpec("digits", 7), VersionSpec("digits", 8), control(), Kept(), tolerance=-1.0)
