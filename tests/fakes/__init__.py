"""Stand-ins for the ports, for tests of what stands on them; tests/adapters holds them to the same contracts.

A test scripts them by plain arguments:

    registry = FakeRegistry(tmp_path)
    runner = FakeRunner(registry, {"train.ipynb": FakeNotebook({"epochs": 8}, runs=[FakeRun({"accuracy": 0.9})])})
"""

from __future__ import annotations

from tests.fakes.crews import FakeCrew, FakeNotes
from tests.fakes.executions import FakeExecutions
from tests.fakes.notebooks import FakeNotebook, FakeNotebookTester, FakeRunner
from tests.fakes.operating import FakeOperator, running
from tests.fakes.packaging import MEASURED, FakeCatalogue, FakeHosts, FakePackager
from tests.fakes.registry import TAG_VARIABLE, FakeRegistry, FakeRun
from tests.fakes.sources import FakeChanges, FakeDigests, FakeRevisions
from tests.fakes.world import FakeClock, FakeReporter, fake_ports

__all__ = [
    "MEASURED",
    "TAG_VARIABLE",
    "FakeCatalogue",
    "FakeChanges",
    "FakeClock",
    "FakeCrew",
    "FakeDigests",
    "FakeExecutions",
    "FakeHosts",
    "FakeNotebook",
    "FakeNotebookTester",
    "FakeNotes",
    "FakeOperator",
    "FakePackager",
    "FakeRegistry",
    "FakeReporter",
    "FakeRevisions",
    "FakeRun",
    "FakeRunner",
    "fake_ports",
    "running",
]
