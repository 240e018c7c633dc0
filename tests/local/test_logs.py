"""Logs are read whatever is in them: across their cutting, half-written, binary, huge, empty."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from pipelines.local.logs import LONGEST_MESSAGE, LogFiles
from pipelines.local.process import trim_log
from pipelines.local.said import say
from pipelines.serving.logs import JsonLines
from pipelines.values import VersionRef
from pipelines.values.logs import LogRecord

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TWO = VersionRef("digits", 2)


def line(message: str, minute: int = 0, **more: str) -> str:
    """A structured line."""
    time = NOON.replace(minute=minute).isoformat()
    return json.dumps({"time": time, "level": "WARNING", "logger": "a.b", "message": message, **more}) + "\n"


def read(folder: Path, content: str | bytes, source: str = "digits@2") -> list[LogRecord]:
    """What a log with this content says."""
    path = folder / f"{source}.log"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return LogFiles(folder).read(source)


def test_what_a_host_writes_is_read_back(tmp_path: Path) -> None:
    """Message, level, logger, request and traceback, as one line each."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines("digits@2"))
    logger = logging.Logger("turnout.test")
    logger.addHandler(handler)
    logger.info("two\nlines: %s", "ü")
    try:
        raise ValueError("row 7")
    except ValueError:
        logger.exception("it failed", extra={"request_id": "abc"})
    assert stream.getvalue().count("\n") == 2
    first, second = read(tmp_path, stream.getvalue())
    assert (first.message, first.level, first.logger, first.request_id) == ("two\nlines: ü", "INFO", "turnout.test", "")
    assert first.as_dict()["version"] == "digits@2"
    assert second.request_id == "abc"
    assert second.level == "ERROR"
    assert second.message.startswith("it failed\nTraceback")
    assert second.message.endswith("ValueError: row 7")
    assert first.time is not None
    assert abs((datetime.now(UTC) - first.time).total_seconds()) < 3600


def test_what_user_code_prints_is_a_message_too(tmp_path: Path) -> None:
    """With the time of the message before it; before the first, of the one after."""
    found = read(tmp_path, "early\n" + line("a", 5) + "loading rows\n" + line("b", 6) + "late\n")
    assert [(one.message, one.level, one.time and one.time.minute) for one in found] == [
        ("early", "INFO", 5),
        ("a", "WARNING", 5),
        ("loading rows", "INFO", 5),
        ("b", "WARNING", 6),
        ("late", "INFO", 6),
    ]


def test_without_any_time_it_is_the_files_own(tmp_path: Path) -> None:
    """When it was last written."""
    (tmp_path / "digits@2.log").write_text("plain\n")
    os.utime(tmp_path / "digits@2.log", (NOON.timestamp(), NOON.timestamp()))
    (found,) = LogFiles(tmp_path).read("digits@2")
    assert found.time == NOON


def test_a_traceback_is_one_error(tmp_path: Path) -> None:
    """Also one that another follows, and one whose end is missing."""
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1\n    f()\n'
    both = f"{trace}ValueError: one\n\nDuring handling of this another came:\n\n{trace}my.OtherError: two\n"
    found = read(tmp_path, f"before\n{both}after\n{trace}{line('next')}")
    assert [(one.level, one.message.splitlines()[-1]) for one in found] == [
        ("INFO", "before"),
        ("ERROR", "ValueError: one"),
        ("INFO", "During handling of this another came:"),
        ("ERROR", "my.OtherError: two"),
        ("INFO", "after"),
        ("ERROR", "    f()"),
        ("WARNING", "next"),
    ]


@pytest.mark.parametrize(
    ("said", "level", "message"),
    [
        ("2026-01-01 12:00:00,250 WARNING older hosts wrote this", "WARNING", "older hosts wrote this"),
        (
            "[2026-01-01 12:00:00.250][77][critical][main] [source/server.cc:1] no",
            "CRITICAL",
            "[source/server.cc:1] no",
        ),
        ("[2026-01-01 12:00:00.250][77][info][main] yes", "INFO", "yes"),
    ],
)
def test_other_writers_levels_and_local_times_are_understood(
    tmp_path: Path, said: str, level: str, message: str
) -> None:
    """The gateway's, and those of hosts with logging of their own."""
    (found,) = read(tmp_path, f"{said}\n")
    assert (found.level, found.message) == (level, message)
    assert found.time == datetime(2026, 1, 1, 12, 0, 0, 250_000).astimezone(UTC)


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ("ServeFailed: the model cannot be loaded.", "ERROR"),
        ("numpy.linalg.LinAlgError: singular", "ERROR"),
        ("/x/y.py:12: UserWarning: careful", "WARNING"),
        ("0 errors", "INFO"),
        ('{"json": "but no record"}', "INFO"),
        ('{"message": 7}', "INFO"),
        ("{broken", "INFO"),
    ],
)
def test_the_level_of_a_plain_line_is_what_it_looks_like(tmp_path: Path, said: str, level: str) -> None:
    """And the line is the message."""
    (found,) = read(tmp_path, f"{said}\n")
    assert (found.level, found.message) == (level, said)


