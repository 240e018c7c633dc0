"""A watch when something is amiss: it is interrupted, files are broken, and others are at work."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import BadProject, Busy, Interrupted, NoSuchModel, StorageFailed
from pipelines.values.watching import Event, Kind, Note
from tests.fakes import FakeDigests, FakeNotes
from tests.stages.yard import Yard, nothing


def test_ctrl_c_ends_a_shipment_in_order_and_it_is_made_up_for(tmp_path: Path) -> None:
    """The crew is told to stop, the watch ends when it has; the next watch ships it."""
    yard = Yard(tmp_path)
    begun = threading.Event()

    def during(model: str) -> None:
        del model
        begun.set()
        while not yard.crew._is_stopped:
            threading.Event().wait(0.01)
        raise Interrupted("it was stopped")

    yard.during = during

    def turn() -> None:
        if begun.is_set():
            raise KeyboardInterrupt

    yard.during, yard.changes.turn = during, turn
    yard.watch().run()
    assert yard.crew._under_way == 0
    assert yard.notes.held == set()
    assert yard.said(Kind.FAILED) == []
    yard.during = nothing
    assert yard.run() == ["digits"]


def test_a_shipment_that_ended_with_the_watch_is_not_repeated(tmp_path: Path) -> None:
    """Its outcome came between Ctrl-C and the end."""
    yard = Yard(tmp_path)
    begun = threading.Event()

    def during(model: str) -> None:
        del model
        begun.set()
        while not yard.crew._is_stopped:
            threading.Event().wait(0.01)

    def turn() -> None:
        if begun.is_set():
            raise KeyboardInterrupt

    yard.during, yard.changes.turn = during, turn
    yard.watch().run()
    assert yard.shipped() == ["digits"]
    yard.during = nothing
    assert yard.run() == []


def test_what_is_told_is_written_down_already(tmp_path: Path) -> None:
    """Whoever hears of the end of a shipment and presses Ctrl-C right then, does not have it repeated."""
    yard = Yard(tmp_path)

    class Impatient(list[Event]):
        def append(self, event: Event) -> None:
            """Keep it, and press Ctrl-C at the end of a shipment."""
            super().append(event)
            if event.kind is Kind.DONE:
                raise KeyboardInterrupt

    yard.events = Impatient()
    assert yard.run() == ["digits"]
    yard.events = []
    assert yard.run() == []


def test_a_broken_project_file_is_told_once_and_ships_nothing(tmp_path: Path) -> None:
    """Perhaps it is being written: what changed meanwhile is shipped when it is whole again."""
    yard = Yard(tmp_path)
    yard.run()

    def wreck() -> None:
        yard.broken = BadProject("pyproject.toml: half a line")
        yard.change("digits.csv")

    steps = [yard.at(10, wreck), yard.at(200, lambda: setattr(yard, "broken", None))]

    def turn() -> None:
        for step in steps:
            step()

    assert yard.run(190, restarted=turn) == []
    assert yard.said(Kind.TROUBLE) == ["pyproject.toml: half a line."]
    yard.broken = None
    assert yard.run(100, restarted=turn) == ["digits"]


def test_what_cannot_be_looked_at_stops_no_other(tmp_path: Path) -> None:
    """Data that is gone: told once, and the other model is shipped."""
    yard = Yard(tmp_path, {"digits": (), "scores": ()})

    class Missing(FakeDigests):
        def depends(self, sources: Any) -> Any:
            """The data of one model is gone."""
            if sources.notebook.name.startswith("digits"):
                raise BadProject("data/digits.csv cannot be read")
            return FakeDigests.depends(self, sources)

    yard.ports = replace(yard.ports, digests=Missing())
    assert yard.run(600) == ["scores"]
    assert yard.said(Kind.TROUBLE) == ["data/digits.csv cannot be read."]


def test_a_model_is_watched_by_one(tmp_path: Path) -> None:
    """The second watch is told so; another model is free."""
    yard = Yard(tmp_path, {"digits": (), "scores": ()})
    with yard.notes.holding("watch/digits", "x"):
        with pytest.raises(Busy):
            yard.run()
        assert yard.run(models=("scores",)) == ["scores"]
    assert yard.notes.held == set()


def test_an_unknown_model_is_a_mistake(tmp_path: Path) -> None:
    """Told before anything is watched."""
    with pytest.raises(NoSuchModel):
        Yard(tmp_path).watch(models=("digit",))


def test_notes_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    """A full disk: nothing is shipped twice by this watch, and it goes on."""
    yard = Yard(tmp_path)

    class Full(FakeNotes):
        def write(self, name: str, note: Mapping[str, Any]) -> None:
            """No space."""
            del name, note
            raise StorageFailed("no space left for .turnout/watch")

    yard.notes = Full()
    assert yard.run(600) == ["digits"]
    assert yard.said(Kind.TROUBLE) == ["no space left for .turnout/watch."]


def test_trouble_with_the_watcher_is_told_once(tmp_path: Path) -> None:
    """The system's limit, say: changes are then found by looking."""
    yard = Yard(tmp_path)
    yard.changes.trouble = "OSError: too many files"
    yard.run(300)
    (said,) = yard.said(Kind.TROUBLE)
    assert "OSError: too many files" in said
    assert "60 s" in said


def test_a_note_that_cannot_be_read_is_none() -> None:
    """What a later release wrote, or a hand: as if it had never been watched."""
    for wrong in (None, {"key": 1, "parts": 3}, {"settled": "yesterday"}, {"parts": {"cells": 1}}):
        assert Note.from_dict(wrong).key in ("", "1")
    kept = Note("abc", is_shipped=False)
    assert Note.from_dict(kept.as_dict()) == kept
