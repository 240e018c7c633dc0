"""How sure a change of a metric is."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.policy.differences import Compared, compare
from pipelines.policy.sureness import with_intervals
from pipelines.values import Evidence, VersionRef

LEFT, RIGHT = VersionRef("prices", 1), VersionRef("prices", 2)
ROWS = 200
DICE = np.random.default_rng(7)
LABELS = DICE.normal(10.0, 2.0, ROWS)


def evidence(off: float, metrics: dict[str, float] | None = None, labels: np.ndarray = LABELS) -> Evidence:
    """A regression that is off by about so much in each row, by turns above and below."""
    errors = off * (1.0 + 0.1 * np.sin(np.arange(ROWS)))
    table = {"label": labels, "prediction": labels + errors * np.where(np.arange(ROWS) % 2, 1, -1)}
    return Evidence("run", {"mae": float(np.mean(errors))} if metrics is None else metrics, table)


def changes(left: Evidence, right: Evidence) -> Compared:
    """With how sure they are; less is better."""
    return with_intervals(compare(left.metrics, right.metrics, {"mae": "lower"}), (LEFT, left), (RIGHT, right))


def test_the_interval_is_of_the_change_itself() -> None:
    """Also where less is better: right minus left, and not the improvement."""
    (change,) = changes(evidence(1.0), evidence(0.5)).changes
    assert change.interval is not None
    low, high = change.interval
    assert low < change.right - change.left < high < 0
    assert (change.is_better, change.may_be_chance) == (True, False)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (evidence(1.0, {"mae": 3.0}), evidence(0.5)),
        (evidence(1.0), evidence(0.5, {"mae": 0.1})),
        (evidence(1.0), evidence(0.5, labels=LABELS + 1.0)),
        (evidence(1.0, {"cost": 3.0}), evidence(0.5, {"cost": 2.0})),
        (evidence(1.0, {"mae": 3.0}), evidence(0.5, {"cost": 2.0})),
        (Evidence("run", {"mae": 3.0}), Evidence("run", {"mae": 2.0})),
    ],
    ids=["logged of other rows", "logged of other rows, right", "other rows", "no such column", "one alone", "no rows"],
)
def test_what_the_rows_do_not_tell_has_none(left: Evidence, right: Evidence) -> None:
    """A change is shown all the same; nobody says of it that it is sure, or that it is not."""
    found = changes(left, right)
    assert [change.name for change in found.changes] == [*left.metrics, *(set(right.metrics) - set(left.metrics))]
    assert all(change.interval is None and not change.may_be_chance for change in found.changes)
