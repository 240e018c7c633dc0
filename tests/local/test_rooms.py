"""What else lives in the daemon."""

from __future__ import annotations

import json
import threading

import pytest

from pipelines.errors import BadInput
from pipelines.local.rooms import Room, Rooms, repeat


def test_a_question_reaches_the_room_that_knows_it() -> None:
    """Each room answers for itself; the arguments arrive as they were asked."""
    rooms = Rooms([Room(questions={"weather": lambda asked: {"in": asked["town"]}}), Room(questions={"time": str})])
    assert rooms.ask("weather", {"town": "Bern"}) == {"in": "Bern"}


def test_an_order_reaches_the_room_that_takes_it() -> None:
    """The body arrives whole."""
    assert Rooms([Room(orders={"add": lambda body: body["a"] + body["b"]})]).tell("add", {"a": 1, "b": 2}) == 3


def test_what_nobody_knows_is_named() -> None:
    """A client of another version may ask for anything: it gets an error and the daemon lives on."""
    rooms = Rooms([Room(questions={"weather": str})])
    with pytest.raises(BadInput, match="knows nothing of 'tides'"):
        rooms.ask("tides", {})
    with pytest.raises(BadInput, match="takes no 'weather'"):
        rooms.tell("weather", {})


def test_the_status_is_what_all_rooms_add() -> None:
    """Each adds its keys, for the model that is asked for."""
    rooms = Rooms([Room(status=lambda model: {"a": model}), Room(), Room(status=lambda model: {"b": 2})])  # noqa: ARG005
    assert rooms.status("digits") == {"a": "digits", "b": 2}


def test_every_room_is_closed_and_lends_its_loops() -> None:
    """What a room does by itself is the daemon's work, and ends with it."""
    closed: list[str] = []

    def work() -> None:
        """Nothing."""

    rooms = Rooms(
        [Room(loops=((work, 0.5),), close=lambda: closed.append("a")), Room(close=lambda: closed.append("b"))]
    )
    assert rooms.loops == [(work, 0.5)]
    rooms.close()
    assert closed == ["a", "b"]


def test_work_that_fails_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake of ours would end the watch unseen: it is said once, with its place, and the work is done again."""
    leaves = threading.Event()
    done = 0

    def work() -> None:
        nonlocal done
        done += 1
        if done <= 2:
            raise ZeroDivisionError("a mistake")
        if done <= 4:
            raise BadInput("a full disk")
        leaves.set()

    repeat(work, 0.0, leaves)
    assert done == 5
    mistake, expected = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert mistake["level"] == "ERROR"
    assert "test_rooms.py" in mistake["message"]
    assert expected["level"] == "WARNING"
    assert expected["message"] == "work: BadInput: a full disk."
