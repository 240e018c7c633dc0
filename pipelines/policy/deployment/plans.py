"""How to get from one deployment to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.policy.deployment.back import after_up
from pipelines.policy.deployment.parts import carrying
from pipelines.values import Deployment, Phase, Split, VersionRef


@dataclass(frozen=True, slots=True)
class Plan:
    """How to get from one deployment to another, in this order.

    Args:
        start: Versions to start, with their numbers of processes.
        route: The split to make live; None when the traffic stays as it is.
        stop: Versions to stop, after the change is recorded.
    """

    start: Mapping[VersionRef, int]
    route: Split | None
    stop: tuple[VersionRef, ...]

    def steps(self) -> list[str]:
        """The plan in words, a line a step."""
        said = [f"start {ref}" + (f" with {count} processes" if count > 1 else "") for ref, count in self.start.items()]
        if self.route is not None:
            said.append(describe(self.route))
        return [*said, "record it", *(f"stop {ref}" for ref in self.stop)]


def plan(before: Deployment, after: Deployment, down: frozenset[VersionRef] = frozenset()) -> Plan:
    """What leads from `before` to `after`.

    Args:
        before: What is recorded.
        after: What shall be.
        down: Recorded versions of which no process is left: those with a share are started again.
    """
    starts = sorted((after.running - before.running) | (carrying(after) & down))
    changes = after.split != before.split or after.running != before.running
    return Plan(
        start={ref: after.replicas.get(ref, 1) for ref in starts},
        route=after.split if changes else None,
        stop=tuple(sorted(before.running - after.running)),
    )


def revival(now: Deployment, *, is_up: bool) -> list[str]:
    """What `up` does for one model, in words; nothing for one that serves, or was never proven.

    Args:
        now: What is recorded.
        is_up: Whether a daemon is there, which keeps running what is recorded.
    """
    after = after_up(now)
    if after.phase is Phase.EMPTY or (is_up and now.phase is not Phase.EMPTY):
        return []
    return Plan({ref: after.replicas.get(ref, 1) for ref in sorted(after.running)}, after.split, ()).steps()


def describe(split: Split) -> str:
    """A split in words: `route digits: digits@4 90 %, digits@5 10 %`."""
    shares = [f"{ref} {weight} %" for ref, weight in split.weights.items() if weight]
    if split.shadow:
        shares.append(f"{split.shadow} gets copies")
    return f"route {split.model}: {', '.join(shares) or 'nowhere'}"
