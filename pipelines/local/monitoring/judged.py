"""What the judge, the labels and the watch for drift add to a model's status, as samples."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.metrics_core import Metric

from pipelines.local.monitoring.families import Sample, counter, gauge

VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE", "HOLD")
UNDER_WAY = ("judging", "holding", "asking")
"""States of a rollout that has not ended."""


def judged_families(models: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    """Samples of the keys `rollout`, `quality` and `drift`, where a model's status has them.

    A status of another version of Turnout may have them in another form: what cannot be read is left out.
    """
    rollouts = {
        model: found
        for model, entry in models.items()
        if isinstance(found := entry.get("rollout"), Mapping) and found.get("state", "judging") in UNDER_WAY
    }
    yield gauge(
        "turnout_rollout_verdict",
        "1 for what the judge says of the rollout under way.",
        [
            ({"model": model, "verdict": verdict}, str(one.get("verdict", "")).upper() == verdict)
            for model, one in rollouts.items()
            if one.get("verdict")
            for verdict in VERDICTS
        ],
    )
    yield gauge(
        "turnout_rollout_e_value",
        "Evidence of a stream, as the natural logarithm of its e-value.",
        [sample for model, one in rollouts.items() for sample in _streams(model, one)],
    )
    yield gauge(
        "turnout_rollout_step_percent",
        "The step that the rollout under way has come to.",
        [
            ({"model": model}, float(one["step"]))
            for model, one in rollouts.items()
            if isinstance(one.get("step"), int | float)
        ],
    )
    yield from _quality(models)
    drifts = {model: found for model, entry in models.items() if isinstance(found := entry.get("drift"), Mapping)}
    yield gauge(
        "turnout_drift_alarm",
        "1 while the watch for drift sees one.",
        [
            ({"model": model}, bool(one["is_drifting"]))
            for model, one in drifts.items()
            if isinstance(one.get("is_drifting"), bool)
        ],
    )


def _quality(models: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    """What later labels say of each version."""
    found = [
        ({"model": model, "version": ref.partition("@")[2], "kind": str(one["kind"])}, one)
        for model, entry in models.items()
        if isinstance(quality := entry.get("quality"), Mapping)
        for ref, measures in quality["versions"].items()
        for one in measures
    ]
    ends = ((name, [(labels, one[name]) for labels, one in found if one[name] is not None]) for name in ("low", "high"))
    values = [(labels, one["value"]) for labels, one in found]
    yield gauge("turnout_version_quality", "Accuracy or mean error, by the labels that came later.", values)
    for name, samples in ends:
        yield gauge(f"turnout_version_quality_{name}", "An end of its 95 % interval.", samples)
    requests = [(labels, one["requests"]) for labels, one in found]
    yield counter("turnout_version_labelled_requests", "Requests whose truth has become known.", requests)


def _streams(model: str, rollout: Mapping[str, Any]) -> Iterator[Sample]:
    harm = rollout.get("e_harm")
    streams = dict(harm) if isinstance(harm, Mapping) else {}
    for name, value in (streams | {"promotion": rollout.get("e_promotion")}).items():
        if isinstance(value, int | float) and value > 0:
            # Of a great deal of evidence the logarithm alone is a number.
            yield {"model": model, "stream": str(name)}, math.log(min(value, sys.float_info.max))
