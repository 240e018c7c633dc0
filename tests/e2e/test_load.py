"""The load client counts exactly: everything else in this folder rests on it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.load import FRESH, KEPT, SLOW, Load, Plan
from tests.e2e.versions import ROW, Shelf
from tests.serving.bentos import Server, running_host

BODY = json.dumps({"inputs": ROW})


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A shelf with one version whose mood can be changed."""
    shelf = Shelf(tmp_path_factory.mktemp("state"))
    shelf.add(4, "moody")
    return shelf


@pytest.fixture(scope="module")
def host(shelf: Shelf) -> Iterator[Server]:
    """A host of that version."""
    bento = shelf.catalogue.get(shelf.ref(4))
    assert bento is not None
    with running_host(Path(bento.sources)) as server:
        yield server


def plan_of(host: Server, **changes: object) -> Plan:
    """A load on `/digits/predict` that the host answers as `/predict`."""
    return Plan(f"{host.url}/predict", BODY, model="digits", **changes)  # type: ignore[arg-type]


def test_every_request_is_counted_once(host: Server, tmp_path: Path) -> None:
    """The client and the host agree about the number of good answers, of all kinds of connections."""
    before = _served(host)
    with Load(plan_of(host, kept=3, fresh=2, slow=1, slow_seconds=0.1), tmp_path) as load:
        load.wait_for_more(500)
    assert load.log.failed == 0, load.log.failures
    assert len(load.log.records) == _served(host) - before
    assert load.log.by_version() == {4: len(load.log.records)}
    assert set(load.log.records["kind"]) == {KEPT, FRESH, SLOW}
    assert load.log.seconds(SLOW).min() >= 0.1


def test_the_number_of_requests_is_bounded(host: Server, tmp_path: Path) -> None:
    """It stops at the number it was given, and a little later at most by one a connection."""
    with Load(plan_of(host, requests=100, kept=4, fresh=0, slow=0), tmp_path) as load:
        load.wait_for(lambda counts: counts.get("all", 0) >= 100)
    assert 100 <= len(load.log.records) < 104


@pytest.mark.parametrize("mood", ["503", "reset"])
def test_each_failure_is_counted(host: Server, shelf: Shelf, tmp_path: Path, mood: str) -> None:
    """While the version misbehaves every request counts as failed, and none before or after."""
    with Load(plan_of(host, kept=2, fresh=1, slow=0), tmp_path) as load:
        load.wait_for_more(50)
        shelf.mood(shelf.ref(4), mood)
        begun = time.monotonic()
        load.wait_for(lambda counts: counts.get("failed", 0) >= 20)
        shelf.mood(shelf.ref(4), "")
        over = time.monotonic()
        load.wait_for_more(50, version=4)
    bad = load.log.records[load.log.records["status"] != 200]
    assert 20 <= len(bad) == load.log.failed
    assert bad["end"].min() >= begun
    assert bad["start"].max() <= over
    assert mood in load.log.failures[0] or "Error" in load.log.failures[0] or "500" in load.log.failures[0]


def test_times_tell_before_from_after(host: Server, tmp_path: Path) -> None:
    """A request begins before it ends, and the last start lies before the moment the load was stopped."""
    begun = time.monotonic()
    with Load(plan_of(host, kept=2, fresh=1, slow=0), tmp_path) as load:
        load.wait_for_more(50)
        middle = time.monotonic()
        load.wait_for_more(50)
    records = load.log.records
    assert begun < records["start"].min()
    assert (records["start"] < records["end"]).all()
    assert middle < load.log.last_start(4) < time.monotonic()
    assert load.log.strangers(middle, float("inf"), {5}) >= 50 - 3
    assert load.log.strangers(begun, float("inf"), {4}) == 0
    assert load.log.strangers(time.monotonic(), float("inf"), {5}) == 0
    assert load.log.last_start(5) == float("-inf")


def _served(host: Server) -> int:
    """Good answers by the host's own count."""
    import re

    text = host.client.get("/metrics").text
    found = re.findall(r'^turnout_requests_total\{.*outcome="ok".*\} ([0-9.e+]+)$', text, re.MULTILINE)
    return int(sum(float(count) for count in found))
