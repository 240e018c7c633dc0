"""What the changes of a deployment have in common."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.errors import Refused
from pipelines.values import Deployment, Phase, Split, VersionRef


def carrying(deployment: Deployment) -> frozenset[VersionRef]:
    """Versions that requests go to, a shadow among them."""
    if deployment.split is None:
        return frozenset()
    shadow = {deployment.split.shadow} if deployment.split.shadow else set()
    return frozenset(shadow | {ref for ref, weight in deployment.split.weights.items() if weight})


def live(now: Deployment, champion: VersionRef, standbys: Iterable[VersionRef]) -> Deployment:
    """The champion has all the traffic, and nothing is under way."""
    split = Split(now.model, {champion: 100}, generation=next_generation(now))
    after = now.with_(phase=Phase.LIVE, split=split, champion=champion, candidate=None, bake_until=None)
    return trimmed(after.with_(standbys=tuple(standbys)))


def trimmed(after: Deployment) -> Deployment:
    """Without the number of processes of versions that do not run any more."""
    return after.with_(replicas={ref: count for ref, count in after.replicas.items() if ref in after.running})


def champion_of(now: Deployment) -> VersionRef:
    """The champion.

    Raises:
        Refused: there is none.
    """
    if now.champion is None:
        raise Refused(f"{now.model} has no champion")
    return now.champion


def next_generation(now: Deployment) -> int:
    """The generation of the split after the present one."""
    return now.split.generation + 1 if now.split else 1


def not_ready(ref: VersionRef) -> Refused:
    """The error for a version that would get traffic, and could not answer."""
    return Refused(
        f"{ref} is not ready, so it gets no traffic", then=f"`turnout logs {ref}` shows why; call again when it is."
    )
