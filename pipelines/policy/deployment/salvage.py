"""Splits where something is missing: the record, or versions that should be up."""

from __future__ import annotations

from dataclasses import replace

from pipelines.values import Deployment, Phase, Split, VersionRef


def salvaged(split: Split) -> Deployment:
    """What a split must have come from, when the record of it is lost: whoever carries most is the champion."""
    champion = max(split.weights, key=split.weights.__getitem__)
    others = [ref for ref, weight in split.weights.items() if weight and ref != champion]
    if split.shadow or others:
        phase = Phase.CANARY if others else Phase.SHADOW
        return Deployment(split.model, phase, split, champion, others[0] if others else split.shadow)
    return Deployment(split.model, Phase.LIVE, split, champion)


def makeshift(deployment: Deployment, up: frozenset[VersionRef]) -> Split | None:
    """The split to route while some of the recorded versions are down; None when none is up.

    The stable version takes over what a missing one had; without any of the split, the first standby that is up does.
    """
    if deployment.split is None or not deployment.split.weights or deployment.split.versions <= up:
        return deployment.split
    weights = {ref: weight for ref, weight in deployment.split.weights.items() if ref in up}
    heir = next((ref for ref in (*weights, *deployment.standbys) if ref in up), None)
    if heir is None:
        return None
    weights[heir] = weights.get(heir, 0) + 100 - sum(weights.values())
    shadow = deployment.split.shadow if deployment.split.shadow in up - set(weights) else None
    return replace(deployment.split, weights=weights, shadow=shadow)
