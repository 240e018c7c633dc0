"""The daemon's watch for drift, over real files: captures that hosts might have written, bentos, a journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import BadInput, NoSuchModel, StorageFailed
from pipelines.local.captures.folder import CaptureFolder
from pipelines.local.drift.book import Counted, DriftBook
from pipelines.local.drift.references import References
from pipelines.local.drift.room import DriftSources, DriftWatch
from pipelines.local.journal import Event, Journal
from pipelines.policy.alerts import from_event
from pipelines.values import CaptureSettings, Deployment, ModelConfig, Phase, Project, VersionRef
from pipelines.values.alerts import AlertKind
from pipelines.values.drift import REFERENCE_NAME, DriftSettings
from tests.e2e.versions import Shelf
from tests.fakes import FakeClock
from tests.serving.bentos import tensor_rows

ONE = VersionRef("digits", 1)
BROKEN = "no reference: that of its bento cannot be read"


class Forgetful(Journal):
    """A journal whose history cannot be written for a while, as on a disk that is full."""

    is_full = False

    def note(self, event: Event) -> None:
        """See Journal."""
        if self.is_full:
            raise StorageFailed("the disk is full")
        super().note(event)


class World:
    """One project with `digits@1` live.

    Args:
        root: Its folder.
        settings: How digits is watched.
        reference: Of how many rows its bento has a reference.
    """

    def __init__(self, root: Path, settings: DriftSettings | None = None, reference: int = 360) -> None:
        self.root, self.clock = root, FakeClock()
        notebook = root / "x.ipynb"
        self.model = ModelConfig("digits", notebook, notebook, drift=settings or DriftSettings(window_rows=100))
        Shelf(root).add(1, reference=reference)
        self.folder = CaptureFolder(root / "captures")
        self.segment = self.folder.path / str(ONE) / "20260102T030405.000000-a.jsonl"
        self.segment.parent.mkdir(parents=True)
        self.journal = Forgetful(root / "state.db")
        self.deploy(Deployment("digits", Phase.LIVE, champion=ONE))
        self.watch = self.begin()
        self._rng = np.random.default_rng(4)

    @property
    def file(self) -> Path:
        """The reference."""
        return Path(Shelf(self.root).catalogue.get(ONE).sources) / REFERENCE_NAME  # type: ignore[union-attr]

    def begin(self) -> DriftWatch:
        """A watch as a daemon that starts makes it."""
        references = References(Shelf(self.root).catalogue)
        sources = DriftSources(self.project, self.folder, references, self.journal, self.clock)
        return DriftWatch(sources, DriftBook(self.root / "drift.db"))

    def deploy(self, after: Deployment) -> None:
        """Have that run."""
        self.journal.finish("1", "done", self.clock.now(), after=after)

    def project(self) -> Project:
        """The project file as it is now."""
        return Project(self.root, models={"digits": self.model})

    def requests(self, count: int, by: float = 0.0) -> None:
        """Captures of single rows, each pixel brighter by so much; and a look at them."""
        lines = []
        for row in tensor_rows(count, seed=int(self._rng.integers(1 << 30))):
            inputs = [(np.array(row) + by).tolist()]
            known = {"id": "i", "request_id": "", "time": self.clock.now().isoformat(), "version": "digits@1"}
            lines.append(json.dumps({**known, "arm": "", "inputs": inputs, "outputs": [[0.2, 0.3, 0.5]]}))
        with self.segment.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def look(self, minutes: float = 2.0) -> Mapping[str, Any]:
        """Look after some minutes; what the status says."""
        self.clock.advance(minutes=minutes)
        self.watch.look()
        found: Mapping[str, Any] = self.watch.status("digits")["drift"]
        return found

    def state(self) -> str:
        """How the version is."""
        return str(self.watch.status("digits")["drift"]["versions"]["digits@1"]["state"])

    def windows(self) -> list[dict[str, Any]]:
        """The version's windows, the latest first."""
        found: list[dict[str, Any]] = self.watch.listed({"model": "digits"})["versions"]["digits@1"]["windows"]
        return found

    def events(self) -> list[str]:
        """The history, the oldest first."""
        return [event.action for event in reversed(self.journal.history("digits"))]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project with windows of 100 rows."""
    return World(tmp_path)


def without_answers(world: World) -> None:
    """Take the answers out of the reference: what this file writes as answers are none of the model's."""
    said = json.loads(world.file.read_text())
    world.file.write_text(json.dumps({**said, "answers": []}))


