"""How sure the change of a metric is between two versions that answered the same held-out rows."""

from __future__ import annotations

import math
from dataclasses import replace

from pipelines.policy.differences import Change, Compared
from pipelines.policy.gates import judge
from pipelines.values import Comparison, Evidence, Gates, VersionRef

CONFIDENCE = 0.95
"""Of the intervals."""


def with_intervals(
    compared: Compared, left: tuple[VersionRef, Evidence], right: tuple[VersionRef, Evidence]
) -> Compared:
    """The changes of metrics, each with its interval where the rows of both versions tell one.

    Rows are compared as the gates compare them with a champion. A metric that the tables give differently than the
    notebooks logged it has none: it was measured on something else.

    Args:
        compared: The metrics that differ.
        left: One version and what its validation logged.
        right: The other one.
    """
    names = [change.name for change in compared.changes if change.left is not None and change.right is not None]
    # With "higher" an improvement is the change itself.
    gates = Gates(comparisons=tuple(Comparison(name, 0.0, CONFIDENCE, better="higher") for name in names))
    found = {check.name: check.evidence for check in judge(right[0], gates, right[1], left).checks}

    def told(change: Change) -> Change:
        evidence = found.get(f"{change.name}_vs_champion", {})
        if "interval" not in evidence:
            return change
        is_its = _is_close(evidence["champion"], change.left) and _is_close(evidence["candidate"], change.right)
        low, high = evidence["interval"]
        return replace(change, interval=(low, high)) if is_its else change

    return Compared(tuple(told(change) for change in compared.changes), compared.equal)


def _is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
