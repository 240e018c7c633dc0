"""What `status`, `logs` and `history` show, and what they refuse."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import BadInput
from tests.cli.line import Line


def test_status_shows_one_model_or_all(line: Line) -> None:
    """A name narrows it; a model that never ran is empty; an unknown one is a wrong call."""
    assert set(line("status").json()["models"]) == {"digits"}
    assert set(line("status", "digits").json()["models"]) == {"digits"}
    assert line("status", "credit").json() == {"models": {}}
    with pytest.raises(BadInput, match="digist"):
        line("status", "digist")


def test_status_reads_well(line: Line) -> None:
    """The text has each version's weight, role and health, the phase and the URL; the page the same."""
    line.operator.models["digits"] |= {
        "operation": {"verb": "deploy", "ref": "digits@3", "step": 2, "steps": 4},
        "bake_until": "2026-01-02T03:04:05+00:00",
        "quarantined": {"digits@3": "it <lies>"},
    }
    text = line("status").text(width=120)
    for word in ("digits@2", "5 %", "canary", "ready", "http://127.0.0.1:3000/digits", "1 min", "step 2 of 4"):
        assert word in text
    assert "digits@3: it <lies>" in text
    page = line("status").html()
    assert "it &lt;lies&gt;" in page
    assert "<script" not in page


def test_logs_are_filtered_as_asked_and_need_no_daemon(line: Line) -> None:
    """One line a message, the latest last; times of this machine, shown in UTC."""
    write_log(line.root, "digits@2", {"time": "2026-01-01T12:00:00Z", "level": "INFO", "message": "old"})
    write_log(line.root, "digits@2", {"time": "2026-01-01T13:00:00Z", "level": "ERROR", "message": "Broken 7"})
    write_log(line.root, "daemon", {"time": "2026-01-01T12:30:00Z", "level": "WARNING", "message": "full"})
    assert line("logs", "digits@2", "-n", "1").text() == "2026-01-01 13:00:00.000Z ERROR digits@2 Broken 7"
    assert line("logs").text().splitlines() == [
        "2026-01-01 12:00:00.000Z INFO digits@2 old",
        "2026-01-01 12:30:00.000Z WARNING daemon full",
        "2026-01-01 13:00:00.000Z ERROR digits@2 Broken 7",
    ]
    assert [one["message"] for one in line("logs", "--level", "warning", "--grep", "BROKEN").json()["records"]] == [
        "Broken 7"
    ]
    assert [one["source"] for one in line("logs", "--since", "2026-01-01T12:30Z").json()["records"]] == [
        "daemon",
        "digits@2",
    ]
    assert [one["message"] for one in line("logs", "--until", "2026-01-01T12:30Z").json()["records"]] == ["old"]
    assert line("logs", "--since", "10m").text() == "Nothing was written that was asked for."
    assert line.operator.asked == []


def test_a_summary_of_the_logs_names_what_is_new(line: Line) -> None:
    """Compared with the version before."""
    write_log(line.root, "digits@1", {"message": "ready 1"})
    for number in (1, 2):
        write_log(line.root, "digits@2", {"message": f"ready {number}"})
        write_log(line.root, "digits@2", {"message": f"odd row {number}", "level": "WARNING"})
    view = line("logs", "digits@2", "--summary")
    assert view.json()["compared"] == {"digits@2": "digits@1"}
    assert [(one["template"], one["count"], one["new"]) for one in view.json()["templates"]] == [
        ("odd row <*>", 2, True),
        ("ready <*>", 2, False),
    ]
    assert "4 messages, 2 different ones. 1 new: compared were digits@2 with digits@1." in view.text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--level", "loud"], "the levels are DEBUG"),
        (["--since", "soon"], "is no moment"),
        (["--since", "1h", "--until", "2h"], "--until comes after --since"),
        (["-n", "0"], "at least 1"),
        (["-f", "--summary"], "exclude each other"),
        (["-f"], "a cell cannot follow"),
        (["nothing@1"], "no model 'nothing'"),
    ],
)
def test_a_wrong_question_to_the_logs_is_refused(line: Line, options: list[str], said: str) -> None:
    """With what would be right; a door without a terminal follows nothing."""
    with pytest.raises(BadInput, match=said):
        line("logs", *options)


def test_following_ends_with_ctrl_c_and_without_an_error(line: Line) -> None:
    """In a real process: each message is one line of JSON, also one that comes later."""
    write_log(line.root, "digits@2", {"time": "2026-01-01T12:00:00Z", "level": "INFO", "message": "old"})
    command = [sys.executable, "-m", "pipelines.cli", "logs", "digits@2", "-f", "--json"]
    with subprocess.Popen(command, cwd=line.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert json.loads(process.stdout.readline())["records"][0]["message"] == "old"
            write_log(line.root, "digits@2", {"message": "new"})
            assert json.loads(process.stdout.readline())["records"][0]["message"] == "new"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def write_log(root: Path, source: str, record: dict[str, str]) -> None:
    """Append a message to a log of the project."""
    folder = root / ".turnout" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{source}.log").open("a") as log:
        log.write(json.dumps(record) + "\n")


def test_the_history_is_a_table(line: Line) -> None:
    """With who did it; for programs it is a list."""
    line.operator.events = [
        {"model": "digits", "at": "2026-01-02T03:04:05+00:00", "actor": "anna", "action": "deploy", "to": "digits@2"}
    ]
    assert "anna" in line("history", "digits").text()
    assert line("history", "digits").json() == line.operator.events
    assert "Nothing has happened" in line("history", "credit").text()
