"""What a shipment leaves behind for people and machines that did not watch it, also one that did not succeed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import TurnoutError
from pipelines.stages.diff import Difference, diff
from pipelines.values import Alias, Check, ModelVersion, VersionSpec

if TYPE_CHECKING:
    from pipelines.ports import Attempt, Executions, Ports
    from pipelines.stages.ship import Shipped, Step
    from pipelines.values import Project

STAGES = ("train", "validate", "package", "deploy")


@dataclass(frozen=True)
class ShipReport:
    """A shipment as it is reported.

    Args:
        model: The model.
        shipped: What was done, as far as it came.
        error: Why it went no further.
        seconds: How long it took in all.
        rival: The version it is compared with: the champion, or the one before where it is champion itself.
        difference: What differs between the two, the rival on the left.
        notebooks: The executed notebooks by verb.
        took: Seconds by stage, of those that came to an end.
    """

    model: str
    shipped: Shipped | None = None
    error: TurnoutError | None = None
    seconds: float = 0.0
    rival: ModelVersion | None = None
    difference: Difference | None = None
    notebooks: Mapping[str, Path] = field(default_factory=dict)
    took: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether every stage succeeded."""
        return self.error is None and self.shipped is not None and self.shipped.is_done

    @property
    def steps(self) -> Sequence[Step]:
        """The stages that came to an end."""
        return self.shipped.steps if self.shipped else ()

    @property
    def broken_stage(self) -> str:
        """The stage that raised; empty when none did."""
        ended = {step.stage for step in self.steps}
        return next((stage for stage in STAGES if stage not in ended), "") if self.error is not None else ""

    def seconds_of(self, stage: str) -> float:
        """How long a stage took; the one that raised took what the others did not."""
        if stage == self.broken_stage:
            return max(0.0, self.seconds - sum(self.took.values()))
        return self.took.get(stage, 0.0)

    @property
    def checks(self) -> Sequence[Check]:
        """The gates that this shipment judged, those on the bento last."""
        if self.shipped is None:
            return ()
        ended = {step.stage for step in self.steps}
        version = self.shipped.version
        report = version.report if "validate" in ended else None
        own = version.package.checks if version.package is not None and "package" in ended else None
        return (*(report.checks if report else ()), *(own.checks if own else ()))


class NotedExecutions:
    """Passes everything on to an `Executions`, and remembers where notebooks were placed.

    Args:
        executions: Where they are kept.
    """

    def __init__(self, executions: Executions) -> None:
        self._executions = executions
        self.places: list[tuple[str, Path]] = []
        """Verb and path, in the order in which they were asked for."""

    def place(self, model: str, verb: str) -> Path:
        """As the other one says."""
        path = self._executions.place(model, verb)
        self.places.append((verb, path))
        return path

    def durations(self, model: str, verb: str, count: int = 3) -> list[float]:
        """As the other one says."""
        return self._executions.durations(model, verb, count)

    def prune(self, model: str, before: datetime) -> int:
        """As the other one says."""
        return self._executions.prune(model, before)

    def begin(self, attempt: Attempt) -> None:
        """As the other one says."""
        self._executions.begin(attempt)

    def finished(self, model: str, verb: str, key: str) -> tuple[Attempt, float] | None:
        """As the other one says; a notebook that an earlier call has run is the one to show."""
        found = self._executions.finished(model, verb, key)
        if found is not None:
            self.places.append((verb, found[0].notebook))
        return found

    def settle(self, model: str, verb: str, key: str) -> None:
        """As the other one says."""
        self._executions.settle(model, verb, key)


def report(
    project: Project,
    model: str,
    shipped: Shipped | None,
    error: TurnoutError | None,
    noted: NotedExecutions,
    ports: Ports,
    seconds: float,
    took: Mapping[str, float],
) -> ShipReport:
    """What there is to report of a shipment; what cannot be found out is left out, and masks no error."""
    version = shipped.version if shipped else None
    rival, difference = _difference(project, version, ports) if version is not None else (None, None)
    return ShipReport(model, shipped, error, seconds, rival, difference, _notebooks(version, noted, ports), took)


def _difference(project: Project, version: ModelVersion, ports: Ports) -> tuple[ModelVersion | None, Difference | None]:
    for alias in (Alias.CHAMPION, Alias.PREVIOUS):
        with suppress(TurnoutError):
            rival = ports.registry.get(VersionSpec(version.ref.model, alias))
            if rival.ref != version.ref:
                left, right = (VersionSpec(one.ref.model, one.ref.number) for one in (rival, version))
                return rival, diff(project, left, right, ports)
    return None, None


def _notebooks(version: ModelVersion | None, noted: NotedExecutions, ports: Ports) -> dict[str, Path]:
    """Those of this shipment; those of the runs that it reused where there are none."""
    found: dict[str, Path] = {}
    for verb in ("train", "validate"):
        # The champion's validation may run too: the candidate's comes first.
        own = next((path for name, path in noted.places if name == verb and path.exists()), None)
        if own is None and version is not None:
            with suppress(TurnoutError):
                own = ports.registry.executed(version, verb)
        if own is not None:
            found[verb] = own
    return found
