"""What all hosts count, collected from their sockets: Prometheus cannot ask a Unix socket itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pipelines.local.monitoring.families import gauge
from pipelines.local.unix_http import ask
from pipelines.values import VersionRef

ASK_SECONDS = 1.0
"""A host that has not answered by then is left out; it is asked again the next time."""


class Hosts:
    """Asks all hosts at once.

    Args:
        workers: How many hosts are asked at the same time.
    """

    def __init__(self, workers: int = 16) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="scrape")

    def families(self, sockets: Mapping[VersionRef, Sequence[str]]) -> list[Metric]:
        """The samples of all hosts, and for each whether it answered.

        Each sample gets a label `replica`, the number of the host among those of its version: it stays when a host is
        replaced, so that restarts add no new series.
        """
        places = [(ref, str(slot), Path(path)) for ref, paths in sockets.items() for slot, path in enumerate(paths)]
        answers = list(self._pool.map(lambda place: _ask(place[2]), places))
        up = [
            ({"model": ref.model, "version": str(ref.number), "replica": slot}, answer is not None)
            for (ref, slot, _), answer in zip(places, answers, strict=True)
        ]
        merged: dict[str, Metric] = {}
        for (_, slot, _), answer in zip(places, answers, strict=True):
            for family in answer or ():
                kept = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                kept.samples += _labelled(family.samples, slot)
        return [
            gauge("turnout_host_up", "Whether a host answered when it was asked for its samples.", up),
            *merged.values(),
        ]

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _ask(socket: Path) -> list[Metric] | None:
    try:
        reply = ask(socket, "/metrics", timeout=ASK_SECONDS)
        return list(text_string_to_metric_families(reply.body.decode())) if reply.status == 200 else None
    except (OSError, ValueError):
        # One that is being replaced, or hangs: the others are told all the same.
        return None


def _labelled(samples: Iterable[Sample], replica: str) -> Iterator[Sample]:
    for sample in samples:
        # A new instance id at each restart would be a new series at each.
        labels = {name: value for name, value in sample.labels.items() if name != "instance"}
        yield sample._replace(labels={**labels, "replica": replica})
