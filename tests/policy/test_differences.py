"""What differs between two versions: values, directions, cells."""

from __future__ import annotations

import math

import pytest

from pipelines.policy.differences import CellChange, Change, compare, compare_cells, directions
from pipelines.values import Check, Comparison, GateReport, Gates, Threshold, Verdict, VersionRef


def test_only_what_differs_is_named_and_the_rest_is_counted() -> None:
    """In the order of the left values, then what only the right one has."""
    compared = compare({"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 4, "d": 5})
    assert compared.changes == (Change("b", 2, None), Change("c", 3, 4), Change("d", None, 5))
    assert compared.equal == 1


@pytest.mark.parametrize(("left", "right"), [(True, 1), (1, 1.0), (0.1, math.nan), ("1", 1), (math.inf, -math.inf)])
def test_values_of_two_kinds_differ(left: object, right: object) -> None:
    """For a notebook `True` and `1` are two parameters, though Python finds them equal."""
    assert len(compare({"x": left}, {"x": right}).changes) == 1


def test_a_number_that_is_none_twice_is_equal() -> None:
    """NaN in both is no difference."""
    assert compare({"x": math.nan}, {"x": math.nan}).equal == 1


def test_better_follows_the_direction_and_only_that() -> None:
    """Higher or lower as told; nobody can say for an unknown metric, a missing or an infinite one."""
    left = {"accuracy": 0.9, "loss": 0.3, "odd": 1.0, "gone": 1.0, "wild": 1.0}
    right = {"accuracy": 0.8, "loss": 0.2, "odd": 2.0, "wild": math.inf}
    better = compare(left, right, {"accuracy": "higher", "loss": "lower", "gone": "lower", "wild": "lower"})
    assert [change.is_better for change in better.changes] == [False, True, None, None, None]


def test_gates_tell_the_direction() -> None:
    """A bound on one side does, one on both sides does not; a comparison's word counts, and its evidence."""
    gates = Gates(
        (Threshold("accuracy", min=0.9), Threshold("loss", max=1.0), Threshold("mean", min=0.0, max=1.0)),
        (Comparison("cost", 0.1, better="lower"), Comparison("roc_auc", 0.1)),
    )
    ref = VersionRef("digits", 1)
    report = GateReport(ref, (Check("roc_auc_vs_champion", Verdict.PASS, 0.0, "", {"better": "higher"}),))
    found = directions(gates, (None, report))
    assert found == {"accuracy": "higher", "loss": "lower", "cost": "lower", "roc_auc": "higher"}


def test_a_changed_cell_is_shown_by_its_lines() -> None:
    """With its numbers on both sides; a line that begins with dashes is not taken for a file's name."""
    left = ["import a", "x = 1\n-- y\nz = 3"]
    right = ["import a", "x = 1\nz = 3"]
    (change,) = compare_cells(left, right)
    assert (change.left, change.right) == (2, 2)
    assert change.lines == ("@@ -1,3 +1,2 @@", " x = 1", "--- y", " z = 3")


def test_new_and_removed_cells_stand_whole() -> None:
    """What came has plus signs, what went minus signs, and what only moved is not named."""
    came = compare_cells(["a", "b"], ["new\nlines", "a", "b"])
    assert came == (CellChange(None, 1, ("+new", "+lines")),)
    assert compare_cells(["a", "b"], ["b"]) == (CellChange(1, None, ("-a",)),)


def test_unrelated_cells_in_one_place_are_not_mixed() -> None:
    """Two cells with nothing in common are one that went and one that came."""
    changes = compare_cells(["import a\nrun(a)"], ["x = 5\nprint(x)"])
    assert [(change.left, change.right) for change in changes] == [(1, None), (None, 1)]


def test_equal_notebooks_have_no_change() -> None:
    """Nor has one without cells."""
    assert compare_cells(["a"], ["a"]) == ()
    assert compare_cells([], []) == ()
