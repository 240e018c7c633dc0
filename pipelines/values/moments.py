"""Moments as a person writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from pipelines.errors import BadInput

_AGO = re.compile(
    r"(\d{1,6}(?:\.\d{1,3})?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)(?:\s+ago)?", re.I
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS = {"today": 0, "yesterday": 1}


def read_moment(text: str, now: datetime) -> datetime:
    """The moment that a person means, in UTC.

    Args:
        text: `10m`, `2h`, `3 days ago`, `14:00`, `yesterday`, `yesterday 14:00`, or ISO 8601 such as
            `2026-01-31 14:00` or `2026-01-31T14:00Z`. Without an offset it is a time of the zone of `now`.
        now: The present, with its zone. Without one it is this machine's time, and a moment before the clocks were
            changed is read as the clocks showed it then.

    Raises:
        BadInput: it is none of these.
    """
    said = " ".join(text.split())
    ago = _AGO.fullmatch(said)
    try:
        if ago:
            return now.astimezone(UTC) - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2][0].lower()])
        return _on_a_day(said, now).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            f"{text!r} is no moment",
            instead='write "10m", "2h", "3d", "14:00", "yesterday 14:00" or "2026-01-31 14:00"',
        ) from None


def in_words(moment: datetime) -> str:
    """`2026-01-31 14:00:00 CET (local time)`: a moment as the clocks of this machine's zone showed it."""
    local = moment.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S %Z} (local time)"


def _on_a_day(said: str, now: datetime) -> datetime:
    day, _, clock = said.partition(" ")
    if said.lower() == "now":
        return now
    if day.lower() in _DAYS:
        date = now.date() - timedelta(days=_DAYS[day.lower()])
        return datetime.combine(date, _time(clock.removeprefix("at ")) if clock else time(), now.tzinfo)
    if ":" in day and "-" not in day and not clock:
        return datetime.combine(now.date(), _time(day), now.tzinfo)
    moment = datetime.fromisoformat(said)
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def _time(clock: str) -> time:
    # `9:30` is what people write for 09:30.
    return time.fromisoformat(f"0{clock}" if clock[1:2] == ":" else clock)