def test_a_shift_is_suspected_then_found_and_told_once(world: World) -> None:
    """Two windows in a row make a drift: one line of history, which makes an alert, however long it lasts."""
    without_answers(world)
    assert world.look()["is_drifting"] is None
    world.requests(100)
    assert world.look()["is_drifting"] is False
    assert world.state() == "clear"
    world.requests(100, by=0.3)
    assert world.look()["is_drifting"] is False
    assert world.state() == "suspected"
    for _ in range(3):
        world.requests(100, by=0.3)
        assert world.look()["is_drifting"] is True
    assert world.events() == ["drift"]
    (event,) = world.journal.history("digits")
    assert (event.actor, event.target) == ("turnout", "digits@1")
    assert "image: mean" in event.reason
    assert event.evidence["features"]
    alert = from_event(1, event.as_dict(), event.at)
    assert alert is not None
    assert (alert.kind, alert.version) == (AlertKind.DRIFT, "digits@1")


def test_a_drift_that_passes_is_over(world: World) -> None:
    """After two windows without any; that is no alert."""
    without_answers(world)
    for by in (0.3, 0.3, 0.0, 0.0):
        world.requests(100, by)
        world.look()
    assert world.state() == "clear"
    assert world.events() == ["drift", "drift over"]
    over = world.journal.history("digits")[0]
    assert from_event(2, over.as_dict(), over.at) is None


def test_a_version_in_reserve_drifts_no_more(world: World) -> None:
    """It gets no requests: what they were like when it did would else be an alarm for ever. A shadow is watched."""
    without_answers(world)
    two = Shelf(world.root).add(2, reference=100)
    for _ in range(2):
        world.requests(100, by=0.3)
        world.look()
    world.deploy(Deployment("digits", Phase.LIVE, champion=two, standbys=(ONE,)))
    found = world.look()
    assert list(found["versions"]) == ["digits@2"]
    assert found["is_drifting"] is None
    world.deploy(Deployment("digits", Phase.SHADOW, champion=two, candidate=ONE))
    assert world.look()["is_drifting"] is True


def test_answers_are_watched_as_well(world: World) -> None:
    """They are all alike here, and the rows are not: the drift is that of the answers."""
    world.requests(100)
    world.look()
    assert set(world.windows()[0]["drifted"]) == {"(prediction)", "(confidence)"}


def test_a_window_waits_for_its_rows_and_its_minute(world: World) -> None:
    """Whatever comes first; a busy minute makes one larger window."""
    without_answers(world)
    world.requests(99)
    world.look()
    assert world.windows() == []
    world.requests(1)
    world.look()
    assert [one["rows"] for one in world.windows()] == [100]
    world.requests(150)
    world.look(minutes=0.5)
    assert len(world.windows()) == 1
    world.requests(30)
    world.look(minutes=0.6)
    assert [one["rows"] for one in world.windows()] == [180, 100]


def test_more_than_a_window_takes_is_passed_over(world: World) -> None:
    """However busy it is, the work and what is held stay bounded, and the next window has rows of its own time."""
    without_answers(world)
    world.requests(100)
    world.look()
    for _ in range(6):
        world.requests(700)
        world.look(minutes=0.05)
    world.look(minutes=2)
    assert 2000 <= world.windows()[0]["rows"] <= 4000
    world.requests(100)
    world.look()
    assert world.windows()[0]["rows"] == 100


def test_a_clock_that_was_set_back_does_not_stop_it(world: World) -> None:
    """The last window seems to lie in the future."""
    world.requests(100)
    world.look()
    world.clock.time -= timedelta(days=1)
    world.requests(100)
    world.watch.look()
    assert len(world.windows()) == 2


def test_a_restart_goes_on_where_it_was(world: World) -> None:
    """No row counts twice, none is lost; what was suspected still is."""
    without_answers(world)
    world.requests(100, by=0.3)
    world.look()
    world.requests(60, by=0.3)
    world.look()
    world.watch.room.close()
    world.watch = world.begin()
    world.requests(40, by=0.3)
    assert world.look()["is_drifting"] is True
    assert [one["rows"] for one in world.windows()] == [100, 100]
    assert world.events() == ["drift"]


