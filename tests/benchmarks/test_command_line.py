"""The benchmark of the command line runs the real commands, and hears when their request comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.command_line import DOCS, MARKS, Contender, contenders, measure, page
from benchmarks.report import put
from pipelines.errors import TurnoutError


def test_a_rollback_asks_before_it_ends() -> None:
    """The stand-in for the daemon notes when it was asked: after the process began, long before its answer is shown."""
    ours = [contender for contender in contenders() if "rollback" in contender.title]
    measure(ours, 1)
    asked, ended = (contender.took for contender in ours)
    assert asked[0] > 0
    assert ended[0] > 0


def test_the_table_has_median_and_slowest(tmp_path: Path) -> None:
    """The table stands between its marks in the documentation, and a busy machine is told."""
    docs = tmp_path / "performance.md"
    docs.write_text(DOCS.read_text(encoding="utf-8"), encoding="utf-8")
    text = page([Contender("a command", ["true"], took=[100.0, 102.0, 4000.0])], busy=55)
    put(text, docs, MARKS)
    between = docs.read_text(encoding="utf-8").partition(MARKS[0])[2].partition(MARKS[1])[0]
    assert "| a command | 102 | 3,922 |" in between
    assert "55 %" in between
    docs.write_text("no marks", encoding="utf-8")
    with pytest.raises(TurnoutError, match="no place"):
        put(text, docs, MARKS)
