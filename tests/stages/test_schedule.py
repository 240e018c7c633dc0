"""When a schedule is due, over clocks that jump."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest

from pipelines.stages.schedule import MOST_BACK, due, follow, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY, HALF_PAST_TWO = "0 3 * * *", "30 2 * * *"


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    """A time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("expression", "settled", "now", "expected"),
    [
        (NIGHTLY, "2026-01-02 02:00", "2026-01-02 02:59:59", None),
        (NIGHTLY, "2026-01-02 02:00", "2026-01-02 03:00", "2026-01-02 03:00"),
        (NIGHTLY, "2026-01-02 03:00", "2026-01-02 03:00", None),
        (NIGHTLY, "2026-01-02 03:00:01", "2026-01-03 02:59", None),
        # Many that have passed are one: the first of them.
        (NIGHTLY, "2026-01-02 04:00", "2026-01-20 12:00", "2026-01-03 03:00"),
        ("*/5 * * * 1-5", "2026-01-02 23:55", "2026-01-04 12:00", None),
        # 2:30 does not exist on the night of the change to summer: right afterwards, and once.
        (HALF_PAST_TWO, "2026-03-28 12:00", "2026-03-29 01:59", None),
        (HALF_PAST_TWO, "2026-03-28 12:00", "2026-03-29 03:30", "2026-03-29 03:00"),
        (HALF_PAST_TWO, "2026-03-29 03:01", "2026-03-30 02:29", None),
    ],
)
def test_it_is_due_at_its_time(expression: str, settled: str, now: str, expected: str | None) -> None:
    """After what is settled and not after now; a boundary belongs to the time before."""
    found = due(expression, at(settled), at(now), BERLIN)
    assert found == (at(expected) if expected else None)


def test_an_hour_that_comes_twice_is_one_time() -> None:
    """2:30 on the night of the change from summer: the first is due, the second is settled with it."""
    before = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    first, second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert due(HALF_PAST_TWO, before, first - timedelta(seconds=1), BERLIN) is None
    found = due(HALF_PAST_TWO, before, first, BERLIN)
    assert found is not None
    assert found.astimezone(UTC) == first
    assert due(HALF_PAST_TWO, first + timedelta(seconds=2), second + timedelta(hours=10), BERLIN) is None


def test_a_new_schedule_begins_now() -> None:
    """What it would have done before nobody asked for."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert follow(None, now) == now


def test_a_clock_that_was_wrong_blocks_nothing() -> None:
    """Set to next year by mistake and back again: the schedule goes on now. A little back repeats nothing."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert follow(now + timedelta(days=300), now) == now
    assert follow(now + MOST_BACK, now) == now + MOST_BACK
    assert follow(now - timedelta(days=30), now) == now - timedelta(days=30)


def test_the_zone_is_the_projects_or_the_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name; else by the machine's file, with its summers; else UTC or whatever the system says."""
    monkeypatch.delenv("TZ", raising=False)
    summer = datetime(2026, 7, 1, 12)
    assert zone_of("Europe/Berlin").utcoffset(summer) == timedelta(hours=2)
    file = next(file for folder in TZPATH if (file := Path(folder) / "Asia" / "Tokyo").is_file())
    assert zone_of("", file).utcoffset(summer) == timedelta(hours=9)
    assert zone_of("", tmp_path / "absent").utcoffset(summer) is not None
    monkeypatch.setenv("TZ", ":Asia/Tokyo")
    assert zone_of("", tmp_path / "absent").utcoffset(summer) == timedelta(hours=9)
