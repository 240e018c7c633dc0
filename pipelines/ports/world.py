"""The clock, and the ports together as a stage is handed them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipelines.ports.executions import Executions
from pipelines.ports.notebooks import NotebookRunner
from pipelines.ports.packaging import Catalogue, Packager
from pipelines.ports.registry import Registry
from pipelines.ports.service_code import Functions
from pipelines.ports.serving import Hosts
from pipelines.ports.sources import Digests, Revisions


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """The present, in UTC."""


@dataclass(frozen=True)
class Ports:
    """The world, as one stage is handed it."""

    runner: NotebookRunner
    registry: Registry
    packager: Packager
    hosts: Hosts
    executions: Executions
    revisions: Revisions
    digests: Digests
    clock: Clock
    catalogue: Catalogue
    functions: Functions
