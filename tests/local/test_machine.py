"""Whatever happens in whatever order, what serves stays sound: a state machine over the in-memory target.

`TURNOUT_SOAK=2000 pytest tests/local/test_machine.py` runs that many sequences.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pipelines.errors import StorageFailed, TurnoutError
from pipelines.local.engine import Engine, Request
from pipelines.local.failpoints import NAMES, STEPS
from pipelines.local.hands import is_same
from pipelines.local.journal import Journal, Operation
from pipelines.local.upkeep import Upkeep
from pipelines.policy.deployment import makeshift
from pipelines.values import Deployment, Phase, Rollout, VersionRef
from tests.local.memory_target import HandClock, MemoryTarget, packaged
from tests.local.world import Crash

MODEL = "digits"
REFS = [VersionRef(MODEL, number) for number in range(1, 5)]


class TightJournal(Journal):
    """A journal whose disk is full after some more writes.

    Attributes:
        writes_left: How many; None for as many as are asked for.
    """

    writes_left: int | None = None

    def intend(self, operation: Operation) -> None:
        """Record, if there is room."""
        self._use()
        super().intend(operation)

    def step(self, operation: str, step: int, says: str) -> None:
        """Record, if there is room."""
        self._use()
        super().step(operation, step, says)

    def finish(self, operation, outcome, at, **rest):  # type: ignore[no-untyped-def]
        """Record, if there is room."""
        self._use()
        super().finish(operation, outcome, at, **rest)

    def _use(self) -> None:
        if self.writes_left is None:
            return
        if self.writes_left == 0:
            raise StorageFailed("the disk is full")
        self.writes_left -= 1


class Machine(RuleBasedStateMachine):
    """Everything that can happen to one model."""

    @initialize(keep=st.integers(0, 2), bake=st.sampled_from([0.0, 10.0]), holdback=st.sampled_from([0, 20]))
    def begin(self, keep: int, bake: float, holdback: int) -> None:
        """A project with four packaged versions."""
        self.rollout = Rollout(keep=keep, bake_minutes=bake, holdback=holdback)
        self.target, self.clock, self.journal = MemoryTarget(), HandClock(), TightJournal(Path(":memory:"))
        self.catalogue = packaged(MODEL, len(REFS))
        self.crash_at, self.count, self.waited = "", 0, 0.0
        self.boot()

    def boot(self) -> None:
        """A new daemon over what the old one left."""
        self.engine = Engine(
            self.target, self.catalogue, self.journal, self.clock, lambda _: self.rollout, reach=self.reach
        )
        self.upkeep = Upkeep(self.engine, monotonic=lambda: self.waited)
        self.upkeep.recover()

    def reach(self, name: str) -> None:
        """Crash where the test wants it."""
        if name == self.crash_at:
            raise Crash

    def now(self) -> Deployment:
        """What is recorded."""
        return self.journal.deployment(MODEL)

    def serves(self) -> bool:
        """Whether a version with a share is ready."""
        split, health = self.target.split(MODEL), self.target.health()
        return split is not None and any(
            weight and ref in health and health[ref].health == "ready" for ref, weight in split.weights.items()
        )

    def operate(self, verb: str, arguments: dict[str, object]) -> bool:
        """Ask for an operation, survive a crash in it, and see that the state is the old or the new one."""
        before, served = self.now(), self.serves()
        healthy = {ref for ref, seen in self.target.health().items() if seen.health == "ready"}
        self.count += 1
        succeeded, intended = False, None
        try:
            self.engine.operate(Request(f"operation-{self.count}", verb, MODEL, arguments))
            succeeded = True
        except TurnoutError:
            # One that could not be recorded stays open, and is settled when there is room.
            intended = next((operation.after for operation in self.journal.unfinished()), None)
        except Crash:
            unfinished = self.journal.unfinished()
            intended = unfinished[-1].after if unfinished else self.now()
            self.crash_at = ""
            self.journal.writes_left = None
            self.boot()
        self.crash_at = ""
        if self.journal.writes_left is not None:
            self.journal.writes_left = None
            self.upkeep.recover()
        if not succeeded and intended is None:
            assert self.now() == before, "an operation that failed changes nothing"
        elif intended is not None:
            assert self.now() in (before, intended), "a crash leaves the old state or the new one"
        if verb != "down" and served:
            assert self.serves(), "what served goes on serving"
        self.settled()
        if verb == "rollback" and succeeded:
            champion = self.now().champion
            # What was not loaded had to start first, and did.
            was_cold = champion not in before.running
            if before.split != self.now().split:
                assert champion in healthy or was_cold, "a rollback goes to a version that is ready"
        return succeeded

    def settled(self) -> None:
        """Let upkeep do its work, twice the longest wait later."""
        for _ in range(3):
            self.waited += 200.0
            for model in self.upkeep.tick():
                self.upkeep.keep(model)

    @rule(
        ref=st.sampled_from(REFS),
        share=st.sampled_from([1, 10, 50, 100, "shadow", None]),
        force=st.booleans(),
        replicas=st.sampled_from([None, 1, 2]),
    )
    def deploy(self, ref: VersionRef, share: object, force: bool, replicas: int | None) -> None:
        """Somebody deploys a version: a first one, a canary, a ramp, a switch, another one in mid-canary."""
        why = {"force": True, "reason": "because"} if force else {}
        self.operate("deploy", {"ref": str(ref), "share": share, "replicas": replicas, **why})

    @rule(ref=st.sampled_from([None, *REFS]))
    def promote(self, ref: VersionRef | None) -> None:
        """Somebody promotes."""
        self.operate("promote", {"ref": str(ref) if ref else None})

    @rule(to=st.sampled_from([None, None, *REFS]), quarantine=st.booleans())
    def rollback(self, to: VersionRef | None, quarantine: bool) -> None:
        """Somebody rolls back."""
        bad = set(self.now().quarantined)
        if self.operate("rollback", {"to": str(to) if to else None, "quarantine": quarantine}):
            assert self.now().champion not in bad, "a rollback never goes to a quarantined version"

    @rule(verb=st.sampled_from(["undo", "up", "down"]))
    def other(self, verb: str) -> None:
        """Somebody calls off, stops or starts the model."""
        self.operate(verb, {})

    @rule(minutes=st.sampled_from([1, 11]))
    def time_passes(self, minutes: int) -> None:
        """Bakes end."""
        self.clock.advance(minutes)
        self.settled()

    @rule(ref=st.sampled_from(REFS), health=st.sampled_from(["unhealthy", "failed", "ready", "ready"]))
    def host_changes(self, ref: VersionRef, health: str) -> None:
        """A host hangs, is given up, or comes back."""
        self.target.mark(ref, health)

    @rule(ref=st.sampled_from(REFS), broken=st.booleans())
    def bento_breaks(self, ref: VersionRef, broken: bool) -> None:
        """A version cannot be started, or can again."""
        (self.target.broken.add if broken else self.target.broken.discard)(ref)
        self.settled()

    @rule(rejects=st.booleans())
    def gateway_rejects(self, rejects: bool) -> None:
        """The gateway refuses every change for one operation."""
        self.target.rejects = rejects
        self.operate("promote", {})
        self.target.rejects = False
        self.settled()

    @rule(step=st.sampled_from(STEPS), verb=st.sampled_from(["deploy", "promote", "rollback", "undo", "down", "up"]))
    def crash_in_the_next(self, step: str, verb: str) -> None:
        """The daemon is killed in the middle of an operation."""
        self.crash_at = f"{verb}.{step}"
        ref = str(REFS[self.count % len(REFS)])
        arguments = {"deploy": {"ref": ref, "force": True, "reason": "why"}, "rollback": {}}.get(verb, {})
        self.operate(verb, arguments)

    @rule(
        writes=st.integers(0, 3),
        verb=st.sampled_from(["deploy", "promote", "rollback", "down"]),
        ref=st.sampled_from(REFS),
        share=st.sampled_from([10, 100]),
    )
    def disk_fills_up(self, writes: int, verb: str, ref: VersionRef, share: int) -> None:
        """The disk is full after some writes of an operation; there is room again afterwards."""
        self.journal.writes_left = writes
        self.operate(verb, {"ref": str(ref), "share": share} if verb == "deploy" else {})

    @rule()
    def reboot(self) -> None:
        """All processes are gone; a new daemon brings back what was live, as far as it starts."""
        self.target.reboot()
        self.boot()
        self.settled()
        now = self.now()
        # Nobody is ever answered by a shadow, also when it is the only version left that starts.
        may_answer = now.running - ({now.candidate} if now.phase is Phase.SHADOW else set())
        if may_answer - self.target.broken:
            assert self.serves(), "what can serve serves after a reboot"

    @invariant()
    def weights_sum_to_100(self) -> None:
        """Every split is whole."""
        split = self.target.split(MODEL)
        assert split is None or sum(split.weights.values()) == 100

    @invariant()
    def the_aborted_have_nothing(self) -> None:
        """A quarantined version has no share and no process."""
        split = self.target.split(MODEL)
        for ref in self.now().quarantined:
            assert split is None or not split.weights.get(ref)
            assert ref not in self.target.health()

    @invariant()
    def the_target_does_what_is_recorded(self) -> None:
        """Traffic and processes are the recorded ones, less what cannot run."""
        recorded, running = self.now(), frozenset(self.target.health())
        assert self.journal.unfinished() == []
        assert running <= recorded.running
        assert recorded.running - running <= self.target.broken
        wanted = makeshift(recorded, running)
        assert wanted is None or is_same(self.target.split(MODEL), wanted)
        assert (recorded.phase is Phase.EMPTY) == (not recorded.running)

    def teardown(self) -> None:
        """Close the journal."""
        if hasattr(self, "journal"):
            self.journal.close()


SEQUENCES = int(os.environ.get("TURNOUT_SOAK", "60"))
Machine.TestCase.settings = settings(
    max_examples=SEQUENCES,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestMachine = Machine.TestCase


def test_every_failpoint_is_known() -> None:
    """The machine crashes at every step there is, by the registry itself."""
    assert {name.partition(".")[2] for name in NAMES} == set(STEPS)
