"""The room of live figures, with a clock of our own; and the reading of a host's histogram."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import BadInput
from pipelines.local.figures import ATTENTION_SECONDS, EVENTS, IDLE_PAUSE, Figures
from pipelines.local.service_times import ServiceTimes, parse
from pipelines.serving.metrics import SECONDS, Metrics, render
from pipelines.values import Manifest, VersionRef
from pipelines.values.figures import Counted
from tests.local.live import eventually, world
from tests.serving.bentos import TENSOR

REF = "digits@7"


class Watched:
    """A room, its clock and what is counted."""

    def __init__(self) -> None:
        self.now, self.counted, self.reads = 0.0, {REF: Counted()}, 0
        self.figures = Figures(self._read, lambda model, count: [{"model": model, "count": count}], lambda: self.now)

    def _read(self) -> dict[str, Counted]:
        self.reads += 1
        return dict(self.counted)

    def pass_seconds(self, seconds: int, rate: float = 0.0, failing: float = 0.0) -> None:
        """Let the daemon's loop run, under such a load."""
        for _ in range(seconds):
            self.now += 1
            before = self.counted[REF]
            self.counted = {REF: Counted(before.requests + rate, before.failures + failing, {0.01: 1e9})}
            self.figures.tick()

    def ask(self) -> dict[str, Any]:
        """What a client is told of the version."""
        found: dict[str, Any] = self.figures.answer({"model": "digits"})["versions"].get(REF, {})
        return found


def test_rates_shares_and_history() -> None:
    """Live rates are of the last 10 s, shares of the last minute, and the history goes back five minutes."""
    watched = Watched()
    watched.pass_seconds(400, rate=20, failing=2)
    watched.pass_seconds(30, rate=5)
    found = watched.ask()
    assert found["requests_per_second"] == pytest.approx(5.0)
    assert found["failures_per_second"] == 0.0
    assert found["failed_share"] == pytest.approx(60 / (30 * 20 + 30 * 5), rel=0.01)
    assert found["requests"] == 400 * 20 + 30 * 5
    history = found["history"]["requests_per_second"]
    assert len(history) == 60
    assert history[0] == pytest.approx(20.0)
    assert history[-1] == pytest.approx(5.0)
    assert json.loads(json.dumps(found)) == found


def test_the_first_question_is_answered_from_what_was_seen_before() -> None:
    """Nobody watched, and yet the last seconds are known: the daemon looks now and then by itself."""
    watched = Watched()
    watched.pass_seconds(30, rate=10)
    assert watched.ask()["requests_per_second"] == pytest.approx(10.0)


def test_nobody_watching_costs_little() -> None:
    """A look every five seconds; one a second for as long as somebody asks, and no more for asking often."""
    watched = Watched()
    watched.pass_seconds(100)
    assert watched.reads == pytest.approx(100 / IDLE_PAUSE, abs=1)
    before = watched.reads
    for _ in range(10):
        watched.pass_seconds(1)
        for _ in range(5):
            watched.now += 0.01
            watched.ask()
    assert watched.reads - before == pytest.approx(10, abs=1)
    watched.pass_seconds(int(ATTENTION_SECONDS))
    before = watched.reads
    watched.pass_seconds(100)
    assert watched.reads - before == pytest.approx(100 / IDLE_PAUSE, abs=1)


def test_other_models_are_left_out_and_events_come_along() -> None:
    """A model whose name is the beginning of another's is not mixed up with it."""
    watched = Watched()
    watched.counted = {REF: Counted(), "digits-2@1": Counted(), "credit@1": Counted()}
    found = watched.figures.answer({"model": "digits"})
    assert set(found["versions"]) == {REF}
    assert found["events"] == [{"model": "digits", "count": EVENTS}]
    assert watched.figures.answer({"model": "nobody"})["versions"] == {}
    with pytest.raises(BadInput, match="the question names it"):
        watched.figures.answer({})


def test_the_histogram_of_a_real_host_is_read() -> None:
    """As the host writes it: each bucket alone, and when the process began."""
    metrics = Metrics()
    for seconds in (0.00005, 0.0002, 0.0002, 0.3, 60.0):
        metrics.seconds.add(seconds)
    found = parse(render(metrics, Manifest(VersionRef("digits", 7), "onnx", TENSOR), "host-1").decode())
    assert found is not None
    started, counts = found
    assert float(started) == pytest.approx(metrics.started_at, abs=1)
    assert list(counts) == [*SECONDS, float("inf")]
    assert {bound: count for bound, count in counts.items() if count} == {
        0.0001: 1,
        0.00025: 2,
        0.5: 1,
        float("inf"): 1,
    }


@pytest.mark.parametrize(
    "text", ["", "nonsense", 'turnout_request_seconds_bucket{le="x"} 1', "turnout_process_start_time_seconds 1"]
)
def test_what_is_no_histogram_is_nothing(text: str) -> None:
    """A host of another make serves all the same."""
    assert parse(text) is None


def test_a_host_that_does_not_say_costs_no_figure_but_its_times(tmp_path: Path) -> None:
    """Requests and failures come from the gateway; a host without metrics, or that is gone, has no quantiles."""
    with world(tmp_path / "project") as live:
        live.start(1)
        live.route((1, 100))
        live.ask_many(5)
        live.behave(1, "503")
        live.ask_many(2)
        eventually(lambda: live.target.counted()["digits@1"].failures == 2, "both failures in the log")
        counted = live.target.counted()["digits@1"]
        assert (counted.requests, counted.seconds) == (7, {})
    assert ServiceTimes().read({VersionRef("digits", 1): (str(tmp_path / "gone.sock"),)}) == {
        VersionRef("digits", 1): {}
    }
