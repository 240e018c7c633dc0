"""verify: train twice from the same and compare, to know whether a training can be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.policy.differences import Compared, compare
from pipelines.ports import Ports, Reporter
from pipelines.stages.train import provenance, train
from pipelines.values import ModelVersion, Project, VersionSpec


@dataclass(frozen=True, slots=True)
class Verified:
    """Two trainings from the same.

    Args:
        first: What the first made.
        second: What the second made.
        metrics: What differs of the metrics that they logged; two that are not the same number differ.
        is_same: Whether nothing that they depend on was changed in between.
    """

    first: ModelVersion
    second: ModelVersion
    metrics: Compared
    is_same: bool

    @property
    def is_repeatable(self) -> bool:
        """Whether there was something to compare, and all of it is equal."""
        return self.is_same and not self.metrics.changes and self.metrics.equal > 0


def verify(project: Project, name: str, texts: Mapping[str, str], ports: Ports, reporter: Reporter) -> Verified:
    """Train the model twice. Both are versions, as every training is; see `stages.train` for the rest.

    Raises:
        TurnoutError: as `train` says; a first version that was made stays.
    """
    made_from = provenance(project, project.model(name), ports)
    refs = [train(project, name, texts, ports, reporter, made_from=made_from).version.ref for _ in range(2)]
    first, second = (ports.registry.get(VersionSpec(ref.model, ref.number)) for ref in refs)
    now = provenance(project, project.model(name), ports)
    # The commit may be another one: what counts is what the notebook read.
    is_same = (now.notebook_digest, now.data_digest, now.code_digest, now.lock_digest) == (
        made_from.notebook_digest,
        made_from.data_digest,
        made_from.code_digest,
        made_from.lock_digest,
    )
    return Verified(first, second, compare(first.metrics, second.metrics), is_same)
