"""Carries out operations: intent, start, route, record, stop; whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, Protocol

from pipelines.errors import BadInput, Refused, StorageFailed, TurnoutError
from pipelines.local.failpoints import failpoint
from pipelines.local.hands import Hands, down, up
from pipelines.local.journal import Journal, Operation
from pipelines.local.settling import Settler, champion_moved, event_of, is_fresh_rollback
from pipelines.local.turns import Job, Turns, who
from pipelines.policy.deployment import (
    Plan,
    after_bake,
    after_deploy,
    after_down,
    after_promote,
    after_rollback,
    after_undo,
    after_up,
    check_bento,
    plan,
)
from pipelines.ports import Catalogue, Clock, Target
from pipelines.values import Deployment, HostHealth, Moment, Rollout, Split, Sticky, VersionRef, read_ref

VERBS = ("deploy", "promote", "rollback", "undo", "down", "up", "bake")


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for.

    Args:
        id: Unique; the same one again is the same operation, and gets its outcome.
        verb: One of `VERBS`.
        model: The model.
        arguments: deploy: `ref`, `share`, `sticky`, `replicas`, `force`, `reason`; promote: `ref`; rollback: `to`,
            `reason`, `quarantine`; all: `dry_run`, and `generation` of the split that it is about: when another one is
            in force by then, or somebody is at work, it is refused. Each may be left out, but deploy's `ref`.
        actor: `user`, `pid` and `host` of who asks.
        wait: Whether to wait for a turn.
    """

    id: str
    verb: str
    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    actor: Mapping[str, Any] = field(default_factory=dict)
    wait: bool = False

    def ref(self, name: str) -> VersionRef | None:
        """An argument that names a version of the model.

        Raises:
            BadInput: it names none, or another model's.
        """
        text = self.arguments.get(name)
        if text is None:
            return None
        ref = read_ref(str(text))
        if ref.model != self.model:
            raise BadInput(f"{ref} is no version of {self.model}")
        return ref


@dataclass(frozen=True, slots=True)
class Step:
    """How far an operation has come: step `number` of `of`."""

    number: int
    of: int
    says: str


@dataclass(frozen=True, slots=True)
class Done:
    """What an operation led to.

    Args:
        deployment: As it is now.
        steps: What was done, or would be, in words.
        changed: Whether anything was.
    """

    deployment: Deployment
    steps: tuple[str, ...] = ()
    changed: bool = False


class Watcher(Protocol):
    """Who follows an operation; `done` comes when the traffic has moved and it is recorded, before old hosts drain."""

    def step(self, step: Step) -> None:
        """It has come to another step."""

    def done(self, done: Done) -> None:
        """It has succeeded."""


class Nobody:
    """A watcher that does not look."""

    def step(self, step: Step) -> None:
        """Look away."""

    def done(self, done: Done) -> None:
        """Look away."""


