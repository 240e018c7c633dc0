"""What the benchmark says of its numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.field import Contender
from benchmarks.load import Sample
from benchmarks.machine import Machine
from benchmarks.material import Material
from benchmarks.report import Results, missed, put
from benchmarks.server import Launch
from benchmarks.tables import MARKS, page, rates, ratios
from benchmarks.visit import CONNECTIONS, Outcome, Visit
from pipelines.errors import TurnoutError

MACHINE = Machine("a processor", 2, 8.0, "Linux", "3.11", "4.1", {"numpy": "2.4"})


def _visit(number: int, rate: float, *, ready: float = 1.0, memory: float = 60.0, failed: int = 0) -> Visit:
    samples = tuple(Sample(count, rate, 0.5, 150.4, failed) for count in CONNECTIONS)
    return Visit(number, ready, samples, memory, "PSS", memory, 1e-7)


def _outcome(name: str, *visits: Visit, not_measured: str = "") -> Outcome:
    contender = Contender(name, name.title(), f"how {name} runs", frozenset(range(5)), _never, list, list)
    return Outcome(contender, list(visits), not_measured)


def _never(_: Material) -> Launch:
    raise AssertionError("nothing is started here")


def _results(*outcomes: Outcome, busy: float = 1.0) -> Results:
    return Results("2026-01-02T03:04:05+00:00", MACHINE, 5.0, (busy, 0.0), outcomes)


def test_a_ratio_compares_within_a_round() -> None:
    """A machine that was half as fast in one round changes no ratio, and a round of one alone does not count."""
    ours = _outcome("turnout", _visit(0, 800), _visit(1, 400), _visit(2, 9000))
    bare = _outcome("bare", _visit(0, 1000), _visit(1, 500))
    assert _results(ours, bare).ratio("bare", 16) == pytest.approx(0.8)


def test_an_aim_is_met_at_its_bound() -> None:
    """0.80 of the bare limit is what was asked for."""
    results = _results(_outcome("turnout", _visit(0, 800)), _outcome("bare", _visit(0, 1000)))
    assert missed(results) == []
    assert "met" in ratios(results)
    assert "missed" not in ratios(results)


def test_a_missed_aim_is_said_for_each_number_of_connections() -> None:
    """Each sentence has what came out and what was asked for."""
    results = _results(_outcome("turnout", _visit(0, 790)), _outcome("bare", _visit(0, 1000)))
    assert missed(results)[0] == (
        "Missed: with 1 connection Turnout's host answers 0.79 times as many requests as Bare; the aim is 0.80."
    )
    assert len(missed(results)) == 3


def test_ready_memory_and_failures_have_aims_too() -> None:
    """Three seconds and 250 MB are too much already, and no request may fail."""
    said = missed(_results(_outcome("turnout", _visit(0, 1, ready=3.0, memory=250.0, failed=2))))
    assert [line.partition(":")[0] for line in said] == ["Missed"] * 3
    assert "3.0 s" in said[0]
    assert "250 MB" in said[1]
    assert "6 requests" in said[2]


def test_what_was_not_measured_is_named_with_its_reason() -> None:
    """It stands in the table, in the notes and among the aims."""
    results = _results(_outcome("turnout", _visit(0, 1)), _outcome("kserve", not_measured="no Python 3.11"))
    assert "not measured" in rates(results)
    assert missed(results) == ["Not tested against Kserve: no Python 3.11."]
    assert "Kserve: no Python 3.11." in page(results)


def test_failures_mark_a_contender() -> None:
    """A rate that leaves out refused requests says how many there were, over all rounds."""
    results = _results(_outcome("mlflow", _visit(0, 20, failed=3), _visit(1, 20, failed=4)))
    assert "20 (7 failed)" in rates(results)


def test_a_busy_machine_is_said_first() -> None:
    """Numbers from such a run are not to be relied on."""
    assert "not quiet" in page(_results(_outcome("turnout", _visit(0, 1)), busy=40.0)).splitlines()[0]
    assert "not quiet" not in page(_results(_outcome("turnout", _visit(0, 1)), busy=5.0))


def test_the_tables_take_their_place_between_the_marks(tmp_path: Path) -> None:
    """What stands around them stays, and a second run replaces the first."""
    document = tmp_path / "performance.md"
    document.write_text("before\n<!-- serving:begin -->\nold\n<!-- serving:end -->\nafter\n")
    for rate in (111, 222):
        put(page(_results(_outcome("turnout", _visit(0, rate)))), document, MARKS)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("<!-- serving:end -->\nafter\n")
    assert "222" in text
    assert "111" not in text
    assert "old" not in text


def test_a_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    """The error names the marks."""
    document = tmp_path / "performance.md"
    document.write_text("nothing here\n")
    with pytest.raises(TurnoutError, match="serving:begin"):
        put(page(_results(_outcome("turnout", _visit(0, 1)))), document, MARKS)
    assert document.read_text() == "nothing here\n"
