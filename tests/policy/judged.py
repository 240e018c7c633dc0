"""Evidence of two versions, and what the gates say of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.policy.gates import judge
from pipelines.values import (
    Check,
    Comparison,
    Evidence,
    GateReport,
    Gates,
    Threshold,
    VersionRef,
)

NEW = VersionRef("m", 2)
OLD = VersionRef("m", 1)


def evidence(metrics: dict[str, float] | None = None, **table: Any) -> Evidence:
    """What a validation run logged."""
    return Evidence("run", metrics or {}, table)


def threshold(gate: Threshold, logged: Evidence) -> Check:
    """The one check of that gate."""
    return find(judge(NEW, Gates(thresholds=(gate,)), logged, None), gate.metric)


def compare(gate: Comparison, ours: Evidence, theirs: Evidence) -> Check:
    """The one check of that comparison."""
    return find(judge(NEW, Gates(comparisons=(gate,)), ours, (OLD, theirs)), f"{gate.metric}_vs_champion")


def find(report: GateReport, name: str) -> Check:
    """The check of that name."""
    return next(check for check in report.checks if check.name == name)


def classified(right: np.ndarray, **more: Any) -> Evidence:
    """A binary classifier's table from which rows it got right."""
    labels = np.arange(len(right)) % 2
    return evidence(label=labels, prediction=np.where(right, labels, 1 - labels), **more)