def test_strange_records_do_no_harm(tmp_path: Path) -> None:
    """A level or a time that is none."""
    strange = {"time": "yesterday", "level": "LOUD", "message": "m", "logger": None, "request_id": 5}
    found = read(tmp_path, line("first", 3) + json.dumps(strange) + "\n")
    assert (found[1].level, found[1].time, found[1].request_id) == ("INFO", NOON.replace(minute=3), "5")


def test_a_half_written_record_waits_and_a_half_written_line_is_shown(tmp_path: Path) -> None:
    """The one is no message yet; the other may never get its end."""
    assert [one.message for one in read(tmp_path, line("whole") + '{"time": "2026')] == ["whole"]
    assert [one.message for one in read(tmp_path, line("whole") + "loading ...")] == ["whole", "loading ..."]


def test_empty_binary_and_huge_are_read(tmp_path: Path) -> None:
    """An empty log says nothing; bytes that are no text are replaced; a huge message is cut and says so."""
    assert read(tmp_path, "") == []
    assert LogFiles(tmp_path / "nowhere").sources() == []
    (found,) = read(tmp_path, b"\xff\xfe\x00\x01 text\r\n")
    assert found.message == "\ufffd\ufffd\x00\x01 text"
    (huge,) = read(tmp_path, "x" * 3_000_000)
    assert len(huge.message) < LONGEST_MESSAGE + 100
    assert huge.message.endswith("2,990,000 characters more")


def test_reading_goes_across_the_cut(tmp_path: Path) -> None:
    """What is kept of a log that has grown too long begins with a whole message, and comes before what is new."""
    path = tmp_path / "digits@2.log"
    path.write_text("".join(line(f"message {number}") for number in range(1000)))
    trim_log(path, 50_000)
    with path.open("a") as log:
        log.write(line("after"))
    found = [one.message for one in LogFiles(tmp_path).read("digits@2")]
    assert found[-2:] == ["message 999", "after"]
    assert len(found) > 200
    assert found == [f"message {number}" for number in range(1001 - len(found), 1000)] + ["after"]
    assert [one.message for one in LogFiles(tmp_path).read("digits@2", last_bytes=250)][-1] == "after"


def test_only_logs_of_what_runs_are_read(tmp_path: Path) -> None:
    """Versions, gateway, daemon; also one of which only the cut part is left."""
    for name in ("digits@2.log", "credit@11.log.1", "daemon.log", "gateway.log", "gateway-failures.jsonl", "notes.log"):
        (tmp_path / name).touch()
    assert LogFiles(tmp_path).sources() == ["credit@11", "daemon", "digits@2", "gateway"]
    assert LogFiles(tmp_path).sources(TWO) == ["digits@2"]


def test_following_misses_nothing(tmp_path: Path) -> None:
    """What is there, what comes, a line in two parts, a cut in between, a new log."""
    path = tmp_path / "digits@2.log"
    path.write_text("".join(line("old") for _ in range(20)))
    following = LogFiles(tmp_path).follow(None)

    def come(text: str, to: Path = path) -> list[str]:
        with to.open("a") as log:
            log.write(text)
        return [one.message for one in following.new()]

    assert come("") == ["old"] * 20
    assert come("") == []
    assert come(line("one") + "half") == ["one"]
    assert come(" and half\n") == ["half and half"]
    with path.open("a") as log:
        log.write(line("before the cut"))
    trim_log(path, 2000)
    assert come(line("after the cut")) == ["before the cut", "after the cut"]
    assert come(line("new"), tmp_path / "gateway.log") == ["new"]
    path.unlink()
    assert come(line("again")) == ["again"]


def test_what_the_daemon_says_is_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Level, version, operation and time; two lines are one message."""
    say("deploy digits: ServeFailed: it\nended", version="digits@2", request_id="op-1")
    say("it ends", "INFO")
    written = capsys.readouterr().err
    assert written.count("\n") == 2
    first, second = read(tmp_path, written, "daemon")
    assert (first.message, first.level, first.logger) == (
        "deploy digits: ServeFailed: it\nended",
        "WARNING",
        "turnout.daemon",
    )
    told = first.as_dict()
    assert (told["source"], told["version"], told["request_id"]) == ("daemon", "digits@2", "op-1")
    assert first.time is not None
    assert (second.level, second.as_dict()["version"], second.as_dict()["request_id"]) == ("INFO", None, None)
