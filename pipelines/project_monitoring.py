"""Reads `[tool.turnout.monitoring]` and `[tool.turnout.alerts]`: how a project is watched, and who is told."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from pipelines.project_tables import Key, Number, Reader, Table, listed, nearest
from pipelines.values.alerts import AlertKind, Alerts
from pipelines.values.monitoring import Monitoring

_EVENTS = [kind.value for kind in AlertKind if kind is not AlertKind.TEST]


class _Monitoring(Table):
    port: int | None = Field(None, ge=0, le=65535, description="a whole number from 1 to 65535, or 0 for no port")
    prometheus: int | None = Field(None, ge=1, le=65535, description="a whole number from 1 to 65535")
    alertmanager: int | None = Field(None, ge=1, le=65535, description="a whole number from 1 to 65535")
    interval_seconds: int = Field(5, ge=1, le=15, description="a whole number from 1 to 15")


class _Alerts(Table):
    urls: list[Annotated[str, Field(min_length=1)]] = Field([], description='a list of addresses, such as "$SLACK"')
    events: list[str] = Field(_EVENTS, description=f"a list of {listed(_EVENTS)}")
    quiet_minutes: Number = Field(30.0, ge=0, le=10080, description="a number from 0 to 10080, a week")
    disk_low_mb: Number = Field(1000.0, ge=0, description="a number from 0, in megabytes")
    no_traffic_minutes: Number = Field(60.0, ge=0, le=10080, description="a number from 0 (never) to 10080, a week")


def alerts(reader: Reader, table: Any, key: Key) -> Alerts:
    """Who is told of what.

    Args:
        reader: Who collects what is wrong.
        table: As the file has it.
        key: Where it stands.
    """
    read = reader.table(_Alerts, table, key)
    if read is None:
        return Alerts()
    for place, url in enumerate(read.urls):
        if "://" not in url and "$" not in url:
            reader.wrong((*key, f"urls[{place}]"), " is no address; write one such as mailto://..., or $VARIABLE")
    for event in read.events:
        if event not in _EVENTS:
            said = f" has {event!r}{nearest(event, _EVENTS)}; it must be a list of {listed(_EVENTS)}"
            reader.wrong((*key, "events"), said)
    known = frozenset(AlertKind(event) for event in read.events if event in _EVENTS)
    return Alerts(tuple(read.urls), known, read.quiet_minutes, read.disk_low_mb, read.no_traffic_minutes)


def monitoring(reader: Reader, table: Any, gateway: int, key: Key) -> Monitoring:
    """The table of ports; each port is used once.

    Args:
        reader: Who collects what is wrong.
        table: As the file has it.
        gateway: The gateway's port.
        key: Where it stands.
    """
    read = reader.table(_Monitoring, table, key)
    found = Monitoring(**read.model_dump()) if read else Monitoring()
    ports = found.beside(gateway)
    taken = {gateway: "the gateway"}
    for name in ("port", "prometheus", "alertmanager"):
        port = getattr(ports, name)
        if port and port in taken:
            reader.wrong((*key, name), f" is {port}, the port of {taken[port]} too; each needs its own")
        taken.setdefault(port, name)
    return found
