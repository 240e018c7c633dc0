"""What the stages ask of the world; one contract suite in tests/adapters holds all implementations to it, fakes too.

A method succeeds whole, or raises a TurnoutError and leaves all as it was.
"""

from __future__ import annotations

from pipelines.ports.executions import Attempt, Executions
from pipelines.ports.notebooks import CellProgress, NotebookJob, NotebookRunner
from pipelines.ports.operating import Operator
from pipelines.ports.packaging import Catalogue, PackageJob, Packager
from pipelines.ports.registry import LoggedModel, Registry, RunFacts
from pipelines.ports.reporting import Picture, Reporter
from pipelines.ports.service_code import Functions
from pipelines.ports.serving import Hosts, Target
from pipelines.ports.sources import Digests, Revisions
from pipelines.ports.traffic import Captures, Labels
from pipelines.ports.world import Clock, Ports

__all__ = [
    "Attempt",
    "Captures",
    "Catalogue",
    "CellProgress",
    "Clock",
    "Digests",
    "Executions",
    "Functions",
    "Hosts",
    "Labels",
    "LoggedModel",
    "NotebookJob",
    "NotebookRunner",
    "Operator",
    "PackageJob",
    "Packager",
    "Picture",
    "Ports",
    "Registry",
    "Reporter",
    "Revisions",
    "RunFacts",
    "Target",
]
