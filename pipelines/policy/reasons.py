"""What has changed since a stage ran, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

from pipelines.values import Dependencies, Parameter

MANY = 4
"""More reasons than these are counted instead of listed."""


def changes(before: Dependencies | None, now: Dependencies) -> tuple[str, ...]:
    """Every part that differs, such as `cell 4 changed`; empty when none does.

    Args:
        before: The parts when the stage ran; None where that was not recorded.
        now: The parts as they are.
    """
    if before is None:
        return ()
    return (
        *_cells(before.cells, now.cells),
        *_named("", before.inputs, now.inputs),
        *_named("module ", before.modules, now.modules),
        *_named("", before.lock, now.lock),
        *_named("", before.upstream, now.upstream),
        *parameter_changes(before.parameters, now.parameters),
    )


def parameter_changes(before: Mapping[str, Parameter], now: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Every parameter that differs, such as `parameter epochs 2 -> 4`; to a notebook 1 and 1.0 are two values."""
    said = []
    for name in {**before, **now}:
        if name not in before:
            said.append(f"parameter {name} is new ({now[name]!r})")
        elif name not in now:
            said.append(f"parameter {name} is gone (it was {before[name]!r})")
        elif (type(before[name]), before[name]) != (type(now[name]), now[name]):
            said.append(f"parameter {name} {before[name]!r} -> {now[name]!r}")
    return tuple(said)


def told(reasons: Iterable[str]) -> str:
    """The reasons as one text, those beyond the first few counted."""
    known = list(reasons)
    shown = ", ".join(known[:MANY])
    return f"{shown} and {len(known) - MANY} more" if len(known) > MANY else shown


def _cells(before: tuple[str, ...], now: tuple[str, ...]) -> list[str]:
    """Cells are numbered from 1 among those with code, the way they stand now; removed ones the way they stood."""
    said: list[str] = []
    for kind, old, old_end, new, new_end in SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        changed = min(old_end - old, new_end - new)
        said += [f"cell {number + 1} changed" for number in range(new, new + changed)]
        said += [f"cell {number + 1} is new" for number in range(new + changed, new_end)]
        said += [f"cell {number + 1} is gone" for number in range(old + changed, old_end)]
    return said


def _named(kind: str, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    said = [f"{kind}{name} changed" for name in now if name in before and before[name] != now[name]]
    said += [f"{kind}{name} is new" for name in now if name not in before]
    return said + [f"{kind}{name} is gone" for name in before if name not in now]
