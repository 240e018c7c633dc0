"""The counts, as Prometheus reads them."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.serving.metrics import OUTCOMES, Metrics, Tally, render
from pipelines.values import Manifest, VersionRef
from tests.serving.bentos import TENSOR

MANIFEST = Manifest(VersionRef("digits", 7), "onnx", TENSOR)


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Values by sample name, outcome and bucket."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            assert sample.labels["model"] == "digits"
            assert sample.labels["version"] == "7"
            key = (sample.name, *(sample.labels[name] for name in ("outcome", "le") if name in sample.labels))
            found[key] = sample.value
    return found


def test_every_outcome_is_there_from_the_start() -> None:
    """A rate needs the zero before the first failure."""
    found = samples(render(Metrics(), MANIFEST, "one"))
    assert {key[1] for key in found if key[0] == "turnout_requests_total"} == set(OUTCOMES)
    assert all(found["turnout_requests_total", outcome] == 0 for outcome in OUTCOMES)


def test_counts_come_out_as_they_went_in() -> None:
    """Requests by outcome, seconds, rows, requests in flight and the moment of readiness."""
    metrics = Metrics()
    metrics.outcomes["ok"] += 3
    metrics.in_flight = 2
    metrics.ready_at = 1000.5
    for seconds in (0.0004, 0.0005, 0.3):
        metrics.seconds.add(seconds)
    metrics.batch_rows.add(7)
    found = samples(render(metrics, MANIFEST, "one"))
    assert found["turnout_requests_total", "ok"] == 3
    assert found["turnout_request_seconds_bucket", "0.0005"] == 2
    assert found["turnout_request_seconds_bucket", "0.25"] == 2
    assert found["turnout_request_seconds_bucket", "0.5"] == 3
    assert found["turnout_request_seconds_count",] == 3
    assert found["turnout_request_seconds_sum",] == pytest.approx(0.3009)
    assert found["turnout_batch_rows_sum",] == 7
    assert found["turnout_requests_in_flight",] == 2
    assert found["turnout_ready_time_seconds",] == 1000.5


def test_the_host_is_named_by_its_instance() -> None:
    """So that a restart can be told from a reset."""
    assert b'turnout_host_info{flavour="onnx",instance="one",model="digits",version="7"} 1.0' in render(
        Metrics(), MANIFEST, "one"
    )


@pytest.mark.parametrize(("value", "bucket"), [(1.0, 0), (1.5, 1), (2.0, 1), (2.1, 2)])
def test_a_bucket_includes_its_upper_bound(value: float, bucket: int) -> None:
    """As Prometheus defines `le`."""
    tally = Tally((1.0, 2.0))
    tally.add(value)
    assert tally.counts[bucket] == 1
    assert tally.total == value
