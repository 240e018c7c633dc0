"""One operator at a time a model; a rollback need not wait for what has moved no traffic yet."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipelines.errors import Busy, Interrupted, Refused, TurnoutError
from pipelines.values import Deployment, VersionRef

RECOVERY = "recover"


@dataclass(slots=True)
class Job:
    """An operation in hand.

    Args:
        id: Given by who asked.
        verb: What.
        model: Of which model.
        actor: `user`, `pid` and `host` of who asked.
        started: When it was accepted, UTC.
        subject: The version it is about, when it names one.
        step: The step under way, from 1; 0 before the first.
        steps: How many there are.
        says: The step in words.
        after: What it leads to, once decided.
        is_committed: Whether the traffic is being moved: then nothing stops it any more.
        stopper: Why it must stop, once it must.
        gives_way: Whether it takes nobody's turn away, though it is a rollback.
    """

    id: str
    verb: str
    model: str
    actor: Mapping[str, Any]
    started: datetime
    subject: VersionRef | None = None
    step: int = 0
    steps: int = 0
    says: str = ""
    after: Deployment | None = None
    is_committed: bool = False
    stopper: TurnoutError | None = field(default=None, repr=False)
    gives_way: bool = False

    @property
    def title(self) -> str:
        """What and by whom: `deploy of digits@5 by PID 123 (anna)`."""
        return f"{self.verb} of {self.subject or self.model} by {who(self.actor)}"

    def as_dict(self) -> dict[str, Any]:
        """The operation as `status` shows it."""
        return {
            "id": self.id,
            "verb": self.verb,
            "version": str(self.subject) if self.subject else None,
            "actor": dict(self.actor),
            "since": self.started.isoformat(),
            "step": self.step,
            "steps": self.steps,
            "says": self.says,
        }


def who(actor: Mapping[str, Any]) -> str:
    """A person at a process, `PID 123 (anna)`; the daemon itself is `turnout`."""
    if not actor.get("pid", "?"):
        return str(actor.get("user", "?"))
    return f"PID {actor.get('pid', '?')} ({actor.get('user', '?')})"


class Turns:
    """Who is at work on which model. Safe for threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holders: dict[str, Job] = {}
        # Jobs that lost their turn to a rollback, and are still putting back what they had begun.
        self._ousted: list[Job] = []

    def take(self, job: Job, *, wait: bool) -> VersionRef | None:
        """Make the job the model's holder.

        Args:
            job: Who wants the turn.
            wait: Whether to wait for it. A rollback always does, and everybody waits for recovery.

        Returns:
            The version that an operation ousted by this rollback was about to bring.

        Raises:
            Busy: somebody else has it; the message says who, since when and how far.
            Interrupted: the job was cancelled while it waited.
        """
        with self._changed:
            while (holder := self._holders.get(job.model)) is not None:
                self._check(job)
                if job.verb == "rollback" and holder.verb != "rollback" and not job.gives_way:
                    if not holder.is_committed:
                        return self._oust(holder, job)
                elif not wait and holder.verb != RECOVERY:
                    raise _busy(holder)
                self._changed.wait(timeout=1.0)
            self._holders[job.model] = job
            return None

    def release(self, job: Job) -> None:
        """The job is done with the model; releasing twice does nothing."""
        with self._changed:
            if self._holders.get(job.model) is job:
                del self._holders[job.model]
            self._ousted = [other for other in self._ousted if other is not job]
            self._changed.notify_all()

    def check(self, job: Job) -> None:
        """Go on, or raise why the job must stop."""
        with self._changed:
            self._check(job)

    def commit(self, job: Job) -> None:
        """From here on nothing stops the job; raise when something has already."""
        with self._changed:
            self._check(job)
            job.is_committed = True

    def cancel(self, job_id: str) -> bool:
        """Ask the job to stop; False when there is none that still can."""
        with self._changed:
            for job in self._all():
                if job.id == job_id and not job.is_committed:
                    job.stopper = job.stopper or Interrupted(f"{job.verb} was cancelled: what had begun was undone")
                    self._changed.notify_all()
                    return True
            return False

    def holder(self, model: str) -> Job | None:
        """Who is at work on the model."""
        with self._changed:
            return self._holders.get(model)

    def active(self) -> list[Job]:
        """All jobs in hand, ousted ones too."""
        with self._changed:
            return list(self._all())

    def _all(self) -> list[Job]:
        return [*self._holders.values(), *self._ousted]

    def _oust(self, holder: Job, job: Job) -> VersionRef | None:
        holder.stopper = Refused(
            f"{holder.verb} of {holder.subject or holder.model} was rolled back by {who(job.actor)}",
            then=f"`turnout status {job.model}` shows what serves.",
        )
        self._ousted.append(holder)
        self._holders[job.model] = job
        self._changed.notify_all()
        return holder.subject if holder.verb == "deploy" else None

    @staticmethod
    def _check(job: Job) -> None:
        if job.stopper is not None:
            raise job.stopper


def _busy(holder: Job) -> Busy:
    since = holder.started.astimezone().strftime("%H:%M:%S")
    progress = f", step {holder.step} of {holder.steps}" if holder.steps else ""
    return Busy(f"busy: {holder.title} since {since}{progress}", then="Call again when it is done, or with `--wait`.")
