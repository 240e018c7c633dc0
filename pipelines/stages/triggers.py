"""triggers: ship models when what they depend on has changed, at set times, and behind those that they build on."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC

from pipelines.crews import Changes, Crew, Notes
from pipelines.errors import BadInput, Busy, Interrupted, StorageFailed, TurnoutError
from pipelines.policy.reasons import told
from pipelines.policy.sharing import UNKNOWN_MB, fits
from pipelines.ports import CellProgress, Ports
from pipelines.stages.look import look, places, why
from pipelines.stages.schedule import due, follow, zone_of
from pipelines.stages.watched_model import WatchedModel, inputs_alone, summary
from pipelines.values import Project
from pipelines.values.watching import Event, Kind, Look, Note, Places
from pipelines.values.work import Carried, Task

TICK_SECONDS = 0.5
QUIET_SECONDS = 1.0
"""Nothing is looked at until nothing has changed for so long: who saves a file often saves several."""
LOUD_SECONDS = 30.0
"""What never becomes quiet is looked at after so long."""
CIRCLES = 3
"""A model whose inputs change in each of so many shipments in a row writes them itself."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks for.

    Args:
        models: Which; all of the project when none is named.
        words: What is passed on to `turnout ship`, such as `--canary 10`.
        every: Everything is looked at after so many seconds also where no change was told.
        jobs: At most so many models at once.
        is_once: Whether it ends as soon as there is nothing left to ship.
    """

    models: Sequence[str] = ()
    words: Sequence[str] = ()
    every: float = 60.0
    jobs: int | None = None
    is_once: bool = False


@dataclass(frozen=True, slots=True)
class Means:
    """What a watch works with.

    Args:
        project: Reads the project as it is now.
        champions: The champions of these models, by name; those that have none are left out.
        ports: The world.
        crew: Who ships.
        notes: Where what was shipped is written down.
        changes: Who tells of changes.
        seconds: A clock that is never set.
    """

    project: Callable[[], Project]
    champions: Callable[[Sequence[str]], Mapping[str, str]]
    ports: Ports
    crew: Crew
    notes: Notes
    changes: Changes
    seconds: Callable[[], float] = time.monotonic


class Watch:
    """Models that are watched.

    A model is shipped when its key is another one than it was last shipped at, whatever came of that: so nothing is
    shipped twice for one change, also after a restart, and a shipment that was killed is made up for. A change during a
    shipment leads to one more behind it, however many there are.

    Args:
        asked: What is watched.
        means: With what.
        tell: Told what happens.
        step: Told what the shipments do.
    """

    def __init__(self, asked: Asked, means: Means, tell: Callable[[Event], None], step: Callable[[str], None]) -> None:
        self._asked, self._means, self._tell_of, self._step = asked, means, tell, step
        self._project = means.project()
        for name in asked.models:
            self._project.model(name)
        self._models: dict[str, WatchedModel] = {}
        self._under_way: dict[str, threading.Thread] = {}
        self._heard: queue.SimpleQueue[tuple[str, str | Carried | TurnoutError]] = queue.SimpleQueue()
        self._most = max(1, min(asked.jobs or means.crew.most, means.crew.most))
        self._changed: tuple[float, float] | None = None
        self._looked = float("-inf")
        self._troubles: dict[str, str] = {}
        self._peak_mb = 0.0
        self._is_sound = True

    def run(self) -> bool:
        """Watch until Ctrl-C; what is under way then has been stopped when this returns.

        Returns:
            Whether every model was shipped as it was last seen.

        Raises:
            Busy: a model is watched already.
        """
        try:
            self._begin_watching()
            while True:
                self.turn()
                if self._asked.is_once and not self._under_way and not any(self._is_due(each) for each in self._all()):
                    break
        except KeyboardInterrupt:
            pass
        finally:
            self._end()
        return not any(self._troubles.values()) and all(model.note.is_shipped for model in self._all())

    def _begin_watching(self) -> None:
        for name in self._names():
            self._take_in(name)
        self._tell(Kind.WATCHING, f"watching {', '.join(self._models) or 'no model yet'}")
        for model in self._all():
            if model.note.key and not model.note.is_shipped:
                self._tell(
                    Kind.FAILED,
                    f"{model.name} could not be shipped the last time; it is tried again when something changes, or by "
                    f"`turnout ship {model.name}`",
                    model.name,
                )

    def _end(self) -> None:
        self._means.changes.close()
        self._means.crew.stop()
        for thread in self._under_way.values():
            thread.join()
        # What came to its end in this very moment is not shipped again the next time.
        self._hear()
        for model in self._all():
            model.held.close()

    def _all(self) -> list[WatchedModel]:
        return list(self._models.values())

    def _is_due(self, model: WatchedModel) -> bool:
        return bool(model.why) and model.name in self._project.models

    def turn(self) -> None:
        """Wait a moment, see what has happened, and begin what is to be begun."""
        is_changed = self._means.changes.wait(TICK_SECONDS)
        now = self._means.seconds()
        if is_changed:
            self._changed = (self._changed[0] if self._changed else now, now)
        is_over = self._hear()
        if self._is_time_to_look(now, is_over=is_over):
            self._look()
        if self._is_sound and self._changed is None:
            self._follow_schedules()
            self._begin()

    def _is_time_to_look(self, now: float, *, is_over: bool) -> bool:
        if self._changed is not None:
            # Whatever else there is to see: what is being saved is seen when it is whole.
            first, last = self._changed
            return now - last >= QUIET_SECONDS or now - first >= LOUD_SECONDS
        if is_over or now - self._looked >= self._asked.every:
            return True
        return any(self._champions_of(model.name) != model.champions for model in self._all())

    def _look(self) -> None:
        """See all models as they are now."""
        self._changed, self._looked = None, self._means.seconds()
        try:
            self._project = self._means.project()
            self._is_sound = True
            self._trouble("", "")
        except BadInput as error:
            # Perhaps it is being written; until it is whole again, a shipment could not read it either.
            self._is_sound = False
            self._trouble("", str(error))
            return
        self._follow_project()
        wanted = Places()
        for model in self._all():
            if model.name not in self._project.models:
                continue
            config = self._project.model(model.name)
            try:
                model.champions = self._champions_of(model.name)
                model.seen = look(self._project, config, model.champions, self._means.ports)
                self._trouble(model.name, "")
            except TurnoutError as error:
                self._trouble(model.name, str(error))
            wanted |= places(self._project, config, model.seen)
        if self._asked.is_once:
            return
        self._means.changes.watch(wanted)
        blind = self._means.changes.trouble
        self._trouble("changes", blind and f"changes show only every {self._asked.every:g} s: {blind}")

    def _names(self) -> Sequence[str]:
        return self._asked.models or list(self._project.models)

    def _follow_project(self) -> None:
        """Models that came into the project file, and those that went."""
        for name in self._names():
            if name not in self._models and name in self._project.models:
                try:
                    self._take_in(name)
                    self._trouble(name, "")
                except Busy as error:
                    self._trouble(name, str(error))
        for model in self._all():
            if model.name not in self._project.models and model.begun is None:
                model.held.close()
                del self._models[model.name]

    def _take_in(self, name: str) -> None:
        held = ExitStack()
        held.enter_context(self._means.notes.holding(f"watch/{name}", f"a watch over {name}"))
        self._models[name] = WatchedModel(name, Note.from_dict(self._means.notes.read(f"watch/{name}")), held)

    def _champions_of(self, name: str) -> Mapping[str, str]:
        if name not in self._project.models:
            return {}
        after = self._project.model(name).automation.after
        return self._means.champions(after) if after else {}

    def _follow_schedules(self) -> None:
        now = self._means.ports.clock.now()
        zone = None
        for model in self._all():
            if model.name not in self._project.models:
                continue
            expression = self._project.model(model.name).automation.schedule
            if not expression:
                model.due = None
                continue
            settled = follow(model.note.settled, now)
            if settled != model.note.settled:
                self._write(model, replace(model.note, settled=settled))
            zone = zone or zone_of(self._project.timezone)
            if model.begun is None:
                model.due = due(expression, settled, now, zone)

    def _begin(self) -> None:
        for model in self._all():
            if len(self._under_way) >= self._most:
                return
            if model.begun is not None or not self._is_due(model) or model.seen is None or self._waits(model):
                continue
            if not self._fits():
                return
            self._tell(Kind.BEGUN, f"{model.name} is shipped: {told(model.why)}", model.name)
            # A time of the schedule trains anew: for what changes where no digest can see it.
            forced = ["--force"] if model.due else []
            task = Task(model.name, ("ship", *self._asked.words, *forced, "--", model.name))
            model.begun, model.due = (model.seen, self._means.ports.clock.now()), None
            thread = threading.Thread(target=self._work, args=(task,), name=model.name, daemon=True)
            self._under_way[model.name] = thread
            thread.start()

    def _waits(self, model: WatchedModel) -> bool:
        """Whether one that it builds on comes first."""
        before = (self._models.get(name) for name in self._project.model(model.name).automation.after)
        return any(each is not None and (each.begun is not None or bool(each.why)) for each in before)

    def _fits(self) -> bool:
        room = self._means.crew.room()
        used = [*room.used_mb, *[0.0] * (len(self._under_way) - len(room.used_mb))]
        return fits(self._peak_mb or max(UNKNOWN_MB, *room.used_mb, 0.0), used, room.available_mb)

    def _work(self, task: Task) -> None:
        def hear(said: str | CellProgress) -> None:
            if isinstance(said, str):
                self._heard.put((task.key, said))

        try:
            self._heard.put((task.key, self._means.crew.carry_out(task, hear)))
        except TurnoutError as error:
            self._heard.put((task.key, error))
        except BaseException as error:  # noqa: BLE001 - a thread must not end in silence
            self._heard.put((task.key, TurnoutError(f"{task.key}: {type(error).__name__}: {error}")))

    def _hear(self) -> bool:
        """Take what was heard of shipments; whether one is over."""
        is_over = False
        while True:
            try:
                name, said = self._heard.get_nowait()
            except queue.Empty:
                return is_over
            if isinstance(said, str):
                self._step(f"{name}: {said}")
                continue
            self._under_way.pop(name).join()
            self._over(self._models[name], said)
            is_over = True

    def _over(self, model: WatchedModel, said: Carried | TurnoutError) -> None:
        if model.begun is None:
            return
        (shipped, at), model.begun = model.begun, None
        if isinstance(said, Interrupted):
            # Nothing is written down: the next watch makes up for it.
            return
        is_shipped = isinstance(said, Carried) and said.ok
        settled = max(at, model.note.settled) if model.note.settled else None
        # Before it is told: whoever hears of it may press Ctrl-C.
        self._write(model, Note(shipped.key, shipped.parts, settled, is_shipped))
        if isinstance(said, TurnoutError):
            self._tell(Kind.FAILED, f"{model.name} was not shipped: {said}", model.name)
        else:
            self._peak_mb = max(self._peak_mb, said.memory_mb)
            self._tell(Kind.DONE if is_shipped else Kind.FAILED, summary(said), model.name, said.document)
        self._see_again(model, shipped)

    def _see_again(self, model: WatchedModel, shipped: Look) -> None:
        """Whether it changed meanwhile, and whether it did so by itself."""
        try:
            config = self._project.model(model.name)
            model.seen = look(self._project, config, self._champions_of(model.name), self._means.ports)
        except TurnoutError:
            # It is looked at again right away, and then told.
            return
        changed = why(model.note, model.seen)
        if not changed:
            model.circle = (frozenset(), 0)
            return
        own = inputs_alone(shipped, model.seen)
        count = model.circle[1] + 1 if own and own == model.circle[0] else 1
        model.circle = (own, count if own else 0)
        if count >= CIRCLES and own:
            model.circle = (frozenset(), 0)
            self._write(model, replace(model.note, key=model.seen.key, parts=model.seen.parts))
            self._tell(
                Kind.TROUBLE,
                f"{', '.join(sorted(own))} changed during each of the last {CIRCLES} shipments of {model.name}: do its "
                "notebooks write what is declared as their input? It is shipped again at the next change",
                model.name,
            )
        else:
            self._tell(Kind.AGAIN, f"{model.name} changed meanwhile: {told(changed)}", model.name)

    def _write(self, model: WatchedModel, note: Note) -> None:
        model.note = note
        try:
            self._means.notes.write(f"watch/{model.name}", note.as_dict())
            self._trouble("notes", "")
        except StorageFailed as error:
            # What is known here holds until the end of this process.
            self._trouble("notes", str(error))

    def _trouble(self, of: str, says: str) -> None:
        """Tell of what is wrong, once as long as it stays the same."""
        if says and self._troubles.get(of) != says:
            self._tell(Kind.TROUBLE, says, of if of in self._models else "")
        self._troubles[of] = says

    def _tell(self, kind: Kind, says: str, model: str = "", document: Mapping[str, object] | None = None) -> None:
        self._tell_of(Event(self._means.ports.clock.now().astimezone(UTC), kind, says, model, document or {}))
