"""When a schedule is due: cron expressions in a time zone, over clocks that jump."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

MOST_BACK = timedelta(hours=1)
"""A clock that is set back by less repeats nothing; one that is set back by more was wrong before."""


def due(expression: str, settled: datetime, now: datetime, zone: tzinfo) -> datetime | None:
    """The first time after `settled` that has come; None when none has.

    However many have passed (the machine slept, nobody watched), it is due once. A time that the clocks skip in spring
    comes right afterwards, one that they repeat in autumn comes once.

    Args:
        expression: Five fields.
        settled: Up to when it has been followed.
        now: The present.
        zone: In which the expression is meant.
    """
    from cronsim import CronSim

    first: datetime = next(CronSim(expression, settled.astimezone(zone)))
    return first if first.astimezone(UTC) <= now.astimezone(UTC) else None


def follow(settled: datetime | None, now: datetime) -> datetime:
    """Up to when a schedule has been followed: the present for one that is new, or where the clock was wrong."""
    return now if settled is None or settled - now > MOST_BACK else settled


def zone_of(name: str, local: Path = Path("/etc/localtime")) -> tzinfo:
    """A time zone by its name, or the machine's own with its summers and winters."""
    from zoneinfo import ZoneInfo

    try:
        if named := name or os.environ.get("TZ", ""):
            return ZoneInfo(named.removeprefix(":"))
        with local.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, KeyError):
        # A machine without a zone keeps UTC; the project file's name was checked when it was read.
        return datetime.now().astimezone().tzinfo or UTC
