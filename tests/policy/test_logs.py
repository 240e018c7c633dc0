"""Which messages are shown, and which say the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.errors import BadInput
from pipelines.policy.logs import last, masked, select, summarize
from pipelines.values.logs import LogQuery, LogRecord

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def record(message: str, minute: int | None = 0, level: str = "INFO", source: str = "digits@2") -> LogRecord:
    """A message some minutes after noon."""
    return LogRecord(source, message, level, None if minute is None else NOON + timedelta(minutes=minute))


def shown(query: LogQuery) -> list[str]:
    """What is left of five messages."""
    records = [
        record("a", 0, "DEBUG"),
        record("Brown Fox", 1),
        record("c", 2, "WARNING"),
        record("d", 3, "ERROR"),
        record("timeless", None, "CRITICAL"),
    ]
    return [one.message for one in select(records, query)]


def test_a_level_shows_what_is_graver_too() -> None:
    """Each level has its own boundary."""
    assert shown(LogQuery(level="DEBUG")) == ["a", "Brown Fox", "c", "d", "timeless"]
    assert shown(LogQuery(level="INFO")) == ["Brown Fox", "c", "d", "timeless"]
    assert shown(LogQuery(level="ERROR")) == ["d", "timeless"]


def test_a_stretch_of_time_takes_its_beginning_and_leaves_its_end() -> None:
    """What has no time at all lies in no stretch."""
    assert shown(LogQuery(since=NOON + timedelta(minutes=1), until=NOON + timedelta(minutes=3))) == ["Brown Fox", "c"]
    assert shown(LogQuery(until=NOON)) == []


def test_a_text_is_found_in_any_case_and_taken_literally() -> None:
    """It is no pattern."""
    assert shown(LogQuery(grep="bROWN f")) == ["Brown Fox"]
    assert shown(LogQuery(grep=".*")) == []


def test_the_last_are_the_last_by_their_time() -> None:
    """Over several logs; those of one moment keep their order."""
    records = [record("a1", 1), record("a3", 3), record("b2", 2, source="b"), record("b3", 3, source="b")]
    assert [one.message for one in last(records, 3)] == ["b2", "a3", "b3"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"level": "LOUD"}, "the levels are DEBUG, INFO"),
        ({"lines": 0}, "at least 1"),
        ({"since": NOON, "until": NOON}, "--until comes after --since"),
    ],
)
def test_a_query_that_finds_nothing_is_refused(wrong: dict[str, object], said: str) -> None:
    """With what would be right."""
    with pytest.raises(BadInput, match=said):
        LogQuery(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("took 12.5 ms for 3 rows", "took <*> ms for <*> rows"),
        ("took 12ms", "took <*>ms"),
        ("at 0x7ff5888e5250", "at <*>"),
        ("request 5f0c1e9ab2c34d57 failed", "request <*> failed"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id <*>"),
        ("sha256 and int64 stay", "sha256 and int64 stay"),
        ("first\nsecond", "first"),
        ("Traceback (most recent call last):\n  File x\nValueError: row 7", "ValueError: row <*>"),
        ("", ""),
    ],
)
def test_numbers_are_masked_and_words_stay(message: str, expected: str) -> None:
    """So that messages of one kind are told alike."""
    assert masked(message) == expected


def test_a_template_knows_how_often_when_where_and_whether_it_is_new() -> None:
    """The new ones come first, then the gravest."""
    records = [
        record("x", 5),
        record("x", 1, "ERROR"),
        record("y", 2),
        record("x", 3, source="digits@1"),
        record("z", 4, source="daemon"),
    ]
    found = summarize(records, [one.message for one in records], {"digits@2": frozenset({"x"})})
    assert [(one.text, one.is_new, one.count) for one in found] == [("y", True, 1), ("x", False, 3), ("z", None, 1)]
    x = found[1]
    assert (x.level, x.by_source) == ("ERROR", {"digits@2": 2, "digits@1": 1})
    assert (x.first, x.last) == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=5))
