"""What runs of a model, and how its traffic is split."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Self

from pipelines.errors import BadInput
from pipelines.values.phases import Phase, Role
from pipelines.values.refs import VersionRef, read_ref

Moment = datetime
"""A point in time, UTC; the policy has no clock and is handed it as a value."""

Share = int | Literal["shadow"]
"""How much of the traffic a version gets: 1 to 100 percent, or copies of all of it."""

_STICKY_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Sticky:
    """What keeps a user with one version.

    Args:
        kind: Where the user's key comes from.
        name: The header's or cookie's name.
        salt: The rollout's id, so that the same users do not meet every canary.
    """

    kind: Literal["header", "cookie"]
    name: str
    salt: str

    def __post_init__(self) -> None:
        if not _STICKY_NAME.fullmatch(self.name):
            raise BadInput(
                f"{self.name!r} cannot name a {self.kind}", instead="a name has 1 to 64 of A-Z, a-z, 0-9, - and _"
            )


@dataclass(frozen=True, slots=True)
class Split:
    """Who gets a model's traffic.

    Args:
        model: The model.
        weights: Percent by version, summing to 100; the stable version first, so that a growing share moves no user
            back. Empty when nothing serves.
        shadow: The version that gets copies.
        sticky: How users are kept with their version; None for a random choice by request.
        generation: Counts the splits of a model; the gateway's log names it, so that each request is judged at the
            weights it was routed with.
    """

    model: str
    weights: Mapping[VersionRef, int] = field(default_factory=dict)
    shadow: VersionRef | None = None
    sticky: Sticky | None = None
    generation: int = 0

    def __post_init__(self) -> None:
        if self.weights and (sum(self.weights.values()) != 100 or min(self.weights.values()) < 0):
            raise BadInput(
                f"the weights {dict(self.weights)} are no split", instead="they are 0 or more and sum to 100"
            )
        if self.shadow in self.weights:
            raise BadInput(f"{self.shadow} cannot be its own shadow", instead="a shadow has no share of the traffic")

    @property
    def versions(self) -> frozenset[VersionRef]:
        """All versions that must run for this split."""
        return frozenset(self.weights) | ({self.shadow} if self.shadow else frozenset())

    def as_dict(self) -> dict[str, Any]:
        """The split as JSON."""
        return {
            "model": self.model,
            "weights": {str(ref): weight for ref, weight in self.weights.items()},
            "shadow": str(self.shadow) if self.shadow else None,
            "sticky": {"kind": self.sticky.kind, "name": self.sticky.name, "salt": self.sticky.salt}
            if self.sticky
            else None,
            "generation": self.generation,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            model=data["model"],
            weights={read_ref(ref): weight for ref, weight in data["weights"].items()},
            shadow=read_ref(data["shadow"]) if data["shadow"] else None,
            sticky=Sticky(**data["sticky"]) if data["sticky"] else None,
            generation=data["generation"],
        )


@dataclass(frozen=True, slots=True)
class Deployment:
    """What should run of one model: the journal holds it, the target is brought to it.

    Args:
        model: The model.
        phase: Where it stands.
        split: Who gets the traffic.
        champion: The last proven version; it stays loaded until another is proven.
        candidate: The version under judgement: canary, shadow or baking.
        standbys: Warm versions without traffic besides, the latest first.
        quarantined: Why each version that was left by a rollback may not come back without a reason.
        bake_until: When the bake is over, UTC; only while baking.
        rollout: Id of the present or last rollout.
        replicas: Processes of each running version; 1 where none is given.
    """

    model: str
    phase: Phase = Phase.EMPTY
    split: Split | None = None
    champion: VersionRef | None = None
    candidate: VersionRef | None = None
    standbys: tuple[VersionRef, ...] = ()
    quarantined: Mapping[VersionRef, str] = field(default_factory=dict)
    bake_until: datetime | None = None
    rollout: str = ""
    replicas: Mapping[VersionRef, int] = field(default_factory=dict)

    @property
    def running(self) -> frozenset[VersionRef]:
        """All versions whose hosts should be up."""
        if self.phase is Phase.EMPTY:
            return frozenset()
        parts = {self.champion, self.candidate, *self.standbys} | (self.split.versions if self.split else frozenset())
        return frozenset(ref for ref in parts if ref is not None)

    @property
    def live(self) -> VersionRef | None:
        """The version that serves: the champion, or the promoted one that bakes. A canary has a share and no more."""
        if self.phase is Phase.EMPTY:
            return None
        return self.candidate if self.phase is Phase.BAKING else self.champion

    def role(self, ref: VersionRef) -> Role:
        """What a running version is there for."""
        if ref == self.candidate:
            return {Phase.CANARY: Role.CANARY, Phase.SHADOW: Role.SHADOW, Phase.BAKING: Role.BAKING}.get(
                self.phase, Role.STANDBY
            )
        return Role.CHAMPION if ref == self.champion and self.phase is not Phase.BAKING else Role.STANDBY

    def with_(self, **changes: Any) -> Deployment:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """The deployment as JSON."""
        return {
            "model": self.model,
            "phase": self.phase.value,
            "split": self.split.as_dict() if self.split else None,
            "champion": str(self.champion) if self.champion else None,
            "candidate": str(self.candidate) if self.candidate else None,
            "standbys": [str(ref) for ref in self.standbys],
            "quarantined": {str(ref): reason for ref, reason in self.quarantined.items()},
            "bake_until": self.bake_until.isoformat() if self.bake_until else None,
            "rollout": self.rollout,
            "replicas": {str(ref): count for ref, count in self.replicas.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(
            model=data["model"],
            phase=Phase(data["phase"]),
            split=Split.from_dict(data["split"]) if data["split"] else None,
            champion=read_ref(data["champion"]) if data["champion"] else None,
            candidate=read_ref(data["candidate"]) if data["candidate"] else None,
            standbys=tuple(read_ref(ref) for ref in data["standbys"]),
            quarantined={read_ref(ref): reason for ref, reason in data["quarantined"].items()},
            bake_until=datetime.fromisoformat(data["bake_until"]) if data["bake_until"] else None,
            rollout=data["rollout"],
            replicas={read_ref(ref): count for ref, count in data["replicas"].items()},
        )


@dataclass(frozen=True, slots=True)
class HostHealth:
    """One running version, as the target reports it.

    Args:
        health: `starting`, `ready`, `unhealthy` (out of rotation) or `failed` (given up).
        replicas: How many processes should run.
        ready: How many of them are ready.
        started: When the first was started, UTC.
        restarts: How often one of them was replaced.
        memory_mb: Of all its processes, 10^6 bytes.
        requests: Requests the gateway gave it since it was started, of judged traffic.
        failures: How many of these failed, by the first attempt.
    """

    health: Literal["starting", "ready", "unhealthy", "failed"]
    replicas: int = 1
    ready: int = 0
    started: datetime | None = None
    restarts: int = 0
    memory_mb: float = 0.0
    requests: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Bento:
    """A packaged version, as the local target needs it; read without MLflow.

    Args:
        ref: The version.
        sources: The folder a host serves from.
        digest: Of what is served.
        is_passed: Whether all its gates passed.
        forced: The reason it was packaged in spite of them.
        memory_mb: What its host was measured to need; 0 when unknown.
    """

    ref: VersionRef
    sources: str
    digest: str
    is_passed: bool
    forced: str = ""
    memory_mb: float = 0.0
