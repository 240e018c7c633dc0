"""What the daemon knows, as samples: versions and their shares, phases, verdicts, events, the disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric

from pipelines.local.monitoring.families import Sample, counter, gauge
from pipelines.local.monitoring.judged import judged_families
from pipelines.values import Phase, Role

HEALTH = ("starting", "ready", "unhealthy", "failed", "stopped")


@dataclass(frozen=True)
class Facts:
    """What the daemon's samples are made of.

    Args:
        version: Turnout's.
        models: The status by model, as `StatusReport.all` has it.
        events: How often each action stands in the history, by model and action.
        disk: Free and all bytes of the disk the state lies on.
        more: Names, explanations and values of what other parts of the daemon count.
    """

    version: str
    models: Mapping[str, Mapping[str, Any]]
    events: Mapping[tuple[str, str], int]
    disk: tuple[int, int]
    more: Sequence[tuple[str, str, float]] = field(default_factory=tuple)


def daemon_families(facts: Facts) -> Iterator[Metric]:
    """All samples. Labels are models, their versions that run, and words of ours: their number stays small."""
    yield gauge("turnout_daemon", "The daemon's version.", [({"turnout": facts.version}, 1)])
    # Its own memory, processor time and open files.
    yield from ProcessCollector(namespace="turnout_daemon", registry=None).collect()
    free, whole = facts.disk
    yield gauge("turnout_disk_free_bytes", "Free on the disk of the state folder.", [({}, free)])
    yield gauge("turnout_disk_size_bytes", "Size of the disk of the state folder.", [({}, whole)])
    yield from _models(facts)
    yield from _versions(facts.models)
    yield from judged_families(facts.models)
    for name, says, value in facts.more:
        yield gauge(name, says, [({}, value)])


def _models(facts: Facts) -> Iterator[Metric]:
    models = facts.models
    yield gauge(
        "turnout_model_phase",
        "1 for the phase a model is in.",
        [({"model": m, "phase": p.value}, e["phase"] == p.value) for m, e in models.items() for p in Phase],
    )
    yield counter(
        "turnout_switches",
        "How often a model's traffic was split anew.",
        [({"model": m}, e["generation"]) for m, e in models.items()],
    )
    yield gauge(
        "turnout_quarantined_versions",
        "Versions of a model that a rollback left.",
        [({"model": m}, len(e["quarantined"])) for m, e in models.items()],
    )
    rollbacks = dict.fromkeys(models, 0) | {m: n for (m, action), n in facts.events.items() if action == "rollback"}
    yield counter("turnout_rollbacks", "Rollbacks of a model.", [({"model": m}, n) for m, n in rollbacks.items()])
    yield counter(
        "turnout_events",
        "Lines in a model's history, by action.",
        [({"model": m, "action": action}, n) for (m, action), n in sorted(facts.events.items())],
    )


def _versions(models: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    found = [
        ({"model": model, "version": ref.partition("@")[2]}, one)
        for model, entry in models.items()
        for ref, one in entry["versions"].items()
    ]

    def each(key: str, factor: float = 1.0) -> list[Sample]:
        return [(labels, one[key] * factor) for labels, one in found]

    yield gauge("turnout_version_weight_percent", "Share of the traffic, as the gateway has it.", each("weight"))
    yield gauge(
        "turnout_version_role",
        "1 for what a version is there for.",
        [({**labels, "role": role.value}, one["role"] == role.value) for labels, one in found for role in Role],
    )
    yield gauge(
        "turnout_version_health",
        "1 for the state of a version's hosts.",
        [({**labels, "health": word}, one["health"] == word) for labels, one in found for word in HEALTH],
    )
    yield gauge("turnout_version_replicas", "Hosts that should run.", each("replicas"))
    yield gauge("turnout_version_ready_replicas", "Hosts that are ready.", each("ready"))
    yield gauge("turnout_version_memory_bytes", "Memory of all its hosts.", each("memory_mb", 1e6))
    yield counter("turnout_version_restarts", "How often a host was replaced.", each("restarts"))
    yield counter("turnout_version_judged_requests", "Requests it was chosen for by its share.", each("requests"))
    yield counter("turnout_version_judged_failures", "Those that failed at the first attempt.", each("failures"))
