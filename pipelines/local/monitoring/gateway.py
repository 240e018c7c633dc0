"""What the gateway counts, by version and purpose.

Envoy's own text for Prometheus has the cluster in the metric's name, where `a-b@1` and `a_b@1` are one: its counters
are read instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from pipelines.local.envoy.admin import Admin
from pipelines.local.envoy.names import read_cluster
from pipelines.local.monitoring.families import counter, gauge

_BY_CLUSTER = {
    "upstream_rq_retry": ("turnout_gateway_retries", "Second attempts, which may have gone to another version."),
    "upstream_rq_timeout": ("turnout_gateway_timeouts", "Requests that took too long."),
}
_CODES = ("2xx", "3xx", "4xx", "5xx")
_SECONDS = "turnout_gateway_seconds"


def gateway_families(admin: Admin) -> Iterator[Metric]:
    """All samples; the one that says that it is down, when it does not answer."""
    try:
        counters, histogram = admin.counters(), admin.seconds()
    except OSError:
        yield _up(0)
        return
    yield _up(1)
    clusters = _clusters(counters)
    yield counter(
        "turnout_gateway_requests",
        "Answers by the version that was chosen, the purpose, and the code that the client got.",
        [
            ({**labels, "code": code}, float(found.get(f"upstream_rq_{code}", 0)))
            for labels, found in clusters
            for code in _CODES
        ],
    )
    for stat, (name, says) in _BY_CLUSTER.items():
        yield counter(name, says, [(labels, float(found.get(stat, 0))) for labels, found in clusters])
    public = "http.public.downstream_rq_"
    yield counter(
        "turnout_gateway_answers",
        "All answers at the public port, its own refusals too.",
        [({"code": code}, float(counters.get(f"{public}{code}", 0))) for code in _CODES],
    )
    yield from _histogram(histogram)


def _up(value: float) -> Metric:
    return gauge("turnout_gateway_up", "Whether the gateway answered when it was asked for its samples.", [({}, value)])


def _clusters(counters: Mapping[str, int]) -> list[tuple[dict[str, str], dict[str, int]]]:
    found: dict[str, dict[str, int]] = {}
    for name, value in counters.items():
        if name.startswith("cluster."):
            cluster, _, stat = name.removeprefix("cluster.").rpartition(".")
            found.setdefault(cluster, {})[stat] = value
    return [
        ({"model": known[0].model, "version": str(known[0].number), "purpose": known[1].value}, stats)
        for cluster, stats in sorted(found.items())
        # The hosts behind a judged cluster would count each of its requests twice.
        if (known := read_cluster(cluster)) is not None and not cluster.endswith("/hosts")
    ]


def _histogram(text: str) -> Iterator[Metric]:
    for family in text_string_to_metric_families(text):
        if family.type != "histogram":
            continue
        kept = Metric(_SECONDS, "From the head of a request to the end of its answer, at the public port.", "histogram")
        for sample in family.samples:
            part = sample.name.removeprefix(family.name)
            # Envoy counts milliseconds.
            bound = {"le": _seconds(sample.labels["le"])} if "le" in sample.labels else {}
            kept.add_sample(f"{_SECONDS}{part}", bound, sample.value / 1000 if part == "_sum" else sample.value)
        yield kept


def _seconds(bound: str) -> str:
    return bound if bound == "+Inf" else repr(float(bound) / 1000)
