"""Views of several versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.values import ModelVersion
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Heading, Line, number_text, verdict_cell
from pipelines.views.parts import alias_text, bento_text, bytes_text

if TYPE_CHECKING:
    from pipelines.stages.prune import Pruned

_SHOWN_METRICS = 2
_VERSUS = "_vs_champion"


@dataclass(frozen=True)
class VersionsView(View):
    """A model's versions, the newest first."""

    model: str
    versions: Sequence[ModelVersion]

    def blocks(self) -> Sequence[Block]:
        """A table with a row a version."""
        if not self.versions:
            return [Line(f"{self.model} has no version yet; `turnout train {self.model}` makes the first.")]
        names = _main_metrics(self.versions)
        columns = ("version", "verdict", "aliases", *names, "bento", "created (UTC)")
        return [Grid(columns, [_row(version, names) for version in self.versions], spare=names[::-1])]

    def document(self) -> Mapping[str, Any]:
        """`model` and `versions`."""
        return {"model": self.model, "versions": [version.as_dict() for version in self.versions]}


@dataclass(frozen=True)
class PruneView(View):
    """What was removed, or would be."""

    pruned: Pruned

    def blocks(self) -> Sequence[Block]:
        """A table of the versions, and the bytes."""
        versions = self.pruned.versions
        if not versions:
            return [Line("Nothing to remove: every version is in use or among those to keep.")]
        count = f"{len(versions)} version{'s' if len(versions) > 1 else ''}"
        title = f"{count} would be removed" if self.pruned.is_dry else f"{count} removed"
        beside = "" if self.pruned.is_dry else f"{bytes_text(self.pruned.freed)} freed"
        columns = ("version", "verdict", "bento", "created (UTC)")
        rows = [[*_row(version, ())[:2], *_row(version, ())[-2:]] for version in versions]
        return [Heading(title, beside=beside), Grid(columns, rows)]

    def document(self) -> Mapping[str, Any]:
        """`removed` (REFs), `freed` (bytes) and `dry_run`."""
        removed = [str(version.ref) for version in self.pruned.versions]
        return {"removed": removed, "freed": self.pruned.freed, "dry_run": self.pruned.is_dry}


def _row(version: ModelVersion, metrics: Iterable[str]) -> list[Cell]:
    seen = (_metric(version, name) for name in metrics)
    return [
        Cell(str(version.ref)),
        verdict_cell(version.verdict),
        Cell(alias_text(version.aliases)),
        *(Cell("-" if value is None else number_text(value), is_number=True) for value in seen),
        Cell(bento_text(version.package) if version.package else "-"),
        Cell(f"{version.created:%Y-%m-%d %H:%M}"),
    ]


def _main_metrics(versions: Sequence[ModelVersion]) -> list[str]:
    """The metrics that the newest judged version's gates ask for, else those most versions have."""
    checks = next((version.report.checks for version in versions if version.report), ())
    asked = [check.name.removesuffix(_VERSUS) for check in checks if check.name != "finite_outputs"]
    counts: dict[str, int] = {}
    for version in versions:
        for name in version.metrics:
            counts[name] = counts.get(name, 0) + 1
    others = sorted(counts, key=lambda name: -counts[name])
    known = [name for name in dict.fromkeys([*asked, *others]) if any(_metric(v, name) is not None for v in versions)]
    return known[:_SHOWN_METRICS]


def _metric(version: ModelVersion, name: str) -> float | None:
    if name in version.metrics:
        return version.metrics[name]
    checks = version.report.checks if version.report else ()
    return next((check.observed for check in checks if check.name == name), None)
