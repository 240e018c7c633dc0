"""Reads `[tool.turnout.monitoring]` and `[tool.turnout.alerts]`: how a project is watched, and who is told."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pipelines.values.alerts import AlertKind, Alerts
from pipelines.values.monitoring import Monitoring

Key = tuple[str, ...]
Number = Annotated[float, Field(allow_inf_nan=False)]
_EVENTS = [kind.value for kind in AlertKind if kind is not AlertKind.TEST]
_T = TypeVar("_T", bound=BaseModel)


class Reader(Protocol):
    """Collects what is wrong."""

    def table(self, kind: type[_T], value: Any, key: Key) -> _T | None:
        """The table as `kind`, or None after its mistakes have been noted."""

    def wrong(self, key: Key, said: str) -> None:
        """Note a mistake."""


class _Monitoring(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    port: int | None = Field(None, ge=0, le=65535, description="a whole number from 1 to 65535, or 0 for no port")
    prometheus: int | None = Field(None, ge=1, le=65535, description="a whole number from 1 to 65535")
    alertmanager: int | None = Field(None, ge=1, le=65535, description="a whole number from 1 to 65535")
    interval_seconds: int = Field(5, ge=1, le=15, description="a whole number from 1 to 15")


class _Alerts(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    urls: list[Annotated[str, Field(min_length=1)]] = Field([], description='a list of addresses, such as "$SLACK"')
    events: list[str] = Field(_EVENTS, description=f"a list of {', '.join(_EVENTS)}")
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
            near = get_close_matches(event, _EVENTS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            reader.wrong((*key, "events"), f" has {event!r}{hint}; it must be a list of {', '.join(_EVENTS)}")
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
