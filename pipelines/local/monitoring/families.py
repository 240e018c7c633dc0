"""Prometheus' families of samples, made in one line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

Sample = tuple[Mapping[str, str], float]
"""Labels and a value; all samples of a family have the same labels."""


def counter(name: str, says: str, samples: Iterable[Sample]) -> Metric:
    """What only rises, but for a restart; `_total` is appended to its name."""
    return _filled(CounterMetricFamily, name, says, samples)


def gauge(name: str, says: str, samples: Iterable[Sample]) -> Metric:
    """What rises and falls."""
    return _filled(GaugeMetricFamily, name, says, samples)


def _filled(
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily], name: str, says: str, samples: Iterable[Sample]
) -> Metric:
    found = list(samples)
    labels = list(found[0][0]) if found else []
    family = kind(name, says, labels=labels)
    for values, value in found:
        family.add_metric([values[label] for label in labels], value)
    return family


def text(families: Sequence[Metric]) -> bytes:
    """The families in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Ready(families))
    return generate_latest(registry)


class _Ready:
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families
