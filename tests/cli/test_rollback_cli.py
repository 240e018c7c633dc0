"""`turnout rollback`: to the version before, to one that is named, and to what was live at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from pipelines.errors import BadInput, Refused, TurnoutError
from pipelines.views import PlanView, View
from tests.cli.line import Line, entry
from tests.fakes import running


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"to": None, "reason": "", "quarantine": True}),
        (["--to", "digits@3"], {"to": "digits@3"}),
        (["--reason", "it lies"], {"reason": "it lies"}),
        (["--no-quarantine"], {"quarantine": False}),
    ],
)
def test_a_rollback_never_asks(line: Line, options: list[str], expected: dict[str, Any]) -> None:
    """It goes through at once, also where nobody could be asked."""
    line("rollback", "digits", *options)
    assert line.operator.asked[0][0] == "rollback"
    assert expected.items() <= line.asked.items()


@pytest.mark.parametrize(
    ("to", "error"),
    [("credit@1", BadInput), ("digits@9", Refused), ("digits@latest@3", BadInput), ("digits", BadInput)],
)
def test_a_rollback_to_nowhere_is_refused(line: Line, to: str, error: type[TurnoutError]) -> None:
    """Another model's version, an unpackaged one and nonsense are no goals."""
    with pytest.raises(error):
        line("rollback", "digits", "--to", to)
    assert line.operator.asked == []


BEGINNING = "2026-01-01T00:00:00+00:00"


def back(line: Line, when: str, ref: str | None, *options: str, begins: str | None = BEGINNING) -> View:
    """Roll back to a time, of which the daemon knows this."""
    line.operator.answers["live_at"] = {"ref": ref, "begins": begins}
    return line("rollback", "digits", "--to-time", when, *options)


def test_a_rollback_to_a_time_goes_to_what_was_live_then(line: Line) -> None:
    """The daemon is asked for the moment that was meant; answer and record say version, time and zone."""
    view = back(line, "2026-01-31 14:00", "digits@3", "--no-quarantine")
    question, order = line.operator.asked
    assert question[:2] == ("ask", "live_at")
    assert datetime.fromisoformat(question[2]["at"]) == datetime(2026, 1, 31, 14).astimezone()
    assert order[:2] == ("rollback", "digits")
    assert order[2]["to"] == "digits@3"
    assert order[2]["quarantine"] is False
    assert order[2]["reason"].startswith("back to digits@3, which was live at 2026-01-31 14:00:00")
    said = view.text().partition("\n")[0]
    assert said.startswith("Back to what was live at 2026-01-31 14:00:00")
    assert "local time): digits@3" in said
    assert view.json()["said"].startswith("Back to what was live")


def test_a_persons_reason_is_kept_and_a_dry_run_changes_nothing(line: Line) -> None:
    """As with every rollback."""
    view = back(line, "2h", "digits@3", "--reason", "it lies", "--dry-run")
    assert isinstance(view, PlanView)
    (_, _, order) = line.operator.asked[-1]
    assert (order["reason"], order["dry_run"]) == ("it lies", True)


@pytest.mark.parametrize(
    ("when", "ref", "begins", "error", "said"),
    [
        (
            "a while ago",
            "digits@3",
            "2026-01-01T00:00:00+00:00",
            BadInput,
            "'a while ago' is no moment.*yesterday 14:00",
        ),
        ("2999-01-01", "digits@3", BEGINNING, BadInput, "2999-01-01 00:00:00.*still to come"),
        (
            "2026-01-01",
            None,
            "2026-01-09T12:00:00+00:00",
            Refused,
            "nothing of digits was live.*first version.*2026-01-09",
        ),
        ("2026-01-10", None, "2026-01-09T12:00:00+00:00", Refused, "nothing of digits was live.*stopped"),
        ("2h", None, None, Refused, "never deployed.*turnout deploy digits@N"),
        (
            "2h",
            "digits@9",
            "2026-01-01T00:00:00+00:00",
            Refused,
            "digits@9 was live at.*pruned.*turnout versions digits",
        ),
    ],
)
def test_a_time_without_a_version_is_refused(
    line: Line, when: str, ref: str | None, begins: str | None, error: type[TurnoutError], said: str
) -> None:
    """Nonsense, the future, a time before the first version or with none, and a version that is gone."""
    with pytest.raises(error, match=said):
        back(line, when, ref, begins=begins)
    assert [asked for asked in line.operator.asked if asked[0] != "ask"] == []


def test_what_was_live_then_and_still_is_needs_nothing(line: Line) -> None:
    """Asked twice, the second time changes nothing and says so; a canary beside it is still called off."""
    assert "digits@1" in back(line, "2h", "digits@1").text()
    assert line.operator.asked[-1][0] == "rollback"
    line.operator.models["digits"] = entry(digits_1=running(100))
    line.operator.asked.clear()
    assert "is live now: nothing was changed" in back(line, "2h", "digits@1").text()
    assert isinstance(back(line, "2h", "digits@1", "--dry-run"), PlanView)
    assert {asked[0] for asked in line.operator.asked} == {"ask"}


def test_a_version_and_a_time_exclude_each_other(line: Line) -> None:
    """Nobody is asked."""
    with pytest.raises(BadInput, match="exclude each other"):
        back(line, "2h", "digits@1", "--to", "digits@3")
    assert line.operator.asked == []