def test_an_event_that_was_not_written_is_written_later(world: World) -> None:
    """The daemon died, or the disk was full, between the window and the history: the next one tells it, once."""
    world.look()
    world.watch.room.close()
    book = DriftBook(world.root / "drift.db")
    event = {"model": "digits", "actor": "turnout", "action": "drift", "source": "", "target": "digits@1"}
    owed = {**event, "at": world.clock.now().isoformat(), "reason": "x", "evidence": {}}
    digest = References(Shelf(world.root).catalogue).of(ONE).digest
    book.keep(ONE, Counted(digest, owed=owed))
    book.close()
    world.watch = world.begin()
    world.look()
    world.look()
    assert world.events() == ["drift"]


def test_a_history_that_cannot_be_written_costs_no_row_and_no_event(world: World) -> None:
    """The window is kept and counts once; the event is told as soon as there is room."""
    without_answers(world)
    world.requests(100, by=0.3)
    world.look()
    world.requests(100, by=0.3)
    world.journal.is_full = True
    for _ in range(3):
        with pytest.raises(StorageFailed):
            world.look()
    world.journal.is_full = False
    assert world.look()["is_drifting"] is True
    assert [one["rows"] for one in world.windows()] == [100, 100]
    assert world.events() == ["drift"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": 2}', b"[" * 100_000],
    ids=["empty", "torn", "a list", "no text", "another schema", "too deep"],
)
def test_a_broken_reference_is_a_state_and_not_an_error(world: World, body: bytes) -> None:
    """It is said; when it is mended, the watch goes on by itself."""
    whole = world.file.read_bytes()
    world.file.write_bytes(body)
    world.requests(100)
    assert world.look()["is_drifting"] is None
    told = world.watch.listed({"model": "digits"})["versions"]["digits@1"]
    assert told["state"] == "no reference"
    assert told["says"].startswith(BROKEN)
    world.file.write_bytes(whole)
    world.look()
    assert len(world.windows()) == 1


def test_a_bento_without_a_reference_says_so(tmp_path: Path) -> None:
    """And how to get one."""
    world = World(tmp_path, reference=0)
    world.requests(100)
    says = world.look()["versions"]["digits@1"]["says"]
    assert says.startswith("no reference: its bento was packaged without one")
    assert "turnout package digits@1" in says


def test_a_bento_that_is_gone_is_a_state_too(world: World) -> None:
    """Nothing fails."""
    Shelf(world.root).catalogue.remove(ONE)
    world.look()
    assert world.state() == "no reference"


def test_another_reference_begins_anew(world: World) -> None:
    """What was counted in the bins of the old one means nothing in those of the new one: all is counted again."""
    world.requests(60)
    world.look()
    without_answers(world)
    world.requests(60)
    world.look()
    (window,) = world.windows()
    assert (window["rows"], window["drifted"]) == (120, [])
    assert {one["rows"] for one in window["features"]} == {120}


def test_what_is_no_capture_is_left_aside(world: World) -> None:
    """Half a line, a line of something else, rows of another form: the others count."""
    without_answers(world)
    world.requests(50)
    with world.segment.open("a") as file:
        file.write('nonsense\n{"id": 1}\n')
        known = {"id": "i", "request_id": "", "time": world.clock.now().isoformat(), "version": "digits@1", "arm": ""}
        file.write(json.dumps({**known, "inputs": [["a", "b"]], "outputs": [[1, 2, 3]]}) + "\n")
    world.look()
    world.requests(60)
    world.look()
    assert len(world.windows()) == 1


def test_a_broken_file_of_counts_is_said(world: World) -> None:
    """One clear error for the log; nothing else of the daemon is concerned."""
    world.watch.room.close()
    (world.root / "drift.db").write_bytes(b"no database at all, but text of some length" * 50)
    world.requests(100)
    with pytest.raises(StorageFailed, match=r"drift\.db"):
        world.look()


def test_it_can_be_switched_off(world: World) -> None:
    """In the project file, while it runs: nothing is read or said any more."""
    world.requests(100)
    world.look()
    world.model = replace(world.model, drift=DriftSettings(is_on=False))
    assert world.look() is None
    assert world.watch.listed({"model": "digits"})["settings"]["is_on"] is False


def test_where_nothing_is_kept_it_says_so(world: World) -> None:
    """A rate of 0 is why no window ever comes."""
    world.model = replace(world.model, capture=CaptureSettings(rate=0))
    assert "capture.rate is 0" in world.look()["versions"]["digits@1"]["says"]


def test_a_question_needs_a_model(world: World) -> None:
    """One of the project's."""
    with pytest.raises(BadInput, match="whose drift"):
        world.watch.listed({})
    with pytest.raises(NoSuchModel):
        world.watch.listed({"model": "credit"})
