"""Reads `[tool.turnout.monitoring]` and `[tool.turnout.alerts]`: how a project is watched, and who is told."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pipelines.values.monitoring import Monitoring

Key = tuple[str, ...]
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
