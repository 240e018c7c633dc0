"""A sweep, run by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.values.sweeps import RunStatus, Sweep, SweepRun
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Heading, Line, Tone, number_text, verdict_cell
from pipelines.views.parts import checks_blocks

if TYPE_CHECKING:
    from pipelines.stages.sweep import Swept

SHOWN = 40
"""Rows of the table: those under way, failed or best come first when there are more."""
_TONES = {
    RunStatus.WAITING: Tone.PLAIN,
    RunStatus.RUNNING: Tone.UNSURE,
    RunStatus.DONE: Tone.GOOD,
    RunStatus.REUSED: Tone.PLAIN,
    RunStatus.FAILED: Tone.BAD,
}


@dataclass(frozen=True)
class SweepBoard(View):
    """A sweep under way."""

    sweep: Sweep

    def blocks(self) -> Sequence[Block]:
        """How many runs are through, and the table."""
        runs = self.sweep.runs
        over = sum(run.status.is_over or run.status is RunStatus.FAILED for run in runs)
        return [Heading(f"{self.sweep.model}: {over} of {len(runs)} runs", is_small=True), *table_blocks(self.sweep)]

    def document(self) -> Mapping[str, Any]:
        """As `Sweep.as_dict`."""
        return self.sweep.as_dict()


@dataclass(frozen=True)
class SweepView(View):
    """A sweep that came to its end; its `str` is the best version's REF."""

    swept: Swept

    @property
    def ok(self) -> bool:
        """Whether there is a best version and its gates passed."""
        return self.swept.best is not None and self.swept.is_passed

    def blocks(self) -> Sequence[Block]:
        """The table, the gates of the best, and what comes next."""
        sweep, version = self.swept.sweep, self.swept.best
        title = f"{sweep.model}: {len(sweep.runs)} runs by {sweep.by}, {sweep.better} is better"
        if version is None:
            return [Heading(title), *table_blocks(sweep), Line("No run led to a version.", Tone.BAD)]
        blocks: list[Block] = [Heading(title), *table_blocks(sweep)]
        blocks.append(Heading(f"The best: {version.ref}", verdict_cell(version.verdict), is_small=True))
        if version.report is not None and version.report.checks:
            blocks += checks_blocks(version.report.checks)
        after = f"Next: `turnout package {version.ref}` makes a bento of it." if self.ok else "A gate did not pass."
        return [*blocks, Line(after)]

    def document(self) -> Mapping[str, Any]:
        """The sweep with `ok` and `best`, the best version with its `checks`."""
        version = self.swept.best
        checks = [check.as_dict() for check in version.report.checks] if version and version.report else []
        best = {**version.as_dict(), "checks": checks} if version else None
        return {**self.swept.sweep.as_dict(), "ok": self.ok, "best": best}

    def __str__(self) -> str:
        return str(self.swept.best.ref) if self.swept.best else self.swept.sweep.model


def table_blocks(sweep: Sweep) -> list[Block]:
    """A row a run: what varies, where it stands, and the metric."""
    names = list(dict.fromkeys(name for run in sweep.runs for name in run.texts))
    shown = sorted(sweep.runs, key=_rank)[:SHOWN] if len(sweep.runs) > SHOWN else sweep.runs
    shown = sorted(shown, key=lambda run: run.number)
    rows = [_row(run, names) for run in shown]
    remarks = [(f"run {run.number}", run.says) for run in shown if run.says and run.status is not RunStatus.WAITING]
    columns = ["run", "with", "status", "version", sweep.by, "seconds", "memory"]
    more = len(sweep.runs) - len(shown)
    rest: list[Block] = [Line(f"and {more} more: `--json` has all.")] if more else []
    return [Grid(columns, rows, remarks, spare=("memory", "seconds")), *rest]


def _row(run: SweepRun, names: Sequence[str]) -> list[Cell]:
    given = " ".join(f"{name}={run.texts[name]}" for name in names if name in run.texts)
    return [
        Cell(str(run.number), is_number=True),
        Cell(given),
        Cell(run.status.value, _TONES[run.status], is_badge=True),
        Cell(run.ref or "-"),
        Cell("-" if run.value is None else number_text(run.value), is_number=True),
        Cell(f"{run.seconds:.1f}" if run.seconds else "-", is_number=True),
        Cell(f"{run.memory_mb:.0f} MB" if run.memory_mb else "-", is_number=True),
    ]


def _rank(run: SweepRun) -> tuple[int, int]:
    order = (RunStatus.RUNNING, RunStatus.FAILED, RunStatus.DONE, RunStatus.REUSED, RunStatus.WAITING)
    return order.index(run.status), run.number
