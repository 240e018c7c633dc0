"""The results as Markdown that also reads well in a terminal, and their place in the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.machine import QUIET_PERCENT
from benchmarks.report import (
    MEMORY_AIM_MB,
    OURS,
    RATE_AIMS,
    READY_AIM_SECONDS,
    Results,
    medians,
    missed,
    times,
)
from benchmarks.visit import CONNECTIONS, Outcome

MARKS = ("<!-- serving:begin -->", "<!-- serving:end -->")


def page(results: Results) -> str:
    """All of it: where, both tables, what was missed, what was measured."""
    parts = [_where(results), rates(results), _notes(results), ratios(results), *missed(results), _how(results)]
    return "\n\n".join(part for part in parts if part)


def rates(results: Results) -> str:
    """Requests a second, latencies, start and memory of each contender."""
    head = [
        "",
        *(f"req/s, {count} conn." for count in CONNECTIONS),
        *(f"p50 / p99 ms, {count}" for count in CONNECTIONS),
        "ready s",
        "MB",
    ]
    return _table(head, [_rates_row(outcome) for outcome in results.outcomes])


def _rates_row(outcome: Outcome) -> list[str]:
    title = outcome.contender.title
    if not outcome.visits:
        return [title, *["not measured"] * len(CONNECTIONS), *["-"] * (len(CONNECTIONS) + 2)]
    found = medians(outcome)
    samples = [found[str(count)] for count in CONNECTIONS]
    return [
        title,
        *(f"{each['rate']:,.0f}" + (f" ({each['failed']:,} failed)" if each["failed"] else "") for each in samples),
        *(f"{_short(each['p50_ms'])} / {_short(each['p99_ms'])}" for each in samples),
        f"{found['ready_seconds']:.1f}",
        f"{found['memory_mb']:.0f}",
    ]


def ratios(results: Results) -> str:
    """How many times as many requests Turnout's host answers, and the aims."""
    rows = []
    for outcome in results.outcomes:
        aim = RATE_AIMS.get(outcome.contender.name)
        found = [results.ratio(outcome.contender.name, count) for count in CONNECTIONS]
        if aim is not None and None not in found:
            seen = [ratio for ratio in found if ratio is not None]
            met = sum(ratio >= aim for ratio in seen)
            verdict = {0: "missed", len(seen): "met"}.get(met, "met in part")
            rows.append([f"{outcome.contender.title}", *map(times, seen), f"{times(aim)} or more", verdict])
    ours = results.of(OURS)
    if ours is not None:
        mine = medians(ours)
        for what, value, aim, unit in (
            ("seconds until ready", mine["ready_seconds"], READY_AIM_SECONDS, "s"),
            ("memory", mine["memory_mb"], MEMORY_AIM_MB, "MB"),
        ):
            shown = f"{value:.1f}" if unit == "s" else f"{value:.0f}"
            verdict = "met" if value < aim else "missed"
            rows.append([what, f"{shown} {unit}", "", "", f"under {aim:.0f} {unit}", verdict])
    head = ["Turnout's host, as a multiple of", *(f"{count} conn." for count in CONNECTIONS), "aim", ""]
    return _table(head, rows)


def _where(results: Results) -> str:
    here = results.machine
    packages = ", ".join(f"{name} {number}" for name, number in here.packages.items())
    said = (
        f"{results.date[:10]}, {here.processor}, {here.cores} cores (shared with the client), {here.memory_gb:.0f} GB, "
        f"{here.system}; Python {here.python}, {packages}, wrk {here.wrk}."
    )
    busiest = max(results.busy)
    if busiest > QUIET_PERCENT:
        said += f" **The machine was not quiet: others used {busiest:.0f} % of it. Do not rely on these numbers.**"
    return said


def _notes(results: Results) -> str:
    kinds = sorted({visit.memory_kind for outcome in results.outcomes for visit in outcome.visits})
    rounds = ", ".join(f"{each.contender.title} {len(each.visits)}" for each in results.outcomes if each.visits)
    worst = max((visit.largest_difference for each in results.outcomes for visit in each.visits), default=0.0)
    said = (
        f"Medians over rounds ({rounds}); a press of load lasts {results.seconds:.0f} s. Memory: {' or '.join(kinds)} "
        f"of the process and all its descendants after the load. All answers were compared with Keras' own first; the "
        f"largest difference was {worst:.1g}. A ratio is the median of the ratios within a round."
    )
    reasons = [f"{each.contender.title}: {each.not_measured}." for each in results.outcomes if each.not_measured]
    return "\n\n".join([said, *([f"Not measured, or not in all rounds: {' '.join(reasons)}"] if reasons else [])])


def _how(results: Results) -> str:
    lines = []
    for outcome in results.outcomes:
        numbers = outcome.contender.versions() if outcome.visits else {}
        packages = ", ".join(f"{name} {number}" for name, number in numbers.items())
        lines.append(f"- **{outcome.contender.title}**: {outcome.contender.how}{f' ({packages})' if packages else ''}.")
    return "What was measured:\n\n" + "\n".join(lines)


def _short(value: float) -> str:
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_line(head, widths), _line(rule, widths), *(_line(row, widths) for row in rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return f"| {' | '.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])} |"
