"""A rollout that was watched to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pipelines.views.blocks import Block, Line
from pipelines.views.running import DeploymentView

if TYPE_CHECKING:
    from pipelines.stages.watch import Watched


@dataclass(frozen=True)
class RolloutView(DeploymentView):
    """How a rollout ended; it succeeded when the version carries the traffic.

    Args:
        version: The version that was to take over.
        outcome: `promoted`, `baking`, `rolled back`, `called off` or `stopped`.
        reason: Why.
    """

    version: str = ""
    outcome: str = "promoted"
    reason: str = ""

    @classmethod
    def of(cls, watched: Watched) -> Self:
        """The view of what was watched."""
        ref, entry, why = watched.ref, watched.entry, watched.reason
        because = f": {why}" if why else ""
        said = {
            "promoted": f"{ref} is the champion{because}",
            "baking": f"{ref} was promoted, and bakes: harm until the end of that still rolls it back",
            "rolled back": f"{ref} was rolled back{because}",
            "called off": f"The rollout of {ref} was called off{because}",
            "stopped": f"{ref.model} was stopped before the rollout of {ref} had ended",
        }[watched.outcome]
        return cls(ref.model, entry, said, str(ref), watched.outcome, why)

    @property
    def ok(self) -> bool:
        """Whether the version carries the traffic."""
        return self.outcome in ("promoted", "baking")

    def blocks(self) -> Sequence[Block]:
        """How it ended, then the table of the versions."""
        return super().blocks() if self.entry else [Line(self.said)]

    def document(self) -> Mapping[str, Any]:
        """The model's entry, with its name, the `version`, the `outcome` and the `reason`."""
        return {**super().document(), "version": self.version, "outcome": self.outcome, "reason": self.reason}
