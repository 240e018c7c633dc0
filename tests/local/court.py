"""A judge over a target in memory, whose traffic is made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import StorageFailed
from pipelines.local.counts import ArmCounts, HostCounts
from pipelines.local.envoy.names import Arms
from pipelines.local.judge.book import Book, Case
from pipelines.local.judge.room import Judge
from pipelines.local.telemetry import Incident, Outcome, Place
from pipelines.local.upkeep import Upkeep
from pipelines.values import HostHealth, LabelledAnswer, Rollout, VersionRef
from pipelines.values.decisions import Record
from tests.local.world import A, B, World

QUICK = Rollout(steps=(20, 50, 100), min_requests=20, min_minutes=0.05, bake_minutes=1.0)
"""Steps of three seconds, and a bake of a minute."""


class Traffic:
    """Sources over the world's target: who answers what is said by hand, each request under the split in force.

    Args:
        world: Whose traffic it is.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.lost = ""
        self.mute: set[VersionRef] = set()
        self.fault: Exception | None = None
        self._counts: dict[VersionRef, dict[int, int]] = {}
        self._log: list[Incident] = []
        self.labels: list[LabelledAnswer] = []
        self.paired: list[tuple[float, bool]] = []

    def serve(self, ref: VersionRef, answered: int, failed: int = 0, user: str = "") -> None:
        """So many requests for which this version was chosen, now."""
        split, now = self.world.target.split("digits"), self.world.clock.now()
        if split is None or not split.weights.get(ref):
            return
        counts = self._counts.setdefault(ref, {})
        counts[split.generation] = counts.get(split.generation, 0) + answered
        arms = Arms("digits", split.generation, split.weights)
        one = Incident(now, arms, ref, None, Outcome.FAILED, 503, 1, "-", "id", user, now)
        self._log += [one] * failed

    def health(self) -> Mapping[VersionRef, HostHealth]:
        """As the target has it, or a mistake in our own code."""
        if self.fault is not None:
            raise self.fault
        return self.world.target.health()

    def counts(self, refs: Iterable[VersionRef]) -> Mapping[str, HostCounts]:
        """One host a version."""
        return {
            f"host of {ref}": HostCounts(
                ref, {generation: ArmCounts(count) for generation, count in self._counts.get(ref, {}).items()}
            )
            for ref in refs
            if ref not in self.mute
        }

    def incidents(self, place: Place, model: str) -> tuple[list[Incident], Place]:
        """The log from there on; nothing where it is lost."""
        del model
        if self.lost:
            return [], place
        return self._log[place.offset :], Place(1, len(self._log))

    def missing(self) -> str:
        """What was lost."""
        return self.lost

    def label(self, ref: VersionRef, right: int, wrong: int, generation: int | None = None) -> None:
        """Later truth about requests, of the split in force or an earlier one."""
        split = self.world.target.split("digits")
        assert split is not None
        made = split.generation if generation is None else generation
        for is_wrong in (*(False,) * right, *(True,) * wrong):
            self.labels.append(LabelledAnswer(len(self.labels) + 1, "id", ref, made, is_wrong))

    def labelled(self, model: str, after: int | None, since: int) -> tuple[list[LabelledAnswer], int | None]:
        """What was labelled by hand."""
        del model, since
        return self.labels[after or 0 :], len(self.labels)

    def pair(self, candidate: int, stable: int) -> None:
        """Later truth about requests of now that both answer: how often the candidate alone is wrong, how often the
        other.
        """
        now = self.world.clock.now().timestamp()
        self.paired += [(now, True)] * candidate + [(now, False)] * stable

    def pairs(self, candidate: VersionRef, stable: VersionRef, begun: float, after: int) -> tuple[tuple[int, int], int]:
        """What was paired by hand."""
        assert (candidate, stable) == (B, A)
        found = [is_ours for at, is_ours in self.paired[after:] if at >= begun]
        return (sum(found), len(found) - sum(found)), len(self.paired)


class FullBook(Book):
    """A book whose disk can be full."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_full = False

    def keep(self, model: str, case: Case, record: Record | None = None) -> None:
        """Write, unless the disk is full."""
        if self.is_full:
            raise StorageFailed("the evidence failed while keeping it: disk full")
        super().keep(model, case, record)


class Court:
    """A daemon that judges: engine, upkeep and judge, as often anew as a test wants.

    Args:
        folder: Where journal and evidence are.
        settings: How versions take over.
    """

    def __init__(self, folder: Path, settings: Rollout = QUICK) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.world = World(folder / "state.db", settings)
        self.traffic = Traffic(self.world)
        self.skew = 0.0
        self.boot()

    def boot(self) -> None:
        """A new daemon."""
        self.world.boot()
        self.book = FullBook(self.folder / "evidence.db")
        clock = self.world.clock
        start = clock.now()
        self.judge = Judge(
            self.world.engine,
            self.traffic,
            self.book,
            self.world.rollout,
            monotonic=lambda: (clock.now() - start).total_seconds() - self.skew,
            now=lambda: clock.now().timestamp(),
        )
        self.upkeep = Upkeep(self.world.engine, monotonic=lambda: 0.0, is_watched=self.judge.room.bakes)
        self.upkeep.recover()

    def begin(self, share: int = 20, **arguments: Any) -> None:
        """A first version, and a canary beside it."""
        self.world.do("deploy", A)
        self.world.do("deploy", B, share=share, **arguments)

    def jump(self, minutes: float) -> None:
        """The clock is set; no time has passed."""
        self.world.clock.advance(minutes)
        self.skew += minutes * 60

    def second(self, candidate: tuple[int, int] = (0, 0), stable: tuple[int, int] = (0, 0), user: str = "") -> None:
        """A second with this traffic, answered and failed, at whose end everybody looks."""
        self.traffic.serve(B, *candidate, user)
        self.traffic.serve(A, *stable)
        self.world.clock.advance(1 / 60)
        self.upkeep.tick()
        self.judge.look()

    def until(self, phase: str, candidate: tuple[int, int], stable: tuple[int, int], most: int = 200) -> int:
        """Seconds with this traffic until the model is in this phase; how many."""
        for seconds in range(1, most + 1):
            self.second(candidate, stable)
            if self.world.now.phase.value == phase:
                return seconds
        raise AssertionError(f"not {phase} after {most} s: {self.said()}")

    def said(self) -> dict[str, Any]:
        """What the status says of the rollout."""
        found: dict[str, Any] = self.judge.room.status("digits")["rollout"] or {}
        return found

    def events(self) -> list[dict[str, Any]]:
        """The history, the latest first."""
        return [event.as_dict() for event in self.world.journal.history("digits")]
