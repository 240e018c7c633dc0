"""Reads what a model does by itself: its schedule, what it comes after, and how it is tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

from pipelines.project_tables import Key, Reader, nearest
from pipelines.values.automation import Automation


class Table(Protocol):
    """What is read of a model's table."""

    schedule: str
    after: list[str]
    test_parameters: dict[str, Any]
    tests: list[str]


def automation(reader: Reader, read: Table, key: Key) -> Automation:
    """What a model's table says."""
    return Automation(
        _schedule(reader, read.schedule, (*key, "schedule")),
        tuple(read.after),
        reader.parameters(read.test_parameters, (*key, "test_parameters")),
        tuple(path for path in read.tests if reader.inside(path, (*key, "tests"))),
    )


def _schedule(reader: Reader, text: str, key: Key) -> str:
    """A cron expression, with a time at which it is due."""
    from cronsim import CronSim, CronSimError

    if not text:
        return ""
    try:
        # Five fields; cronsim takes a sixth, for seconds, which would keep a model being shipped all day.
        if len(text.split()) != 5:
            raise CronSimError(f"{len(text.split())} fields")
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        reader.wrong(
            key, f' is {text!r} ({error}); it must be a cron expression of five fields, such as "0 3 * * *" for 3:00'
        )
    return text


def check_timezone(reader: Reader, name: str, key: Key) -> str:
    """The name of a time zone, or nothing for the machine's own."""
    from zoneinfo import ZoneInfo

    try:
        if name:
            ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        reader.wrong(key, f' is {name!r}; it must be the name of a time zone, such as "Europe/Berlin"')
    return name


def check_order(reader: Reader, models: Mapping[str, Automation], key: Key) -> None:
    """Each model comes after others that there are, and none comes after itself in the end."""
    for name, automation in models.items():
        for other in automation.after:
            if other not in models:
                said = f" names {other!r}, which is no model of the project{nearest(other, models)}"
                reader.wrong((*key, name, "after"), said)
    try:
        TopologicalSorter({name: automation.after for name, automation in models.items()}).prepare()
    except CycleError as error:
        circle: Sequence[str] = error.args[1]
        reader.wrong((*key, circle[-1], "after"), f" leads round in a circle: {' after '.join(reversed(circle))}")