class Engine:
    """One project's operations; safe for threads.

    Args:
        target: Where versions run.
        catalogue: Packaged versions.
        journal: Where deployments and operations are recorded.
        clock: What time it is.
        rollout: How a model's versions take over; raises NoSuchModel.
        available_mb: Memory the machine can give, 10^6 bytes.
        reach: Called with the name of each point that an operation comes to; the tests crash there.
    """

    def __init__(
        self,
        target: Target,
        catalogue: Catalogue,
        journal: Journal,
        clock: Clock,
        rollout: Callable[[str], Rollout],
        available_mb: Callable[[], float] = lambda: float("inf"),
        reach: Callable[[str], None] = failpoint,
    ) -> None:
        self.turns = Turns()
        self.journal = journal
        self.clock = clock
        self.hands = Hands(target, catalogue, journal, self.turns, available_mb)
        self.settler = Settler(self.hands, journal, self.turns, clock)
        self._rollout = rollout
        self._reach = reach

    def operate(self, request: Request, watcher: Watcher | None = None) -> Done:
        """Carry out an operation, or find that it is done already.

        Raises:
            BadInput: the verb or an argument is wrong.
            NoSuchModel: the project has no such model.
            Busy: somebody else is at work on the model.
            Refused: a rule forbids it, or a rollback came first.
            ServeFailed: a version did not start; the live one is untouched.
            StorageFailed: the disk is full or read-only; the live version is untouched.
            Interrupted: it was cancelled.
        """
        watcher = watcher or Nobody()
        known = self.journal.operation(request.id)
        if known is not None and known.outcome is not None:
            return self._outcome(known, watcher)
        if request.verb not in VERBS:
            raise BadInput(f"there is no operation {request.verb!r}", instead=f"there are {', '.join(VERBS)}")
        self._rollout(request.model)
        subject = request.ref("to" if request.verb == "rollback" else "ref")
        if request.arguments.get("dry_run"):
            done = self._rehearse(request)
            watcher.done(done)
            return done
        job = Job(request.id, request.verb, request.model, request.actor, self.clock.now(), subject)
        job.gives_way = "generation" in request.arguments
        # One that a daemon left behind is being settled: whoever asks again wants to know how.
        incoming = self.turns.take(job, wait=request.wait or known is not None)
        try:
            return self._carry_out(request, job, incoming, watcher)
        finally:
            self.turns.release(job)

    def cancel(self, operation: str) -> bool:
        """Ask an operation to stop; False when it is done, unknown, or its traffic has begun to move."""
        return self.turns.cancel(operation)

    def _carry_out(self, request: Request, job: Job, incoming: VersionRef | None, watcher: Watcher) -> Done:
        self._reach(f"{job.verb}.accepted")
        self.settler.settle(job.model, by=job.id)
        known = self.journal.operation(job.id)
        if known is not None:
            return self._outcome(known, watcher)
        before = self.journal.deployment(job.model)
        health = self.hands.health(job.model)
        gone = down(before, health)
        after = self._decide(request, before, health, incoming)
        way = plan(before, after, gone)
        if after == before and not way.start:
            if request.verb == "rollback":
                watcher.step(Step(1, 1, f"nothing to do: {before.champion} serves; --to REF goes further back"))
            done = Done(before)
            watcher.done(done)
            return done
        self.hands.check_memory(way.start, before)
        job.after, job.steps, job.says = after, len(way.steps()), way.steps()[0]
        intent = (job.id, job.verb, job.model, job.actor, request.arguments, job.started, 1, job.steps, job.says)
        operation = Operation(*intent, before, after)
        self.turns.check(job)
        self.journal.intend(operation)
        try:
            self._reach(f"{job.verb}.intended")
            self._start(job, way, watcher)
            self.turns.commit(job)
            self._move(operation, job, way, (after.running & frozenset(health)) | frozenset(way.start), watcher)
        except Exception as error:
            raise self._put_back(operation, job, error, before.running & frozenset(health)) from error
        done = Done(after, tuple(way.steps()), changed=True)
        watcher.done(done)
        self._reach(f"{job.verb}.recorded")
        # Whoever comes next need not wait until old requests have been answered.
        job.after = None
        self.turns.release(job)
        self._stop(job, way.stop)
        return done

    def _rehearse(self, request: Request) -> Done:
        before, health = self.journal.deployment(request.model), self.hands.health(request.model)
        after = self._decide(request, before, health, None)
        way = plan(before, after, down(before, health))
        changes = after != before or bool(way.start)
        return Done(after, tuple(way.steps()) if changes else (), changes)

    def _decide(
        self,
        request: Request,
        now: Deployment,
        health: Mapping[VersionRef, HostHealth],
        incoming: VersionRef | None,
    ) -> Deployment:
        rollout, given, healthy = self._rollout(request.model), request.arguments, up(health)
        if "generation" in given and given["generation"] != (now.split.generation if now.split else 0):
            raise Refused(
                f"the split of {now.model} has changed meanwhile", instead="what was judged is not so any more"
            )
        reason = str(given.get("reason") or "")
        match request.verb:
            case "deploy":
                return self._deploy(request, now, health, reason)
            case "promote":
                bake = self._bake_until(rollout)
                return after_promote(
                    now,
                    request.ref("ref"),
                    bake_until=bake,
                    healthy=healthy,
                    holdback=rollout.holdback,
                    keep=rollout.keep,
                )
            case "rollback":
                to = request.ref("to")
                if to is not None and to not in now.running:
                    # A person names it: a version that failed its gates may be the lesser evil.
                    check_bento(to, self.hands.bento(to), forced=reason or "rollback")
                return after_rollback(
                    now,
                    to,
                    healthy=healthy,
                    reason=reason or f"rolled back by {who(request.actor)}",
                    quarantine=bool(given.get("quarantine", True)),
                    incoming=incoming,
                    is_fresh=is_fresh_rollback(self.journal.last(now.model), now, self.clock.now()),
                )
            case "undo":
                return after_undo(now, healthy)
            case "down":
                return after_down(now)
            case "up":
                return after_up(now)
            case _:
                return after_bake(now, rollout.keep) if now.candidate in healthy else now

    def _deploy(
        self, request: Request, now: Deployment, health: Mapping[VersionRef, HostHealth], reason: str
    ) -> Deployment:
        rollout, given = self._rollout(request.model), request.arguments
        ref = request.ref("ref")
        if ref is None:
            raise BadInput("deploy names no version")
        if given.get("force") and not reason:
            raise BadInput("a forced deploy needs a reason", then="Add --reason TEXT; it is recorded.")
        forced = reason if given.get("force") else ""
        if ref not in now.running:
            check_bento(ref, self.hands.bento(ref), forced)
        share = given.get("share")
        sticky = given.get("sticky")
        return after_deploy(
            now,
            ref,
            share=rollout.steps[0] if share is None else share,
            rollout=request.id,
            bake_until=self._bake_until(rollout),
            sticky=Sticky(_sticky_kind(sticky.get("kind")), str(sticky.get("name")), "") if sticky else None,
            replicas=given.get("replicas"),
            keep=rollout.keep,
            # One without a process left is started again first.
            healthy=up(health) | (down(now, health) & {ref}),
            forced=forced,
        )

    def _bake_until(self, rollout: Rollout) -> Moment | None:
        return self.clock.now() + timedelta(minutes=rollout.bake_minutes) if rollout.bake_minutes else None

    def _start(self, job: Job, way: Plan, watcher: Watcher) -> None:
        for ref, replicas in way.start.items():
            self.turns.check(job)
            self._step(job, f"start {ref}", watcher)
            self._reach(f"{job.verb}.starting")

            def progress(text: str, ref: VersionRef = ref) -> None:
                self.turns.check(job)
                job.says = f"start {ref}: {text}"
                watcher.step(Step(job.step, job.steps, job.says))

            self.hands.start(ref, replicas, progress)
            self._reach(f"{job.verb}.started")

    def _move(
        self, operation: Operation, job: Job, way: Plan, running: frozenset[VersionRef], watcher: Watcher
    ) -> None:
        if way.route is not None:
            self._step(job, way.steps()[job.step], watcher)
            self._reach(f"{job.verb}.routing")
            self.hands.route(way.route, running)
            self._reach(f"{job.verb}.routed")
        at, reason = self.clock.now(), str(operation.arguments.get("reason") or "")
        event = event_of(operation, operation.verb, reason, at)
        self.journal.finish(
            operation.id, "done", at, after=operation.after, event=event, messages=champion_moved(operation)
        )

    def _step(self, job: Job, says: str, watcher: Watcher) -> None:
        job.step, job.says = job.step + 1, says
        # The intent named the first one already; each record waits for the disk.
        if job.step > 1:
            self.journal.step(job.id, job.step, says)
        watcher.step(Step(job.step, job.steps, says))

    def _put_back(
        self, operation: Operation, job: Job, error: Exception, running: frozenset[VersionRef]
    ) -> TurnoutError:
        """Undo what was begun, and return the error to raise."""
        failure = error if isinstance(error, TurnoutError) else _unexpected(operation, error)
        if operation.verb == "rollback" and job.is_committed and isinstance(failure, StorageFailed):
            # Nobody wants the bad version back because of a full disk: the intent stays open, and is finished later.
            failure.then = f"{failure.then} The rollback is finished as soon as there is room.".strip()
            return failure
        job.after = None
        before = operation.before
        try:
            # One that lost its turn has moved no traffic, and what is live now is not its business.
            if job.is_committed:
                self.hands.route(before.split or Split(before.model), running)
            for ref in sorted(operation.after.running - before.running):
                self.hands.stop_unwanted(ref)
            at = self.clock.now()
            event = event_of(operation, f"{operation.verb} failed", failure.what, at)
            self.journal.finish(operation.id, "undone", at, error=failure, event=event)
        except TurnoutError as second:
            # The intent stays open: recovery settles it, by what the target then reports.
            failure.then = f"{failure.then} Putting it back failed too ({second.what}); that is tried again.".strip()
            return failure
        carries = [str(ref) for ref, weight in (before.split.weights.items() if before.split else ()) if weight]
        if carries and type(failure) is not Refused:
            failure.then = f"{failure.then} What was live is untouched: {', '.join(carries)}.".strip()
        return failure

    def _stop(self, job: Job, refs: tuple[VersionRef, ...]) -> None:
        for ref in refs:
            self._reach(f"{job.verb}.stopping")
            try:
                self.hands.stop_unwanted(ref)
            except TurnoutError:
                # Upkeep stops whatever runs and is not recorded.
                continue
            self._reach(f"{job.verb}.stopped")

    def _outcome(self, known: Operation, watcher: Watcher) -> Done:
        if known.error is not None:
            raise TurnoutError.from_dict(known.error)
        done = Done(self.journal.deployment(known.model), changed=True)
        watcher.done(done)
        return done


def _sticky_kind(kind: Any) -> Literal["header", "cookie"]:
    if kind not in ("header", "cookie"):
        raise BadInput(f"users cannot be told apart by a {kind!r}", instead="by a header or a cookie")
    return "header" if kind == "header" else "cookie"


def _unexpected(operation: Operation, error: Exception) -> TurnoutError:
    if isinstance(error, OSError):
        return StorageFailed.from_os(error, f"carrying out {operation.verb}")
    return TurnoutError(f"{operation.verb} of {operation.model} failed: {type(error).__name__}: {error}")
