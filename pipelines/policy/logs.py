"""Which messages are shown, and which of them say the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pipelines.values.logs import LEVELS, LogQuery, LogRecord, Template

_GRAVITY = {level: number for number, level in enumerate(LEVELS)}

# What changes from one message to the next and is no word: it is masked before messages are compared.
_VARIABLE = re.compile(
    r"0x[0-9a-fA-F]+"
    r"|\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F-]{20,27}\b"
    r"|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b"
    r"|(?<![\w.])[-+]?\d+(?:[.:,]\d+)*(?:e[-+]?\d+)?(?=\W|$|[a-zA-Z%]{1,2}\b)",
)
MASK = "<*>"


def select(records: Iterable[LogRecord], query: LogQuery) -> list[LogRecord]:
    """All that are wanted, in the order in which they came.

    A message without any known time is left out once a time is asked for.
    """
    text = query.grep.casefold()
    return [record for record in records if _is_wanted(record, query, text)]


def last(records: Iterable[LogRecord], count: int) -> list[LogRecord]:
    """The last by their time; messages of one log stay in the order in which they were written."""
    known = [(record.time.timestamp() if record.time else float("-inf"), record) for record in records]
    return [record for _, record in sorted(known, key=lambda pair: pair[0])[-count:]]


def _is_wanted(record: LogRecord, query: LogQuery, text: str) -> bool:
    if _GRAVITY.get(record.level, 1) < _GRAVITY[query.level]:
        return False
    if query.since and (record.time is None or record.time < query.since):
        return False
    if query.until and (record.time is None or record.time >= query.until):
        return False
    return text in record.message.casefold()


def masked(message: str) -> str:
    """The message's telling line, of a traceback the last and else the first, with its numbers and ids masked."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if not lines:
        return ""
    line = lines[-1] if any(part.startswith("Traceback (most recent call last)") for part in lines) else lines[0]
    return _VARIABLE.sub(MASK, line[:1000])


def summarize(records: Sequence[LogRecord], texts: Sequence[str], news: Mapping[str, frozenset[str]]) -> list[Template]:
    """One template for all messages with the same text; new ones first, then the gravest, then the most frequent.

    Args:
        records: The messages.
        texts: The template of each.
        news: Of each log that is compared with another, the templates that the other one has.
    """
    found: dict[str, Template] = {}
    for record, text in zip(records, texts, strict=True):
        is_new = text not in news[record.source] if record.source in news else None
        found[text] = _and(found.get(text), text, record, is_new=is_new)
    return sorted(found.values(), key=lambda one: (one.is_new is not True, -_GRAVITY[one.level], -one.count, one.text))


def _and(so_far: Template | None, text: str, record: LogRecord, *, is_new: bool | None) -> Template:
    level = record.level if record.level in _GRAVITY else "INFO"
    if so_far is None:
        return Template(text, level, 1, record.time, record.time, {record.source: 1}, is_new)
    times = [time for time in (so_far.first, so_far.last, record.time) if time is not None]
    return replace(
        so_far,
        level=max(level, so_far.level, key=_GRAVITY.__getitem__),
        count=so_far.count + 1,
        first=min(times, default=None),
        last=max(times, default=None),
        by_source=Counter(so_far.by_source) + Counter({record.source: 1}),
        is_new=so_far.is_new if is_new is None else bool(so_far.is_new) or is_new,
    )
