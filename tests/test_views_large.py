"""Views of a great deal: nothing breaks, and what is left out is said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipelines.policy.differences import compare, compare_cells
from pipelines.stages.prune import Pruned
from pipelines.values import Alias, Check, GateReport, Verdict, VersionRef
from pipelines.views import DiffView, HistoryView, PruneView, ReportView, StatusView, VersionsView, VersionView, View
from pipelines.views.blocks import Bar, Cell, Grid, Scale, Tone
from pipelines.views.drawing import FINE, PLAIN, bar_svg, bar_text, scale_svg, scale_text
from pipelines.views.html import render as html_of
from pipelines.views.text import render as text_of
from tests.fakes import running
from tests.view_examples import difference, entry, history, versions

LONG_NAME = "m" + "o" * 62 + "l"
WIDTHS = pytest.mark.parametrize("width", [60, 80, 120])


def fits(view: View, width: int) -> str:
    """The text, no line of which is wider than that."""
    said = view.text(width)
    assert max(map(cell_len, said.splitlines())) <= width
    return said


def thousand() -> VersionsView:
    """A thousand versions; the 7th is the champion, the 3rd has a share."""
    (one, *_) = versions("cnn")
    made = [
        replace(
            one,
            ref=VersionRef("digits", number),
            aliases=frozenset({Alias.CHAMPION} if number == 7 else ()),
            parameters={f"p{name}": number * name for name in range(30)},
            metrics={f"m{name}": number / (name + 1) for name in range(50)},
        )
        for number in range(1000, 0, -1)
    ]
    return VersionsView("digits", made, {"digits@3": running(10, "canary")})


@WIDTHS
def test_a_thousand_versions_are_bounded(width: int) -> None:
    """The newest 25 and whatever runs or has an alias; the rest is counted, and JSON has all."""
    view = thousand()
    said = fits(view, width)
    assert "digits@976" in said
    assert "digits@975" not in said
    assert "digits@7 " in said
    assert "canary 10 %" in said
    assert "and 973 more: `--json` has all." in said
    assert view.html().count("<tr>") <= 30
    assert len(view.json()["versions"]) == 1000


def test_a_thousand_removed_versions_are_bounded() -> None:
    """As those of the list."""
    view = PruneView(Pruned(tuple(thousand().versions), 5, is_dry=True))
    assert "1000 versions would be removed" in fits(view, 80)
    assert "and 975 more" in view.text()
    assert len(view.json()["removed"]) == 1000


@WIDTHS
def test_a_long_name_is_shown_in_full(width: int) -> None:
    """64 letters in every table: they are broken into lines rather than cut off."""
    refs = {f"{LONG_NAME}@{number}": running(50, "canary") for number in (1, 2)}
    status = StatusView({"models": {LONG_NAME: {**entry("x"), "versions": refs}}})
    said = "".join(fits(status, width).split())
    assert f"{LONG_NAME}@2" in said
    assert said.count("canary") >= 2
    assert status.html().count(f"{LONG_NAME}@2") >= 2


@WIDTHS
def test_a_reason_of_two_thousand_characters_is_whole(width: int) -> None:
    """In text wrapped at words, in HTML as it is."""
    reason = " ".join(f"word{number}" for number in range(280))
    assert len(reason) > 2000
    view = HistoryView("digits", history(reason))
    said = fits(view, width)
    assert "word279" in said
    assert reason in view.html()


@WIDTHS
def test_forty_gates_have_a_row_each(width: int) -> None:
    """None is left out, however narrow the terminal."""
    checks = tuple(
        Check(f"gate_number_{number}", Verdict.FAIL, number / 7, ">= 3", {"min": 3.0, "max": None}, f"note {number}")
        for number in range(40)
    )
    (one, *_) = versions("cnn")
    view = ReportView(one, GateReport(one.ref, checks))
    said = fits(view, width)
    assert all(f"gate_number_{number}" in said for number in range(40))
    assert view.html().count("<svg") == 40


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 0.0])
@pytest.mark.parametrize("bound", [0.0, 0.9, 1e308, -1e308])
def test_every_number_can_be_judged_and_shown(value: float, bound: float) -> None:
    """What is not finite is written out and not drawn; the largest numbers are drawn within the picture."""
    low = Check("low", Verdict.FAIL, value, ">= 1", {"min": bound, "max": None})
    both = Check("both", Verdict.FAIL, value, ">= 1", {"min": min(bound, 1.0), "max": max(bound, 1.0)})
    compared = Check("versus", Verdict.FAIL, value, "> 1", {"interval": [value, value], "margin": abs(bound)})
    broken = Check("broken", Verdict.FAIL, 1.0, "> 1", {"interval": [math.nan, value], "margin": 0.0})
    (one, *_) = versions("cnn")
    view = ReportView(replace(one, metrics={"x": value}), GateReport(one.ref, (low, both, compared, broken)))
    fits(view, 80)
    assert "nan" in view.html() if math.isnan(value) else True
    assert ("<svg" in view.html()) is math.isfinite(value)
    fits(VersionView(view.version), 80)
    fits(VersionsView("digits", [view.version]), 80)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBERS, st.none() | NUMBERS, st.none() | NUMBERS, st.none() | st.tuples(NUMBERS, NUMBERS), st.integers(14, 60))
def test_a_scale_is_drawn_within_its_frame(
    value: float, low: float | None, high: float | None, interval: tuple[float, float] | None, width: int
) -> None:
    """Whatever the numbers are: as many characters as there is room for, and one mark for the number."""
    scale = Scale(value, low, high, tuple(sorted(interval)) if interval else None)  # type: ignore[arg-type]
    assert all(0 <= scale.place(point) <= 1 for point in scale.points)
    for marks in (FINE, PLAIN):
        drawn = scale_text(scale, width, marks)
        assert len(drawn) == width
        assert drawn.count(marks.value) == 1
    assert "nan" not in scale_svg(scale, Tone.GOOD)


def test_a_close_miss_looks_close() -> None:
    """0.248 with at most 0.25 allowed lies beside the bound; 0.1 does not."""
    near, far = Scale(0.248, None, 0.25), Scale(0.1, None, 0.25)
    assert near.place(0.25) - near.place(0.248) < 0.1
    assert far.place(0.25) - far.place(0.1) > 0.3


@given(st.lists(st.floats(), max_size=12), st.integers(12, 80))
@example([1e30, 1e30, 1e30, 1e30, 1.0, 1.0, 1.0, 1.0, 1.0], 12)
def test_a_bar_is_as_long_as_asked(shares: list[float], width: int) -> None:
    """Every share that is more than nothing has a place; odd numbers have none."""
    bar = Bar("traffic", [(f"digits@{number}", share) for number, share in enumerate(shares)])
    drawn, named = bar_text(bar, width, PLAIN)
    real = sum(math.isfinite(share) and share > 0 for share in shares)
    assert len(drawn) == (width if real else 0)
    assert len(named) == len(shares)
    assert "nan" not in bar_svg(bar)


def test_a_small_share_is_seen() -> None:
    """1 % has a mark of its own in text and in the picture."""
    bar = Bar("traffic", [("digits@1", 99.0), ("digits@2", 1.0)])
    drawn, named = bar_text(bar, 40, FINE)
    assert drawn == "█" * 39 + "▒"
    assert named == ["█ digits@1 99 %", "▒ digits@2 1 %"]


def test_a_great_many_changes_are_bounded() -> None:
    """Forty rows and forty lines of a cell at most; JSON has all."""
    left, right, _ = versions("cnn")
    found = replace(
        difference(left, right, "cnn"),
        parameters=compare({f"p{number}": 1 for number in range(500)}, {}),
        cells=compare_cells(["a"], ["\n".join(f"line{number}" for number in range(500))]),
    )
    view = DiffView(found)
    said = fits(view, 80)
    assert "and 460 more" in said
    assert "and 460 more lines" in said
    assert len(view.json()["parameters"]["changes"]) == 500


def test_a_history_past_a_hundred_events_is_bounded() -> None:
    """The latest hundred; the rest is counted."""
    events: list[dict[str, Any]] = history("x") * 30
    said = fits(HistoryView("digits", events), 80)
    assert "and 50 more" in said


WORDS = st.text(max_size=60)


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=6), st.integers(40, 130))
def test_any_table_fits(rows: list[tuple[str, str, str]], width: int) -> None:
    """As a table or, where there is no room for one, row by row."""
    cells = [[Cell(one), Cell(two, is_number=True), Cell(three, is_badge=True)] for one, two, three in rows]
    grid = Grid(("one", "two", "three"), cells, [(rows[0][0], rows[0][1])])
    said = text_of([grid], width)
    assert max(map(cell_len, said.splitlines()), default=0) <= width
    html_of([grid]).encode("utf-8", "surrogatepass")
