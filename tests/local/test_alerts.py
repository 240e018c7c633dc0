"""Alerts through a real journal to real servers: that hang, refuse, fail and come back."""

from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import BadInput, StorageFailed
from pipelines.local.alerts.room import AlertRoom, AlertSources
from pipelines.local.alerts.sender import Sender
from pipelines.local.journal import MIGRATIONS, Event, Journal
from pipelines.local.outbox import Pace
from pipelines.values.alerts import Alert, AlertKind, Alerts
from tests.fakes import FakeClock, running
from tests.local.live import eventually
from tests.local.receiver import mail, webhook


@dataclass
class Office:
    """A room over a journal, its rules and its clock to be changed."""

    path: Path
    rules: Alerts = Alerts()
    clock: FakeClock = field(default_factory=FakeClock)
    models: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    free: int = 10**12
    sender: Sender | None = None
    pace: Pace = Pace(first=0.01, longest=0.05, attempts=4)

    def __post_init__(self) -> None:
        self.journal = Journal(self.path / "state.db")
        self.open()

    def open(self) -> None:
        """Have a daemon's room, a new one where there was one."""
        sources = AlertSources(lambda: self.rules, self.journal, self.status, self.path, self.clock, self.environment)
        self.room = AlertRoom(sources, self.sender, self.pace, lambda _: self.free, lambda: self.seconds)

    def status(self) -> Mapping[str, Any]:
        """What runs."""
        return {"models": self.models}

    def note(self, action: str, target: str = "digits@1", source: str = "digits@2") -> None:
        """A line of the history."""
        self.journal.note(Event(self.clock.now(), "digits", "anna", action, source, target, "worse on sevens", {}))

    def raised(self) -> list[dict[str, Any]]:
        """All alerts, the oldest first."""
        found: list[dict[str, Any]] = self.room.listed({})["alerts"]
        return found[::-1]

    def states(self) -> list[str]:
        """What came of the latest one, by target."""
        return [one["state"] for one in self.raised()[-1]["targets"]]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Without a target yet."""
    made = Office(tmp_path)
    yield made
    made.journal.close()


def test_a_rollback_is_told_once(office: Office) -> None:
    """Its version, reason and id arrive; neither the next look nor the next daemon tells it again."""
    with webhook(200) as hook:
        office.rules = Alerts((hook.url,))
        office.note("deploy")
        office.note("rollback")
        for _ in range(2):
            office.room.watch()
            office.room.deliver_alerts()
        office.open()
        office.room.watch()
        office.room.deliver_alerts()
        (got,) = hook.got
    assert got["title"] == "Turnout: digits@2: rolled back to digits@1"
    assert "worse on sevens" in got["message"]
    assert (got["event"], got["ref"], got["type"]) == ("rollback", "digits@2", "warning")
    assert got["id"] in got["message"]
    assert office.states() == ["sent"]


def test_an_event_that_is_not_wanted_is_not_told(office: Office) -> None:
    """`events` chooses; a line that was passed over is not told when it is wanted later."""
    office.rules = Alerts(("json://nowhere",), events=frozenset({AlertKind.DRIFT}))
    office.note("rollback")
    office.room.watch()
    office.rules = Alerts(("json://nowhere",))
    office.room.watch()
    assert office.raised() == []


def test_the_same_is_told_again_after_the_quiet_time(office: Office) -> None:
    """Of two rollbacks of one version within half an hour one is told; another version's is told at once."""
    office.rules = Alerts(("json://nowhere",))
    for minutes, source in ((0, "digits@2"), (10, "digits@2"), (1, "digits@3"), (30, "digits@2")):
        office.clock.advance(minutes=minutes)
        office.note("rollback", source=source)
        office.room.watch()
    assert [one["version"] for one in office.raised()] == ["digits@2", "digits@3", "digits@2"]


def test_a_clock_that_was_set_back_silences_nothing(office: Office) -> None:
    """An earlier alert that lies in the future is no reason to be quiet."""
    office.rules = Alerts(("json://nowhere",))
    office.note("rollback")
    office.room.watch()
    office.clock.advance(hours=-5)
    office.note("rollback")
    office.room.watch()
    assert len(office.raised()) == 2


def test_a_webhook_that_fails_is_tried_again(office: Office) -> None:
    """500, then 200: it arrives by the second attempt, with the same id."""
    with webhook(500, 200) as hook:
        office.rules = Alerts((hook.url,))
        office.note("rollback")
        office.room.watch()
        office.room.deliver_alerts()
        assert office.states() == ["waiting"]
        assert "500" in office.raised()[0]["targets"][0]["error"]
        office.seconds += 1
        office.room.deliver_alerts()
        assert office.states() == ["sent"]
        office.seconds += 1
        office.room.deliver_alerts()
        assert len(hook.got) == 2
        assert len(set(hook.ids)) == 1


