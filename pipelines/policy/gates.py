"""Judges a version by its gates.

A gate never passes for want of evidence: a metric that nobody logged fails its threshold, and a comparison without
enough rows is inconclusive. Only a comparison without any champion passes, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from pipelines.policy.intervals import Interval, mcnemar, paired, paired_auc
from pipelines.policy.metrics import (
    BETTER,
    NotThere,
    aggregate,
    area_under_curve,
    derivable,
    derived,
    finite_rows,
    improves,
    is_root,
    per_row,
    positives,
)
from pipelines.policy.tables import FloatArray, Table
from pipelines.values import (
    Check,
    Comparison,
    Evidence,
    GateReport,
    Gates,
    ServingGates,
    ServingMeasure,
    Threshold,
    Verdict,
    VersionRef,
)

FEW_ROWS = 30
"""With fewer rows a comparison is not attempted."""
FINITE = "finite_outputs"
"""The check that is made of every table of predictions, whatever the project file says."""
_MANY_ROWS = 10_000_000


# What overflows is not finite, and is judged as that; NumPy need not say it a second time.
@np.errstate(over="ignore", invalid="ignore")
def judge(
    ref: VersionRef, gates: Gates, candidate: Evidence, champion: tuple[VersionRef, Evidence] | None
) -> GateReport:
    """Judge a version by what its validation run logged.

    Thresholds look at the metric that the notebook logged, else at the one that its table of predictions gives:

    - `accuracy`, `log_loss`, `brier`, `mae`, `mse`, `rmse`, `roc_auc`, as scikit-learn defines them;
    - `finite_share`: the share of rows whose outputs are all there and finite;
    - `top_class_share`: the share of the most frequent prediction; `distinct_predictions`: how many there are;
    - `mean_confidence`: the mean of each row's largest probability;
    - `mean_`, `std_`, `min_`, `max_` and a column of numbers or booleans (0 and 1), such as `mean_prediction`. Text
      has no mean: for labels that are text `mean_prediction` fails, and the note says what to ask for instead;
    - `rows`: how many rows the table has.

    Comparisons look at the paired rows of both tables. The difference is counted as an improvement: positive is better
    whichever way the metric goes. It passes when the whole interval lies above -margin, fails when the whole interval
    lies below, and is inconclusive otherwise.

    Args:
        ref: The version.
        gates: What is asked of it.
        candidate: What its validation logged.
        champion: The version to compare with and what the same validation logged for it; None when there is none.
    """
    table = Table(candidate.predictions)
    checks = [_finite(table)] if table else []
    checks += [_threshold(gate, candidate.metrics, table) for gate in gates.thresholds]
    if champion is None or champion[0] == ref:
        said = "no champion yet: nothing to compare with" if champion is None else f"{ref} is the champion itself"
        return GateReport(ref, (*checks, *(_alone(gate, table, said) for gate in gates.comparisons)))
    other = Table(champion[1].predictions)
    unpaired = _unpaired(table, other)
    checks += [_comparison(gate, table, other, unpaired) for gate in gates.comparisons]
    return GateReport(ref, tuple(checks), champion[0])


def judge_serving(ref: VersionRef, gates: ServingGates, measure: ServingMeasure) -> GateReport:
    """Judge the packaged bento by what it needed; the report has the gates that are set, and no others."""
    found = []
    for name in ("latency_p95_ms", "start_seconds", "memory_mb"):
        bound, seen = getattr(gates, name), float(getattr(measure, name))
        if bound is not None:
            verdict = Verdict.PASS if math.isfinite(seen) and seen <= bound else Verdict.FAIL
            requests = {"requests": measure.requests} if name == "latency_p95_ms" else {}
            found.append(
                Check(f"serving.{name}", verdict, seen, f"<= {bound:g}", {"min": None, "max": bound, **requests})
            )
    return GateReport(ref, tuple(found))


def _finite(table: Table) -> Check:
    required = "all finite"
    if not table.rows:
        return Check(FINITE, Verdict.FAIL, None, required, note="the table of predictions has no rows")
    try:
        sound = finite_rows(table)
    except NotThere as error:
        return Check(FINITE, Verdict.FAIL, None, required, note=str(error))
    share, broken = float(np.mean(sound)), int(np.sum(~sound))
    evidence = {"rows": table.rows, "broken_rows": broken}
    if not broken:
        return Check(FINITE, Verdict.PASS, share, required, evidence)
    row = int(np.argmin(sound))
    column = next(name for name, column in table.outputs.items() if not column.is_finite[row])
    note = f"{broken} of {table.rows} rows have none, the first is {column} in row {row}"
    return Check(FINITE, Verdict.FAIL, share, required, evidence, note)


def _threshold(gate: Threshold, logged: Mapping[str, float], table: Table) -> Check:
    required = _bounds(gate)
    own, why = _derived(gate.metric, table)
    seen = logged.get(gate.metric, own)
    if seen is None:
        return Check(gate.metric, Verdict.FAIL, None, required, note=_unknown(gate.metric, why, logged, table))
    seen = float(seen)
    source = "logged" if gate.metric in logged else "derived from the table of predictions"
    evidence = {"source": source, "min": gate.min, "max": gate.max}
    if not math.isfinite(seen):
        return Check(gate.metric, Verdict.FAIL, seen, required, evidence, f"it is {seen}, which is no finite number")
    above = gate.min is None or seen >= gate.min
    below = gate.max is None or seen <= gate.max
    note = ""
    # A notebook that logs one thing and predicts another deserves a look, though each may be right on its own rows.
    if gate.metric in logged and gate.metric in BETTER and own is not None and not _is_close(seen, own):
        note = f"logged as {seen:.4g}, but the table of predictions gives {own:.4g}"
    return Check(gate.metric, Verdict.PASS if above and below else Verdict.FAIL, seen, required, evidence, note)


def _derived(metric: str, table: Table) -> tuple[float | None, str]:
    try:
        return derived(metric, table), ""
    except NotThere as error:
        return None, str(error)


def _is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-3)


def _unknown(metric: str, why: str, logged: Iterable[str], table: Table) -> str:
    known = sorted(logged)
    near = get_close_matches(metric, [*known, *(derivable(table) if table.rows else [])], n=1)
    said = f"the notebook logged {', '.join(known)}" if known else "the notebook logged no metric"
    return "; ".join(part for part in ("not logged", why, said, f"did you mean {near[0]}?" if near else "") if part)


def _unpaired(ours: Table, theirs: Table) -> str:
    """Why the rows of the two tables cannot be compared one by one; empty when they can."""
    for whose, table in (("this version's", ours), ("the champion's", theirs)):
        if not table:
            return f"{whose} validation logged no table of predictions"
    if ours.rows != theirs.rows:
        return f"the tables differ in length: {ours.rows} rows, the champion's has {theirs.rows}"
    if ours.rows < FEW_ROWS:
        return f"{ours.rows} rows are too few: a comparison needs at least {FEW_ROWS}"
    if set(ours.labels) != set(theirs.labels):
        odd = min(set(ours.labels) ^ set(theirs.labels))
        return f"only one of the tables has the column {odd}"
    names = [*ours.labels, *(["row"] if "row" in ours.columns and "row" in theirs.columns else [])]
    for name in names:
        same = ours.columns[name].is_same_as(theirs.columns[name])
        if not same.all():
            return f"not the same held-out rows: {name} differs in row {int(np.argmin(same))}"
    return ""


def _alone(gate: Comparison, table: Table, said: str) -> Check:
    """A comparison without a champion; what would keep the next version from being compared is said right away."""
    try:
        _values(gate.metric, table)
    except NotThere as error:
        said = f"{said}; but later versions cannot be compared either: {error}"
    return Check(_name(gate), Verdict.PASS, None, _required(gate), note=said)


def _values(metric: str, table: Table) -> FloatArray:
    """What a comparison looks at, a number per row."""
    return positives(table)[1] if metric == "roc_auc" else per_row(metric, table)


def _comparison(gate: Comparison, ours: Table, theirs: Table, unpaired: str) -> Check:
    name, required = _name(gate), _required(gate)
    if unpaired:
        return Check(name, Verdict.INCONCLUSIVE, None, required, note=unpaired)
    try:
        interval, evidence = _difference(gate, ours, theirs)
    except NotThere as error:
        return Check(name, Verdict.INCONCLUSIVE, None, required, note=str(error))
    if interval.low > -gate.margin:
        verdict, note = Verdict.PASS, ""
    elif interval.high < -gate.margin:
        verdict, note = Verdict.FAIL, "worse than the champion by more than the margin"
    else:
        verdict, note = Verdict.INCONCLUSIVE, _how_many(gate, interval, ours.rows)
    return Check(name, verdict, interval.estimate, required, evidence, note)


def _difference(gate: Comparison, ours: Table, theirs: Table) -> tuple[Interval, dict[str, Any]]:
    """The improvement over the champion with its interval, and the evidence."""
    metric = gate.metric
    higher = (gate.better or improves(metric)) == "higher"
    if gate.better is None and improves(metric) is None:
        raise NotThere(f'nobody said which way {metric} improves; better = "higher" or "lower" in the gate does')
    if metric == "roc_auc":
        positive, scores = positives(ours)
        others = _values(metric, theirs)
        _refuse_broken(metric, scores, others)
        interval = paired_auc(positive, scores, others, gate.confidence)
        values = area_under_curve(positive, scores), area_under_curve(positive, others)
        extra: dict[str, Any] = {"positives": int(positive.sum())}
    else:
        mine, its = _values(metric, ours), _values(metric, theirs)
        _refuse_broken(metric, mine, its)
        interval = paired(mine, its, gate.confidence, root=is_root(metric))
        values = aggregate(metric, mine), aggregate(metric, its)
        extra = _discordant(mine, its) if metric.startswith("accuracy") else {}
    interval = interval if higher else interval.mirrored()
    evidence = {
        "candidate": values[0],
        "champion": values[1],
        "better": "higher" if higher else "lower",
        "improvement": interval.estimate,
        "interval": [interval.low, interval.high],
        "confidence": gate.confidence,
        "margin": gate.margin,
        "method": interval.method,
        "resamples": interval.resamples,
        "rows": ours.rows,
        **extra,
    }
    return interval, evidence


def _refuse_broken(metric: str, ours: FloatArray, theirs: FloatArray) -> None:
    for whose, values in (("this version's", ours), ("the champion's", theirs)):
        sound = np.isfinite(values)
        if not sound.all():
            raise NotThere(
                f"{whose} {metric} is not finite in {int(np.sum(~sound))} rows, the first {np.argmin(sound)}"
            )


def _discordant(ours: FloatArray, theirs: FloatArray) -> dict[str, Any]:
    only_ours, only_theirs = int(np.sum(ours > theirs)), int(np.sum(theirs > ours))
    return {
        "only_candidate_right": only_ours,
        "only_champion_right": only_theirs,
        "mcnemar_p": mcnemar(only_ours, only_theirs),
    }


def _how_many(gate: Comparison, interval: Interval, rows: int) -> str:
    """About how many rows would decide: an interval's width goes with one over the root of the rows."""
    gap = interval.estimate + gate.margin
    reach = interval.estimate - interval.low if gap > 0 else interval.high - interval.estimate
    needed = rows * (reach / gap) ** 2 if gap else math.inf
    if interval.low == interval.high or needed > _MANY_ROWS:
        return f"the difference lies on the margin: more rows than these {rows} would hardly decide"
    unit = 10 ** max(0, math.floor(math.log10(max(needed, 1))) - 1)
    about = max(math.ceil(needed / unit) * unit, rows + 1)
    return f"{rows} rows do not decide; about {about:,} would, if the difference stays as it is"


def _name(gate: Comparison) -> str:
    return f"{gate.metric}_vs_champion"


def _required(gate: Comparison) -> str:
    return f"> {-gate.margin:g} ({gate.confidence * 100:g} %)"


def _bounds(gate: Threshold) -> str:
    if gate.min is None:
        return f"<= {gate.max:g}"
    if gate.max is None:
        return f">= {gate.min:g}"
    return f"{gate.min:g} to {gate.max:g}"
