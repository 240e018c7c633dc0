"""What runs, as JSON: the record and the target's own report side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.local.engine import Engine
from pipelines.values import Deployment, HostHealth, Moment, Role, Split, VersionRef


class StatusReport:
    """Describes the models of a project.

    Args:
        engine: Whose deployments and operations these are.
        url: A model's address, without `/predict`.
        more: What else is known of a model, by key.
    """

    def __init__(
        self,
        engine: Engine,
        url: Callable[[str], str],
        more: Callable[[str], Mapping[str, Any]] = lambda model: {},  # noqa: ARG005
    ) -> None:
        self._engine = engine
        self._url = url
        self._more = more

    def all(self) -> dict[str, Any]:
        """`{"models": {NAME: entry}}`, of all models that were ever deployed."""
        known = {deployment.model for deployment in self._engine.journal.deployments()}
        known |= {job.model for job in self._engine.turns.active()}
        return {"models": {model: self.entry(model) for model in sorted(known)}}

    def entry(self, model: str, deployment: Deployment | None = None) -> dict[str, Any]:
        """One model: `url`, `phase`, `versions` and more; weights as the target reports them.

        Args:
            model: The model.
            deployment: Its deployment when it is known already; otherwise the recorded one.
        """
        now = deployment or self._engine.journal.deployment(model)
        split = self._engine.hands.target.split(model)
        health = self._engine.hands.health(model)
        shown = sorted(frozenset(health) | now.running | (split.versions if split else frozenset()))
        holder = self._engine.turns.holder(model)
        at = self._engine.clock.now()
        return {
            "url": self._url(model),
            "phase": now.phase.value,
            "champion": str(now.champion) if now.champion else None,
            "candidate": str(now.candidate) if now.candidate else None,
            "versions": {str(ref): _version(ref, now, split, health.get(ref), at) for ref in shown},
            "operation": holder.as_dict() if holder else None,
            "bake_until": now.bake_until.isoformat() if now.bake_until else None,
            "quarantined": {str(ref): why for ref, why in now.quarantined.items()},
            "generation": split.generation if split else 0,
            **self._more(model),
        }


def _version(
    ref: VersionRef, now: Deployment, split: Split | None, seen: HostHealth | None, at: Moment
) -> dict[str, Any]:
    role = now.role(ref) if ref in now.running else Role.STANDBY
    return {
        "weight": split.weights.get(ref, 0) if split else 0,
        "role": role.value,
        "health": seen.health if seen else "stopped",
        "age_seconds": round((at - seen.started).total_seconds(), 1) if seen and seen.started else None,
        "requests": seen.requests if seen else 0,
        "failures": seen.failures if seen else 0,
        "replicas": seen.replicas if seen else now.replicas.get(ref, 1),
        "ready": seen.ready if seen else 0,
        "memory_mb": round(seen.memory_mb, 1) if seen else 0.0,
        "restarts": seen.restarts if seen else 0,
    }
