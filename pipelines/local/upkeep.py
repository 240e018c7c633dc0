"""Brings the target to what is recorded: after a crash, after a reboot, and ever again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from pipelines.errors import Busy, TurnoutError
from pipelines.local.engine import Engine, Request
from pipelines.local.hands import down, is_same
from pipelines.local.journal import Event, Operation
from pipelines.local.settling import event_of, look_away
from pipelines.local.turns import RECOVERY, Job
from pipelines.policy.deployment import makeshift, salvaged
from pipelines.values import Deployment, Phase, VersionRef

ACTOR = {"user": "turnout", "pid": 0, "host": ""}
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0


class Upkeep:
    """What the daemon does without being asked.

    Args:
        engine: Whose deployments these are.
        monotonic: Seconds, for the waits between attempts.
        is_watched: Whether somebody else ends the deployment's bake, by what is seen of it.
    """

    def __init__(
        self,
        engine: Engine,
        monotonic: Callable[[], float] = time.monotonic,
        is_watched: Callable[[Deployment], bool] = lambda deployment: False,  # noqa: ARG005
    ) -> None:
        self._engine = engine
        self._hands = engine.hands
        self._journal = engine.journal
        self._turns = engine.turns
        self._settler = engine.settler
        self._monotonic = monotonic
        self._is_watched = is_watched
        self._waits: dict[str, tuple[float, float]] = {}
        self._guard = threading.Lock()

    def recover(self) -> None:
        """Settle what a dead daemon left unfinished, then bring the target to what is recorded."""
        for model in sorted(self._models()):
            self.keep(model)

    def tick(self) -> list[str]:
        """End the bakes that are over and not watched; return the models that need `keep`, which may take seconds."""
        now = self._engine.clock.now()
        for deployment in self._journal.deployments():
            is_over = deployment.bake_until is not None and deployment.bake_until <= now
            if deployment.phase is Phase.BAKING and is_over and not self._is_watched(deployment):
                attempt = f"bake-{deployment.rollout}-{now.timestamp():.0f}"
                request = Request(attempt, "bake", deployment.model, {}, ACTOR)
                with suppress(TurnoutError):
                    self._engine.operate(request)
        return [model for model in sorted(self._models()) if self._is_astray(model)]

    def keep(self, model: str) -> None:
        """Bring one model's part of the target to what is recorded, unless somebody is at work on it.

        What cannot be started is tried again later, ever more seldom; the others carry its share meanwhile.
        """
        job = Job(f"{RECOVERY}-{model}", RECOVERY, model, ACTOR, self._engine.clock.now())
        try:
            self._turns.take(job, wait=False)
        except Busy:
            return
        try:
            self._settler.settle(model)
            self._converge(model, job)
        except TurnoutError:
            self._postpone(model)
        finally:
            job.after = None
            self._turns.release(job)
        # Draining may take long, and nobody need wait for it.
        with suppress(TurnoutError):
            self._stop_strays(model)

    def _converge(self, model: str, job: Job) -> None:
        recorded = self._recorded(model)
        job.after, job.steps, job.says = recorded, 1, "bring back what was live"
        failed: TurnoutError | None = None
        for ref in self._by_need(recorded):
            if ref in down(recorded, self._hands.health(model)) and not self._is_given_up(ref):
                try:
                    self._hands.start(ref, recorded.replicas.get(ref, 1), look_away)
                except TurnoutError as error:
                    failed = error
            # Each version that is back takes its part before the next is waited for.
            self._turns.check(job)
            self._settler.route(recorded)
        if failed is not None:
            self._note(recorded, failed)
            raise failed
        with self._guard:
            self._waits.pop(model, None)

    def _stop_strays(self, model: str) -> None:
        for ref in sorted(self._hands.strays(model, frozenset(self._hands.health(model)))):
            self._hands.stop_unwanted(ref)

    def _recorded(self, model: str) -> Deployment:
        """What is recorded; when the record was lost while versions serve on, what the target shows."""
        recorded = self._journal.deployment(model)
        seen = self._hands.target.split(model)
        if recorded == Deployment(model) and seen is not None and seen.weights:
            recorded = salvaged(seen)
            at = self._engine.clock.now()
            operation = Operation(
                f"salvage-{model}-{at.timestamp():.6f}", "recovered", model, ACTOR, {}, at, 1, 1, "", recorded, recorded
            )
            event = event_of(operation, "recovered", "no record of it was left", at)
            self._journal.intend(operation)
            self._journal.finish(operation.id, "done", at, after=recorded, event=event)
        return recorded

    def _is_astray(self, model: str) -> bool:
        if self._turns.holder(model) is not None or self._waits_for(model):
            return False
        if any(operation.model == model for operation in self._journal.unfinished()):
            return True
        recorded, health = self._journal.deployment(model), self._hands.health(model)
        missing = [ref for ref in recorded.running if ref not in health]
        if missing or self._hands.strays(model, frozenset(health)):
            return True
        split = makeshift(recorded, frozenset(health))
        return not is_same(self._hands.target.split(model), split)

    def _is_given_up(self, ref: VersionRef) -> bool:
        """Whether its supervisor stopped trying: then a person has to decide."""
        seen = self._hands.health(ref.model).get(ref)
        return seen is not None and seen.health == "failed"

    def _by_need(self, recorded: Deployment) -> list[VersionRef]:
        """The running versions, the one with the most traffic first."""
        weights = recorded.split.weights if recorded.split else {}
        return sorted(recorded.running, key=lambda ref: (-weights.get(ref, 0), ref != recorded.champion, ref))

    def _models(self) -> set[str]:
        models = {deployment.model for deployment in self._journal.deployments()}
        models |= {operation.model for operation in self._journal.unfinished()}
        return models | {ref.model for ref in self._hands.target.health()}

    def _waits_for(self, model: str) -> bool:
        with self._guard:
            return self._waits.get(model, (0.0, 0.0))[0] > self._monotonic()

    def _postpone(self, model: str) -> None:
        with self._guard:
            wait = min(max(self._waits.get(model, (0.0, 0.0))[1] * 2, FIRST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)
            self._waits[model] = (self._monotonic() + wait, wait)

    def _note(self, recorded: Deployment, error: TurnoutError) -> None:
        event = Event(
            self._engine.clock.now(), recorded.model, "turnout", "not brought back", "", "", error.what, error.as_dict()
        )
        with suppress(TurnoutError):
            self._journal.note(event)
