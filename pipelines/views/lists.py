"""Views of several versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipelines.values import ModelVersion
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Grid, Heading, Line, Tone, number_text, verdict_cell
from pipelines.views.parts import age_text, alias_text, bento_text, bytes_text

if TYPE_CHECKING:
    from pipelines.stages.prune import Pruned

SHOWN = 25
"""Rows of a table of versions, at most, apart from those that run or have an alias."""
_SHOWN_METRICS = 3
_SHOWN_PARAMETERS = 4
_LONGEST_VALUE = 48
_VERSUS = "_vs_champion"


@dataclass(frozen=True)
class VersionsView(View):
    """A model's versions, the newest first.

    Args:
        model: The model.
        versions: Its versions.
        running: What runs: `role` and `weight` (percent) by REF, as the status has them.
        now: For the ages; without it the table has none.
        since: The revision of the code that they are not older than.
    """

    model: str
    versions: Sequence[ModelVersion]
    running: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    now: datetime | None = None
    since: str = ""

    def blocks(self) -> Sequence[Block]:
        """A table with a row a version, bounded; whatever runs or has an alias is in it."""
        if not self.versions and self.since:
            return [Line(f"{self.model} has no version that was trained at or after {self.since}.")]
        if not self.versions:
            return [Line(f"{self.model} has no version yet; `turnout train {self.model}` makes the first.")]
        shown = [version for place, version in enumerate(self.versions) if place < SHOWN or self._is_marked(version)]
        metrics, parameters = main_metrics(self.versions), _varying(shown)
        ages = ("age",) if self.now else ()
        columns = ["version", "verdict", "marks", *metrics, *(["differs in"] if parameters else []), "bento", *ages]
        rows = [self._row(version, metrics, parameters) for version in shown]
        spare = ("created (UTC)" if ages else "", "bento", *metrics[:0:-1], "differs in")
        more = len(self.versions) - len(shown)
        rest = [Line(f"and {more} more: `--json` has all.")] if more else []
        return [Grid([*columns, "created (UTC)"], rows, spare=spare), *rest]

    def document(self) -> Mapping[str, Any]:
        """`model` and `versions`."""
        return {"model": self.model, "versions": [version.as_dict() for version in self.versions]}

    def marks(self, version: ModelVersion) -> str:
        """`champion 90 %, latest`: the aliases, and what the version does where it runs."""
        seen = self.running.get(str(version.ref))
        if seen is None:
            return alias_text(version.aliases)
        share = f" {seen['weight']} %" if seen["weight"] else ""
        others = alias_text(alias for alias in version.aliases if alias.value != seen["role"])
        return f"{seen['role']}{share}{', ' if others else ''}{others}"

    def _is_marked(self, version: ModelVersion) -> bool:
        return bool(version.aliases) or str(version.ref) in self.running

    def _row(self, version: ModelVersion, metrics: Sequence[str], parameters: Sequence[str]) -> list[Cell]:
        seen = (metric(version, name) for name in metrics)
        age = [Cell(age_text((self.now - version.created).total_seconds()), is_number=True)] if self.now else []
        return [
            Cell(str(version.ref)),
            verdict_cell(version.verdict),
            Cell(self.marks(version)),
            *(Cell("-" if value is None else number_text(value), is_number=True) for value in seen),
            *([Cell(_parameters(version, parameters))] if parameters else []),
            _bento(version),
            *age,
            _created(version),
        ]


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
        rows = [
            [Cell(str(version.ref)), verdict_cell(version.verdict), _bento(version), _created(version)]
            for version in versions[:SHOWN]
        ]
        more = len(versions) - len(rows)
        rest = [Line(f"and {more} more: `--json` has all.")] if more else []
        return [Heading(title, beside=beside), Grid(("version", "verdict", "bento", "created (UTC)"), rows), *rest]

    def document(self) -> Mapping[str, Any]:
        """`removed` (REFs), `freed` (bytes) and `dry_run`."""
        removed = [str(version.ref) for version in self.pruned.versions]
        return {"removed": removed, "freed": self.pruned.freed, "dry_run": self.pruned.is_dry}


def main_metrics(versions: Sequence[ModelVersion]) -> list[str]:
    """The metrics that the newest judged version's gates ask for, then those most versions have."""
    checks = next((version.report.checks for version in versions if version.report), ())
    asked = [check.name.removesuffix(_VERSUS) for check in checks if check.name != "finite_outputs"]
    counts: dict[str, int] = {}
    for version in versions:
        for name in version.metrics:
            counts[name] = counts.get(name, 0) + 1
    others = sorted(counts, key=lambda name: -counts[name])
    known = [name for name in dict.fromkeys([*asked, *others]) if any(metric(v, name) is not None for v in versions)]
    return known[:_SHOWN_METRICS]


def metric(version: ModelVersion, name: str) -> float | None:
    """What was logged, or else what the gate of that name saw."""
    if name in version.metrics:
        return version.metrics[name]
    checks = version.report.checks if version.report else ()
    return next((check.observed for check in checks if check.name == name), None)


def _varying(versions: Sequence[ModelVersion]) -> list[str]:
    """The parameters that are not the same in all of the versions."""
    names = dict.fromkeys(name for version in versions for name in version.parameters)
    return [name for name in names if len({repr(version.parameters.get(name)) for version in versions}) > 1]


def _parameters(version: ModelVersion, names: Sequence[str]) -> str:
    values = [f"{name}={_clipped(version.parameters[name])}" for name in names if name in version.parameters]
    more = [f"and {len(values) - _SHOWN_PARAMETERS} more"] if len(values) > _SHOWN_PARAMETERS else []
    return " ".join([*values[:_SHOWN_PARAMETERS], *more])


def _clipped(value: object) -> str:
    text = number_text(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def _bento(version: ModelVersion) -> Cell:
    package = version.package
    if package is None:
        return Cell("-")
    text = bento_text(package)
    return Cell(f"{text}, forced", Tone.UNSURE) if package.forced else Cell(text)


def _created(version: ModelVersion) -> Cell:
    return Cell(f"{version.created:%Y-%m-%d %H:%M}")
