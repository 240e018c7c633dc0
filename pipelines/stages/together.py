"""Several commands at once, as many as cores and memory allow; one that fails takes no other along."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.crews import Crew
from pipelines.errors import Interrupted, Refused, TurnoutError
from pipelines.policy.sharing import ROOM, UNKNOWN_MB, fits
from pipelines.ports import CellProgress
from pipelines.values.work import Carried, Task

_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Begun:
    """A command has begun."""


Happening = Begun | str | CellProgress | Carried | TurnoutError
"""What is heard of a command: the last two are its end."""


def carry_out_all(
    tasks: Sequence[Task],
    crew: Crew,
    hear: Callable[[Task, Happening], None],
    *,
    jobs: int | None = None,
    need_mb: float = 0.0,
) -> None:
    """Carry out commands, in their order as far as that goes.

    Args:
        tasks: The commands. One whose `after` did not succeed is not begun, and heard of as Refused.
        crew: Who carries them out.
        hear: Told what happens, in the caller's thread.
        jobs: At most so many at once; never more than the crew takes.
        need_mb: What one was measured to need before, 10^6 bytes; 0 when nobody knows.

    Raises:
        Interrupted: a person pressed Ctrl-C; all have been stopped.
    """
    _Line(tasks, crew, hear, max(1, min(jobs or crew.most, crew.most)), need_mb).run()


class _Line:
    def __init__(
        self, tasks: Sequence[Task], crew: Crew, hear: Callable[[Task, Happening], None], most: int, need_mb: float
    ) -> None:
        self._waiting = list(tasks)
        self._crew, self._hear, self._most = crew, hear, most
        self._need_mb = need_mb
        self._known = {task.key for task in tasks}
        self._good: set[str] = set()
        self._bad: set[str] = set()
        self._under_way: dict[str, threading.Thread] = {}
        self._heard: queue.SimpleQueue[tuple[Task, Happening]] = queue.SimpleQueue()

    def run(self) -> None:
        try:
            while self._waiting or self._under_way:
                self._begin_what_fits()
                if not self._under_way and self._waiting:
                    raise ValueError(f"{self._waiting[0].key} waits for itself")
                self._take()
        except KeyboardInterrupt:
            raise Interrupted("interrupted: what was under way has been stopped") from None
        finally:
            # Also when `hear` raised.
            if self._under_way:
                self._crew.stop()
            for thread in self._under_way.values():
                thread.join()

    def _begin_what_fits(self) -> None:
        self._give_up()
        while len(self._under_way) < self._most:
            task = next((each for each in self._waiting if each.after & self._known <= self._good), None)
            if task is None or not self._fits():
                return
            self._waiting.remove(task)
            thread = threading.Thread(target=self._work, args=(task,), name=task.key, daemon=True)
            self._under_way[task.key] = thread
            thread.start()
            self._hear(task, Begun())

    def _give_up(self) -> None:
        while doomed := next((each for each in self._waiting if each.after & self._bad), None):
            self._waiting.remove(doomed)
            self._bad.add(doomed.key)
            said = ", ".join(sorted(doomed.after & self._bad))
            self._hear(doomed, Refused(f"{doomed.key} comes after {said}, which did not succeed"))

    def _fits(self) -> bool:
        room = self._crew.room()
        need = self._need_mb * ROOM or max(UNKNOWN_MB, *room.used_mb, 0.0)
        # One that has begun this moment has no process yet.
        used = [*room.used_mb, *[0.0] * (len(self._under_way) - len(room.used_mb))]
        return fits(need, used, room.available_mb)

    def _take(self) -> None:
        try:
            task, heard = self._heard.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            return
        match heard:
            case Carried():
                self._need_mb = max(self._need_mb, heard.memory_mb)
                (self._good if heard.ok else self._bad).add(task.key)
            case TurnoutError():
                self._bad.add(task.key)
        if isinstance(heard, Carried | TurnoutError):
            self._under_way.pop(task.key).join()
        self._hear(task, heard)

    def _work(self, task: Task) -> None:
        try:
            self._heard.put((task, self._crew.carry_out(task, lambda said: self._heard.put((task, said)))))
        except TurnoutError as error:
            self._heard.put((task, error))
        except BaseException as error:  # noqa: BLE001 - a thread must not end in silence
            self._heard.put((task, TurnoutError(f"{task.key}: {type(error).__name__}: {error}")))
