"""What a replica counts, and how Prometheus reads it.

The hot path only adds to plain numbers; samples are made when somebody asks.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.values.manifest import Manifest

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

OUTCOMES = ("ok", "rejected", "model_error", "non_finite", "disconnected", "failed")
"""How a request ends: answered, refused, the model raised, its answer was not finite, the client left, we failed."""

CAPTURES = ("written", "dropped", "failed")
"""What becomes of a request that is kept: on the disk; too long or too many at once; the disk refused it."""

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0)
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Tally:
    """A histogram: counts by bucket, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, the last one `+Inf`."""
        names = [*map(repr, self.bounds), "+Inf"]
        running = 0
        found = []
        for name, count in zip(names, self.counts, strict=True):
            running += count
            found.append((name, float(running)))
        return found


class Metrics:
    """The counts of one replica. Only its event loop writes to them; to `captures` also the thread that keeps them."""

    __slots__ = ("batch_rows", "captures", "in_flight", "outcomes", "ready_at", "seconds", "started_at")

    def __init__(self) -> None:
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.seconds = Tally(SECONDS)
        self.batch_rows = Tally(ROWS)
        self.captures = dict.fromkeys(CAPTURES, 0)
        self.in_flight = 0
        self.started_at = time.time()
        self.ready_at = 0.0


class Collector:
    """Makes Prometheus samples of a replica's counts, labelled by model and version."""

    def __init__(self, metrics: Metrics, manifest: Manifest, instance: str) -> None:
        self._metrics = metrics
        self._labels = {"model": manifest.ref.model, "version": str(manifest.ref.number)}
        self._about = {**self._labels, "flavour": manifest.flavour, "instance": instance}

    def collect(self) -> Iterator[Metric]:
        """The samples at this moment."""
        from prometheus_client.metrics_core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        keys, values = list(self._labels), list(self._labels.values())
        metrics = self._metrics
        requests = CounterMetricFamily("turnout_requests", "Prediction requests by outcome.", labels=[*keys, "outcome"])
        for outcome, count in metrics.outcomes.items():
            requests.add_metric([*values, outcome], count)
        yield requests
        seconds = HistogramMetricFamily(
            "turnout_request_seconds", "From the request's head to its answer, in seconds.", labels=keys
        )
        seconds.add_metric(values, metrics.seconds.buckets(), metrics.seconds.total)
        yield seconds
        rows = HistogramMetricFamily("turnout_batch_rows", "Rows of an answered request.", labels=keys)
        rows.add_metric(values, metrics.batch_rows.buckets(), metrics.batch_rows.total)
        yield rows
        captures = CounterMetricFamily("turnout_captures", "Captured requests by outcome.", labels=[*keys, "outcome"])
        for outcome, count in metrics.captures.items():
            captures.add_metric([*values, outcome], count)
        yield captures
        for name, text, value in (
            ("turnout_requests_in_flight", "Prediction requests being answered.", metrics.in_flight),
            ("turnout_process_start_time_seconds", "When the process started, in Unix time.", metrics.started_at),
            ("turnout_ready_time_seconds", "When it became ready, in Unix time; 0 before.", metrics.ready_at),
        ):
            gauge = GaugeMetricFamily(name, text, labels=keys)
            gauge.add_metric(values, value)
            yield gauge
        info = InfoMetricFamily("turnout_host", "What runs here.")
        info.add_metric([], self._about)
        yield info


def render(metrics: Metrics, manifest: Manifest, instance: str) -> bytes:
    """The counts in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(metrics, manifest, instance))
    return generate_latest(registry)
