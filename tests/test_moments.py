"""Moments as a person writes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pipelines.errors import BadInput
from pipelines.values.moments import in_words, read_moment

NOW = datetime(2026, 3, 1, 15, 30, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", datetime(2026, 3, 1, 13, 20, tzinfo=UTC)),
        ("2h", datetime(2026, 3, 1, 11, 30, tzinfo=UTC)),
        ("90 s", datetime(2026, 3, 1, 13, 28, 30, tzinfo=UTC)),
        ("1.5h", datetime(2026, 3, 1, 12, 0, tzinfo=UTC)),
        ("3 days ago", datetime(2026, 2, 26, 13, 30, tzinfo=UTC)),
        ("1 Week ago", datetime(2026, 2, 22, 13, 30, tzinfo=UTC)),
        ("now", datetime(2026, 3, 1, 13, 30, tzinfo=UTC)),
        ("14:00", datetime(2026, 3, 1, 12, 0, tzinfo=UTC)),
        ("yesterday 14:00", datetime(2026, 2, 28, 12, 0, tzinfo=UTC)),
        ("yesterday at 9:05", datetime(2026, 2, 28, 7, 5, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 2, 27, 22, 0, tzinfo=UTC)),
        ("today  08:15:30", datetime(2026, 3, 1, 6, 15, 30, tzinfo=UTC)),
        ("2026-02-28 14:00", datetime(2026, 2, 28, 12, 0, tzinfo=UTC)),
        ("2026-02-28", datetime(2026, 2, 27, 22, 0, tzinfo=UTC)),
        ("2026-02-28T14:00Z", datetime(2026, 2, 28, 14, 0, tzinfo=UTC)),
        ("2026-02-28T14:00:00.5+01:00", datetime(2026, 2, 28, 13, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read(text: str, expected: datetime) -> None:
    """Without an offset it is a time of the zone in which it was written."""
    assert read_moment(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "10", "10 parsecs", "yesterday 25:00", "2026-02-30", "-5m", "tomorrow", "9" * 6 + "w ago"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """And the answer shows how one is written."""
    with pytest.raises(BadInput, match="yesterday 14:00"):
        read_moment(text, NOW)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clocks were put back on 2025-10-26 and are put forward on 2026-03-29."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yesterday 14:00", datetime(2026, 3, 28, 13, 0, tzinfo=UTC)),
        ("12h", datetime(2026, 3, 28, 22, 0, tzinfo=UTC)),
        ("9:30", datetime(2026, 3, 29, 7, 30, tzinfo=UTC)),
        ("2025-10-25 14:00", datetime(2025, 10, 25, 12, 0, tzinfo=UTC)),
    ],
)
def test_yesterday_is_read_as_yesterdays_clocks_showed_it(text: str, expected: datetime) -> None:
    """The morning after the clocks were put forward, yesterday is an hour nearer; half a day is twelve hours."""
    assert read_moment(text, datetime(2026, 3, 29, 12, 0)) == expected


@pytest.mark.usefixtures("berlin")
def test_a_moment_is_said_in_local_time() -> None:
    """With the name of its zone on that day, and that it is the local one."""
    assert in_words(datetime(2026, 3, 28, 13, 0, tzinfo=UTC)) == "2026-03-28 14:00:00 CET (local time)"
    assert in_words(datetime(2026, 3, 29, 13, 0, tzinfo=UTC)) == "2026-03-29 15:00:00 CEST (local time)"
