"""A clock, a listener, and all ports together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.adapters.service_code import FileFunctions
from pipelines.ports import CellProgress, Picture, Ports
from tests.fakes.executions import FakeExecutions
from tests.fakes.notebooks import FakeNotebook, FakeRunner
from tests.fakes.packaging import FakeCatalogue, FakeHosts, FakePackager
from tests.fakes.registry import FakeRegistry
from tests.fakes.sources import FakeDigests, FakeRevisions


@dataclass
class FakeClock:
    """Implements `ports.Clock`; time passes when a test says so."""

    time: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def now(self) -> datetime:
        """The time it is."""
        return self.time

    def advance(self, **duration: float) -> None:
        """Let time pass: `advance(minutes=2)`."""
        self.time += timedelta(**duration)


@dataclass
class FakeReporter:
    """Implements `ports.Reporter`: keeps what it is told."""

    steps: list[str] = field(default_factory=list)
    cells: list[CellProgress] = field(default_factory=list)
    boards: list[Picture] = field(default_factory=list)

    def step(self, text: str) -> None:
        """Keep it."""
        self.steps.append(text)

    def cell(self, progress: CellProgress) -> None:
        """Keep it."""
        self.cells.append(progress)

    def board(self, picture: Picture) -> None:
        """Keep it."""
        self.boards.append(picture)


def fake_ports(
    folder: Path,
    notebooks: Mapping[str, FakeNotebook],
    *,
    packager: FakePackager | None = None,
    hosts: FakeHosts | None = None,
    digests: FakeDigests | None = None,
    revisions: FakeRevisions | None = None,
    clock: FakeClock | None = None,
) -> Ports:
    """A whole world of fakes, its files below `folder`."""
    registry = FakeRegistry(folder / "registry")
    return Ports(
        runner=FakeRunner(registry, notebooks),
        registry=registry,
        packager=packager or FakePackager(),
        hosts=hosts or FakeHosts(),
        executions=FakeExecutions(folder / "runs"),
        revisions=revisions or FakeRevisions(),
        digests=digests or FakeDigests(),
        clock=clock or FakeClock(),
        catalogue=FakeCatalogue(),
        functions=FileFunctions(),
    )
