"""What becomes of an operation whose daemon died in the middle of it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from pipelines.errors import StorageFailed, TurnoutError
from pipelines.local.hands import Hands, down, is_same, up
from pipelines.local.journal import Event, Journal, Operation
from pipelines.local.turns import Turns, who
from pipelines.policy.deployment import makeshift, plan
from pipelines.ports import Clock
from pipelines.values import Deployment, Moment, Phase

FRESH = timedelta(minutes=1)


class Settler:
    """Finishes or undoes operations without an outcome that nobody is at work on.

    Args:
        hands: The target.
        journal: Where the operations are.
        turns: Who is at work.
        clock: What time it is.
    """

    def __init__(self, hands: Hands, journal: Journal, turns: Turns, clock: Clock) -> None:
        self._hands = hands
        self._journal = journal
        self._turns = turns
        self._clock = clock
        self._alone = threading.Lock()

    def settle(self, model: str, by: str = "") -> None:
        """Finish or undo what is left of a model's operations; the caller has the model's turn.

        Args:
            model: The model.
            by: The caller's own operation. It is settled too: one that is in the journal already was begun by a daemon
                that is dead, and its client asks again.

        A rollback is finished in any case. Of the others, those are finished whose split the target reports already:
        nobody was told that they succeeded, so going back is as good, and safer when the traffic never moved.

        Raises:
            TurnoutError: the journal or the target failed; the next call tries again.
        """
        with self._alone:
            active = {job.id for job in self._turns.active()} - {by}
            for operation in self._journal.unfinished():
                if operation.model == model and operation.id not in active:
                    self._settle(operation)

    def route(self, recorded: Deployment) -> None:
        """Route what is recorded, as far as its versions run."""
        running = frozenset(self._hands.health(recorded.model))
        split = makeshift(recorded, running)
        if split is not None and not is_same(self._hands.target.split(recorded.model), split):
            self._hands.route(split, recorded.running & running)

    def _settle(self, operation: Operation) -> None:
        now = self._journal.deployment(operation.model)
        # Otherwise another operation was recorded since: a rollback came first.
        is_current = now == operation.before
        moved = is_same(self._hands.target.split(operation.model), operation.after.split)
        if is_current and (operation.verb == "rollback" or moved):
            try:
                return self._finish(operation)
            except StorageFailed:
                raise
            except TurnoutError:
                # What it led to does not run any more: what was before may.
                self.route(now)
        gone = TurnoutError(
            f"{operation.verb} of {operation.model} was undone: the daemon ended in the middle of it",
            then=f"`turnout status {operation.model}` shows what serves; call again.",
        )
        at = self._clock.now()
        event = event_of(operation, "recovered", gone.what, at)
        return self._journal.finish(operation.id, "undone", at, error=gone, event=event)

    def _finish(self, operation: Operation) -> None:
        after = operation.after
        health = self._hands.health(operation.model)
        starts = plan(operation.before, after, down(after, health)).start
        for ref in sorted(frozenset(starts) - up(health)):
            self._hands.start(ref, starts[ref], look_away)
        if after.split is not None:
            self._hands.route(after.split, after.running & (frozenset(health) | frozenset(starts)))
        at = self._clock.now()
        event = event_of(operation, operation.verb, "finished by a new daemon", at)
        self._journal.finish(operation.id, "done", at, after=after, event=event, messages=champion_moved(operation))


def event_of(operation: Operation, action: str, reason: str, at: Moment) -> Event:
    """A line of history about an operation."""
    before, after = operation.before, operation.after
    gained = sorted(after.running - before.running)
    target = after.candidate or (gained[0] if gained else after.champion)
    return Event(
        at=at,
        model=operation.model,
        actor=who(operation.actor),
        action=action,
        source=str(before.candidate or before.champion or ""),
        target=str(target or ""),
        reason=reason,
        evidence={
            "operation": operation.id,
            "seconds": round((at - operation.started).total_seconds(), 3),
            "before": before.split.as_dict()["weights"] if before.split else {},
            "after": after.split.as_dict()["weights"] if after.split else {},
            **({"judge": operation.arguments["evidence"]} if operation.arguments.get("evidence") else {}),
        },
    )


def is_fresh_rollback(last: Operation | None, now: Deployment, at: Moment) -> bool:
    """Whether the model is as a rollback of the last minute has left it."""
    is_its = last is not None and last.verb == "rollback" and last.after == now
    return is_its and last is not None and timedelta(0) <= at - last.started < FRESH


def champion_moved(operation: Operation) -> dict[str, dict[str, Any]]:
    """What the registry has to be told: the new champion."""
    champion = operation.after.champion
    if champion is None or champion == operation.before.champion or operation.after.phase is Phase.EMPTY:
        return {}
    return {"champion": {"ref": str(champion)}}


def look_away(text: str) -> None:
    """Take progress that nobody watches."""
    del text
