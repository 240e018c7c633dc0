"""logs: the last messages, those that come, and a summary that knows what is new."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.adapters.templates import DrainTemplates
from pipelines.errors import Refused
from pipelines.local.logs import LogFiles
from pipelines.stages.logs import follow, read, summarize_logs
from pipelines.values import VersionRef
from pipelines.values.logs import LogQuery, LogRecord

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SEVEN = VersionRef("digits", 7)


def write(folder: Path, source: str, *messages: str, level: str = "INFO") -> None:
    """Append messages, a second apart."""
    with (folder / f"{source}.log").open("a") as log:
        for number, message in enumerate(messages):
            time = (NOON + timedelta(seconds=number)).isoformat()
            log.write(json.dumps({"time": time, "level": level, "message": message}) + "\n")


def test_the_last_lines_of_all_logs_are_the_latest(tmp_path: Path) -> None:
    """Merged by time; a filter looks at all that is there before the last are taken."""
    write(tmp_path, "digits@7", *(f"seven {number}" for number in range(2000)))
    write(tmp_path, "daemon", "the daemon's first")
    logs = LogFiles(tmp_path)
    assert [one.message for one in read(LogQuery(lines=2), logs)] == ["seven 1998", "seven 1999"]
    assert [one.message for one in read(LogQuery(lines=2, grep="first"), logs)] == ["the daemon's first"]
    assert [one.message for one in read(LogQuery(SEVEN, lines=1, until=NOON + timedelta(seconds=1)), logs)] == [
        "seven 0"
    ]


def test_following_shows_the_last_and_then_what_comes(tmp_path: Path) -> None:
    """Until somebody interrupts it; the filter holds for both."""
    write(tmp_path, "digits@7", "a1", "b", "a2")
    said: list[list[str]] = []

    def pause(_: float) -> None:
        if len(said) > 1:
            raise KeyboardInterrupt
        write(tmp_path, "digits@7", "b", "a3")

    def say(records: list[LogRecord]) -> None:
        said.append([one.message for one in records])

    with pytest.raises(KeyboardInterrupt):
        follow(LogQuery(grep="a", lines=1), LogFiles(tmp_path), say, pause=pause)
    assert said == [["a2"], ["a3"]]


def test_a_summary_says_what_the_version_before_did_not(tmp_path: Path) -> None:
    """Numbers and names differ within a template; compared is the newest version shown with the one before it."""
    for number in (3, 6, 7):
        ready = [f"digits@{number} is ready, PID {pid}" for pid in range(100, 103)]
        write(tmp_path, f"digits@{number}", *ready)
    write(tmp_path, "digits@3", "the row of anna is odd", level="WARNING")
    write(tmp_path, "digits@7", *(f"the row of {name} is odd" for name in ("anna", "bob", "eve")), level="WARNING")
    write(tmp_path, "digits@10", "of another summary")
    found = summarize_logs(LogQuery(SEVEN), LogFiles(tmp_path), DrainTemplates())
    assert found.before == {"digits@7": "digits@6"}
    assert found.messages == 6
    assert [(one.text, one.count, one.is_new) for one in found.templates] == [
        ("the row of <*> is odd", 3, True),
        ("digits@<*> is ready, PID <*>", 3, False),
    ]
    assert (found.templates[0].first, found.templates[0].last) == (NOON, NOON + timedelta(seconds=2))


def test_a_first_version_and_the_daemon_are_compared_with_nothing(tmp_path: Path) -> None:
    """Then nothing is called new."""
    write(tmp_path, "digits@1", "hello")
    write(tmp_path, "daemon", "hello")
    (found,) = summarize_logs(LogQuery(), LogFiles(tmp_path), DrainTemplates()).templates
    assert (found.is_new, found.by_source) == (None, {"digits@1": 1, "daemon": 1})


def test_a_version_that_never_ran_has_no_log(tmp_path: Path) -> None:
    """Whoever asks for a wrong one is told which there are, and not that nothing was written."""
    with pytest.raises(Refused, match=r"digits@7 has written no log\. A version"):
        read(LogQuery(SEVEN), LogFiles(tmp_path))
    write(tmp_path, "digits@3", "a")
    write(tmp_path, "digits@6", "a")
    write(tmp_path, "credit@7", "a")
    with pytest.raises(Refused, match=r"digits@7 has written no log; there are those of digits@3, digits@6\."):
        read(LogQuery(SEVEN), LogFiles(tmp_path))
    with pytest.raises(Refused, match="digits@7 has written no log"):
        summarize_logs(LogQuery(SEVEN), LogFiles(tmp_path), DrainTemplates())


def test_a_summary_of_nothing_is_empty(tmp_path: Path) -> None:
    """No log, no message."""
    assert summarize_logs(LogQuery(), LogFiles(tmp_path), DrainTemplates()).templates == []
