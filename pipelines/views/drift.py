"""Where the rows that come differ from those that a version was validated with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Fold, Grid, Heading, Line, Tone, number_text

SHOWN = 15
_TONES = {"drifting": Tone.BAD, "suspected": Tone.UNSURE, "clear": Tone.GOOD, "no reference": Tone.UNSURE}
_BEFORE = ("until (UTC)", "rows", "drifted", "highest PSI")
_COLUMNS = ("feature", "PSI", "counts from", "p", "moved", "rows", "")


@dataclass(frozen=True)
class DriftView(View):
    """The latest window of each running version of a model, its features sorted by PSI.

    Args:
        told: `model`, `settings` and `versions`, as the daemon has them.
    """

    told: Mapping[str, Any]

    def blocks(self) -> Sequence[Block]:
        """A table a version, and the windows before."""
        settings, versions = self.told["settings"], self.told["versions"]
        if not settings["is_on"]:
            return [Line(f"Nobody watches {self.told['model']} for drift: the project file says so.", Tone.UNSURE)]
        if not versions:
            return [Line(f"Nothing of {self.told['model']} runs that could be watched; `turnout deploy` starts it.")]
        return [block for ref, one in versions.items() for block in _version(ref, one, settings)]

    def document(self) -> Mapping[str, Any]:
        """`model`, `settings`, and by version `state`, `says`, `drifting`, `left_out` and `windows`."""
        return self.told


def _version(ref: str, one: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Block]:
    state = str(one["state"])
    badge = Cell(state, _TONES.get(state, Tone.PLAIN), is_badge=True)
    beside = f"held against {one['reference_rows']:,} validation rows" if one["reference_rows"] else ""
    blocks: list[Block] = [Heading(ref, badge, beside), Line(f"{one['says']}.")]
    windows = one["windows"]
    if windows:
        blocks += _window(windows[0], settings)
    if len(windows) > 1:
        blocks.append(Fold("Windows before", [Grid(_BEFORE, [_row(w) for w in windows[1:]])]))
    return [*blocks, *(Line(f"Not watched: {why}.", Tone.UNSURE) for why in one["left_out"] if windows)]


def _window(window: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Block]:
    features = window["features"]
    kept = [one for place, one in enumerate(features) if place < SHOWN or one["is_drift"]][: 2 * SHOWN]
    rows = [
        [
            Cell(str(one["feature"])),
            Cell(f"{one['psi']:.3f}", is_number=True),
            Cell(f"{one['threshold']:.3f}", is_number=True),
            Cell(_p(one["p"]), is_number=True),
            Cell("-" if one["moved"] is None else f"{one['moved']:+.2f} sd", is_number=True),
            Cell(f"{one['rows']:,}", is_number=True),
            Cell("drift", Tone.BAD, is_badge=True) if one["is_drift"] else Cell(""),
        ]
        for one in kept
    ]
    more = len(features) - len(rows)
    title = f"{window['rows']:,} rows until {_time(window['last'])} UTC"
    rest = [Line(f"and {more} more below: `--json` has all.")] if more > 0 else []
    level = number_text(100 * settings["alpha"])
    note = f"It is a drift where p, corrected for all features, is at most {level} % and the PSI at least"
    return [
        Heading(title, is_small=True),
        Grid(_COLUMNS, rows, spare=("rows", "moved")),
        *rest,
        Line(f"{note} {number_text(float(settings['min_psi']))}."),
    ]


def _row(window: Mapping[str, Any]) -> list[Cell]:
    drifted = window["drifted"]
    said = ", ".join(map(str, drifted[:3])) + (f" and {len(drifted) - 3} more" if len(drifted) > 3 else "")
    highest = max((one["psi"] for one in window["features"]), default=0.0)
    return [
        Cell(_time(window["last"])),
        Cell(f"{window['rows']:,}", is_number=True),
        Cell(said or "-", Tone.BAD if drifted else Tone.PLAIN),
        Cell(f"{highest:.3f}", is_number=True),
    ]


def _time(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S}"


def _p(value: float) -> str:
    return "1" if value >= 0.9995 else f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
