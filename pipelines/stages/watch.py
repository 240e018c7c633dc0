"""watch: follow a rollout until it has ended, whoever ends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pipelines.values import Phase

if TYPE_CHECKING:
    from pipelines.ports import Operator, Reporter
    from pipelines.values import VersionRef

LOOK_SECONDS = 1.0
LONG_BAKE = timedelta(hours=1)
"""A promoted version that bakes for longer is not waited for: the judge goes on without spectators."""
SAID_AGAIN = timedelta(minutes=1)
"""How often it is said what is missing, while nothing else changes."""

Outcome = Literal["promoted", "baking", "rolled back", "called off", "stopped"]


@dataclass(frozen=True)
class Watched:
    """How a rollout ended.

    Args:
        ref: The version that was to take over.
        outcome: `promoted` is the champion, `baking` was promoted and bakes for long.
        reason: Why, as the judge or a person said it; empty where that is all.
        entry: The model's part of the status then.
    """

    ref: VersionRef
    outcome: Outcome
    reason: str
    entry: Mapping[str, Any]


def watch(
    ref: VersionRef,
    operator: Operator,
    reporter: Reporter,
    *,
    now: Callable[[], datetime],
    pause: Callable[[], None],
) -> Watched:
    """Look again and again until the rollout is over; say a line whenever its state changes.

    One that asks for a person, or that nobody judges, goes on until somebody decides.

    Args:
        ref: The version that takes over.
        operator: Who knows what runs.
        reporter: Told the lines.
        now: The time, with its zone.
        pause: Waits between two looks.

    Raises:
        TurnoutError: the runtime does not answer any more; what serves goes on.
    """
    said: tuple[Any, ...] = ()
    line, at = "", now()
    while True:
        entry = operator.status()["models"].get(ref.model, {})
        ended = how_it_ended(ref, entry, now())
        if ended is not None:
            return Watched(ref, ended, _reason(ref, ended, entry, operator), entry)
        state, words = state_of(ref, entry), line_of(ref, entry)
        if state != said or (words != line and now() - at >= SAID_AGAIN):
            said, line, at = state, words, now()
            reporter.step(words)
        pause()


def how_it_ended(ref: VersionRef, entry: Mapping[str, Any], now: datetime) -> Outcome | None:
    """What became of the version; None while its rollout is under way.

    Args:
        ref: The version.
        entry: The model's part of the status.
        now: The time, with its zone.
    """
    if entry.get("phase", Phase.EMPTY.value) == Phase.EMPTY.value:
        return "stopped"
    if str(ref) in entry["quarantined"]:
        return "rolled back"
    if entry.get("candidate") == str(ref):
        until = entry["bake_until"]
        is_long = until is not None and datetime.fromisoformat(until) - now > LONG_BAKE
        return "baking" if entry["phase"] == Phase.BAKING.value and is_long else None
    return "promoted" if entry["champion"] == str(ref) else "called off"


def state_of(ref: VersionRef, entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What of a rollout is worth a line when it changes."""
    rollout = _rollout(ref, entry)
    return (entry["phase"], _share(ref, entry), rollout.get("kind"), rollout.get("state"), rollout.get("verdict"))


def line_of(ref: VersionRef, entry: Mapping[str, Any]) -> str:
    """`digits@2 at 20 %, judging, INCONCLUSIVE: ...`, with what is still needed as the judge says it."""
    rollout, phase = _rollout(ref, entry), entry["phase"]
    where = f"{ref} bakes" if phase == Phase.BAKING.value else f"{ref} at {_share(ref, entry)} %"
    if not rollout:
        return where
    return f"{where}, {str(rollout['state']).replace('_', ' ')}, {rollout['verdict']}: {rollout['reason']}"


def _rollout(ref: VersionRef, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the judge says of this version in this phase; empty before its first look, and where nobody judges."""
    found = entry.get("rollout") or {}
    kind = "bake" if entry["phase"] == Phase.BAKING.value else "canary"
    return found if found.get("candidate") == str(ref) and found.get("kind") == kind else {}


def _share(ref: VersionRef, entry: Mapping[str, Any]) -> int:
    return int(entry["versions"].get(str(ref), {}).get("weight", 0))


def _reason(ref: VersionRef, outcome: Outcome, entry: Mapping[str, Any], operator: Operator) -> str:
    if outcome == "rolled back":
        return str(entry["quarantined"][str(ref)])
    if outcome != "called off":
        return ""
    last = next(iter(operator.history(ref.model)), None)
    return str(last["reason"] or f"{last['action']} by {last['actor']}") if last else ""