def test_a_target_is_not_asked_again_before_its_time(office: Office) -> None:
    """The wait doubles: a target that is down is not stormed."""
    office.pace = Pace(first=10.0, longest=600.0)
    office.open()
    with webhook(500) as hook:
        office.rules = Alerts((hook.url,))
        office.note("rollback")
        office.room.watch()
        for seconds, tried in ((0, 1), (9, 1), (2, 2), (19, 2), (2, 3)):
            office.seconds += seconds
            office.room.deliver_alerts()
            assert len(hook.got) == tried


def test_who_refuses_is_given_up_with_a_line_in_the_log(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    """After the last attempt it is tried no more; the log and the list say why, without the address."""
    office.rules = Alerts(("json://127.0.0.1:1/secret-token",))
    office.note("rollback")
    office.room.watch()
    for _ in range(6):
        office.seconds += 1
        office.room.deliver_alerts()
    assert office.states() == ["given up"]
    (fate,) = office.raised()[0]["targets"]
    assert fate["attempts"] == 4
    said = capsys.readouterr().err
    assert "alert to 1 (json)" in said
    assert "given up after 4 attempts" in said
    assert "secret-token" not in said + str(office.raised())


def test_a_webhook_that_hangs_holds_up_no_other(office: Office) -> None:
    """Its sender is ended after its time; the other target has got its message, and serving does not wait."""
    office.sender = Sender(seconds=2.0)
    office.open()
    with webhook("hang") as hung, webhook(200) as well:
        office.rules = Alerts((hung.url, well.url))
        office.note("rollback")
        office.room.watch()
        office.room.deliver_alerts()
        assert office.states() == ["waiting", "sent"]
        assert office.raised()[0]["targets"][0]["error"] == "no answer within 2 s"
        assert len(hung.got) == 1


def test_secrets_come_from_the_environment(office: Office) -> None:
    """`$NAME` in an address is filled in when it is sent; without it the error names the variable."""
    with webhook(200) as hook:
        office.rules = Alerts(("$HOOK", "json://${HOST}:1/x"))
        office.environment["HOOK"] = hook.url
        told = office.room.test({})["targets"]
        assert len(hook.got) == 1
    assert [one["target"] for one in told] == ["1 ($HOOK)", "2 (json)"]
    assert told[0]["error"] is None
    assert "the environment variable HOST is not set" in told[1]["error"]
    with sqlite3.connect(office.path / "state.db") as db:
        assert hook.url not in "".join(db.iterdump())


def test_a_plain_address_gets_json(office: Office) -> None:
    """A webhook of one's own needs no special address."""
    with webhook(200) as hook:
        office.rules = Alerts((hook.url.replace("json://", "http://"),))
        assert office.room.test({})["targets"][0]["error"] is None
        assert hook.got[0]["event"] == "test"


@pytest.mark.parametrize("scheme", ["http", "https", "json"])
def test_an_address_that_cannot_be_reached_is_not_shown(office: Office, scheme: str) -> None:
    """A webhook's path often is its secret: neither the answer nor the journal has it."""
    office.rules = Alerts((f"{scheme}://127.0.0.1:1/secret-token",))
    (told,) = office.room.test({})["targets"]
    assert "127.0.0.1" in told["error"]
    office.note("rollback")
    office.room.watch()
    office.room.deliver_alerts()
    assert office.states() == ["waiting"]
    with sqlite3.connect(office.path / "state.db") as db:
        assert "secret-token" not in "".join((str(told), str(office.raised()), *db.iterdump()))


def test_mail_arrives(office: Office) -> None:
    """A real server gets a letter with title, reason and id."""
    with mail() as server:
        to = urllib.parse.urlencode({"from": "turnout@example.org", "to": "anna@example.org", "mode": "insecure"})
        office.rules = Alerts((f"mailto://127.0.0.1:{server.port}?smtp=127.0.0.1&{to}",))
        office.note("rollback")
        office.room.watch()
        office.room.deliver_alerts()
        assert office.states() == ["sent"], office.raised()
        (letter,) = server.letters
    assert "To: anna@example.org" in letter
    assert "rolled back" in letter


@pytest.mark.parametrize("url", ["nonsense://x", "slack://bad"])
def test_an_address_that_is_none_is_told(office: Office, url: str) -> None:
    """By `turnout alerts test`, without the address itself."""
    office.rules = Alerts((url,))
    (told,) = office.room.test({})["targets"]
    assert "no address that Apprise can send to" in told["error"]


def test_a_test_needs_somebody_to_tell(office: Office) -> None:
    """The error says where targets are written."""
    with pytest.raises(BadInput, match=r"\[tool.turnout.alerts\]"):
        office.room.test({})


def test_a_command_may_hand_an_alert_over_twice(office: Office) -> None:
    """It is known by its id: one is raised."""
    office.rules = Alerts(("json://nowhere",), quiet_minutes=0)
    alert = Alert(
        "gates-1", AlertKind.GATE_FAILED, "digits", "digits@3", "a gate failed", "accuracy", office.clock.now()
    )
    assert office.room.take(alert.as_dict()) == {"raised": True}
    assert office.room.take(alert.as_dict()) == {"raised": False}
    assert len(office.raised()) == 1
    with pytest.raises(BadInput, match="this is no alert"):
        office.room.take({"id": "x"})


def test_a_target_that_is_taken_out_is_told_no_more(office: Office) -> None:
    """What waits for it is dropped."""
    with webhook(500, 200) as hook:
        office.rules = Alerts((hook.url,))
        office.note("rollback")
        office.room.watch()
        office.room.deliver_alerts()
        office.rules = Alerts()
        office.seconds += 1
        office.room.deliver_alerts()
        assert len(hook.got) == 1
        assert office.room.listed({})["waiting"] == 0


def test_what_waits_is_sent_by_the_next_daemon(office: Office) -> None:
    """The journal has it, at once and with the same id, whatever the wait was."""
    office.pace = Pace(first=600.0)
    office.open()
    with webhook(500, 200) as hook:
        office.rules = Alerts((hook.url,))
        office.note("rollback")
        office.room.watch()
        office.room.deliver_alerts()
        office.open()
        office.room.deliver_alerts()
        assert office.states() == ["sent"]
        assert len(set(hook.ids)) == 1


def fill_up(journal: Journal) -> None:
    """Let it grow no more, and use what room its alerts have."""
    size = journal.rows("PRAGMA page_count")[0][0]
    journal.rows(f"PRAGMA max_page_count = {size}")
    for number in range(1000):
        try:
            with journal.transaction("filling it") as db:
                db.execute("INSERT INTO alerts VALUES (?, '', '', '')", (f"a{number}",))
        except StorageFailed:
            return
    pytest.fail("it is never full")


def test_a_full_disk_is_told_without_the_journal(office: Office) -> None:
    """The journal cannot be written any more: the alert of the full disk is sent once all the same."""
    office.free = 10**6
    with webhook(200) as hook:
        office.rules = Alerts((hook.url,))
        fill_up(office.journal)
        with pytest.raises(StorageFailed):
            office.room.watch()
        eventually(lambda: hook.got, "the alert arrives")
        assert hook.got[0]["event"] == "disk_low"


def test_an_older_journal_tells_nothing_of_its_past(tmp_path: Path) -> None:
    """What happened before there were alerts is history."""
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1;")
        db.execute(
            "INSERT INTO events VALUES (7, '2026-01-01T00:00:00+00:00', 'digits', '', 'rollback', '', '', '', '{}')"
        )
        db.commit()
    office = Office(tmp_path, Alerts(("json://nowhere",)))
    office.room.watch()
    assert office.raised() == []
    office.note("rollback")
    office.room.watch()
    assert len(office.raised()) == 1
    office.journal.close()


def test_old_alerts_are_forgotten(office: Office) -> None:
    """A thousand are kept, with their messages: a journal does not grow for ever."""
    office.rules = Alerts(("json://nowhere",), quiet_minutes=0)
    for number in range(1010):
        alert = Alert(
            f"a{number}", AlertKind.DRIFT, "digits", "", "t", "x", office.clock.now() + timedelta(seconds=number)
        )
        assert office.room.take(alert.as_dict())["raised"]
    assert len(office.journal.rows("SELECT id FROM alerts")) == 1000
    assert len(office.journal.rows("SELECT id FROM outbox")) == 1000


def test_what_is_seen_is_told(office: Office) -> None:
    """A version that is given up, as the status has it, becomes an alert by the room's own look."""
    office.rules = Alerts(("json://nowhere",))
    office.models["digits"] = {"phase": "live", "versions": {"digits@2": {**running(100), "health": "failed"}}}
    office.room.watch()
    assert [one["event"] for one in office.raised()] == ["crash_loop"]
