"""What else lives in the daemon: each a part of its own, with its own rhythm, that answers questions about itself."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from pipelines.errors import BadInput, TurnoutError
from pipelines.local.said import say
from pipelines.values import Deployment

Question = Callable[[Mapping[str, str]], Any]
"""Answers with JSON values what is asked; the arguments are texts."""

Order = Callable[[Mapping[str, Any]], Any]
"""Does something with a JSON object and answers with JSON values."""


@dataclass(frozen=True)
class Room:
    """One part of the daemon. Whatever of it fails, what serves goes on.

    Args:
        loops: Work to be done again and again, each with the seconds between two times. What it raises is
            said once in the daemon's log, a mistake of ours with its traceback, and it is done again.
        questions: By name; `GET /NAME` asks one. They raise TurnoutError.
        orders: By name; `POST /NAME` gives one. They raise TurnoutError.
        status: What it adds to a model's entry in the status, by key; must be quick and must not raise.
        bakes: Whether it ends the bake of a deployment, by what it sees; otherwise the clock does. Must not raise.
        close: Called when the daemon ends.
    """

    loops: Sequence[tuple[Callable[[], None], float]] = ()
    questions: Mapping[str, Question] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    status: Callable[[str], Mapping[str, Any]] = lambda model: {}  # noqa: ARG005
    bakes: Callable[[Deployment], bool] = lambda deployment: False  # noqa: ARG005
    close: Callable[[], None] = lambda: None


class Rooms:
    """All of them.

    Args:
        rooms: Each name of a question or an order is used once.
    """

    def __init__(self, rooms: Iterable[Room]) -> None:
        self._rooms = tuple(rooms)
        self._questions = {name: answer for room in self._rooms for name, answer in room.questions.items()}
        self._orders = {name: answer for room in self._rooms for name, answer in room.orders.items()}

    @property
    def loops(self) -> list[tuple[Callable[[], None], float]]:
        """The work of all rooms."""
        return [loop for room in self._rooms for loop in room.loops]

    def ask(self, name: str, asked: Mapping[str, str]) -> Any:
        """Answer a question.

        Raises:
            BadInput: nobody knows of it.
        """
        if name not in self._questions:
            raise BadInput(f"the daemon knows nothing of {name!r}")
        return self._questions[name](asked)

    def tell(self, name: str, body: Mapping[str, Any]) -> Any:
        """Carry out an order.

        Raises:
            BadInput: nobody takes it.
        """
        if name not in self._orders:
            raise BadInput(f"the daemon takes no {name!r}")
        return self._orders[name](body)

    def status(self, model: str) -> dict[str, Any]:
        """What all rooms add to a model's entry."""
        return {key: value for room in self._rooms for key, value in room.status(model).items()}

    def bakes(self, deployment: Deployment) -> bool:
        """Whether one of them ends the deployment's bake."""
        return any(room.bakes(deployment) for room in self._rooms)

    def close(self) -> None:
        """The daemon ends."""
        for room in self._rooms:
            room.close()


def repeat(work: Callable[[], None], pause: float, leaves: Event) -> None:
    """Do some work again and again.

    What goes wrong may pass, as a full disk does, and is said once. Whatever it is, the work goes on: a watch that had
    ended would see nothing any more, and nobody would see that.

    Args:
        work: The work.
        pause: Seconds in between.
        leaves: Ends it.
    """
    said = ""
    while not leaves.is_set():
        try:
            work()
            said = ""
        except (TurnoutError, OSError) as error:
            if repr(error) != said:
                said = repr(error)
                say(f"{work.__name__}: {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - a mistake of ours
            if repr(error) != said:
                said = repr(error)
                say(f"{work.__name__}: {traceback.format_exc()}", "ERROR")
        leaves.wait(pause)
