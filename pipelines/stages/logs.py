"""logs: what hosts, gateway and daemon have written, filtered, followed or summarized."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.errors import Refused
from pipelines.policy.logs import last, masked, select, summarize
from pipelines.values import VersionRef, read_ref
from pipelines.values.logs import LogQuery, LogRecord, Template

_POLL_SECONDS = 0.2
_BYTES_PER_LINE = 2_000
_LEAST_BYTES = 65_536


class Following(Protocol):
    """What is written, and what is yet to be."""

    def new(self) -> list[LogRecord]:
        """The messages that have been finished since the last call; at the first call all there are."""


class Logs(Protocol):
    """The logs of a project; they are there whether or not anything runs."""

    def sources(self, ref: VersionRef | None = None) -> list[str]:
        """The names of the logs there are, of one version or of all."""

    def read(self, source: str, last_bytes: int | None = None) -> list[LogRecord]:
        """All messages of a log in their order, or those in its last bytes."""

    def follow(self, ref: VersionRef | None) -> Following:
        """What is written now and from now on."""


class Templates(Protocol):
    """Finds out which messages say the same."""

    def texts(self, messages: Sequence[str]) -> list[str]:
        """The template of each message; equal texts are one template.

        Raises:
            MissingExtra: what it takes is not installed.
        """


@dataclass(frozen=True, slots=True)
class Summary:
    """What a project's logs say.

    Args:
        templates: The messages by what they have in common.
        messages: How many there are.
        before: The newest version of each model that is shown, and the one before it, with which it was compared.
    """

    templates: Sequence[Template]
    messages: int
    before: Mapping[str, str] = field(default_factory=dict)


def read(query: LogQuery, logs: Logs) -> list[LogRecord]:
    """The last messages that the query asks for, the latest last.

    Raises:
        Refused: the version has no log.
    """
    is_plain = query == LogQuery(ref=query.ref, lines=query.lines)
    enough = max(_LEAST_BYTES, query.lines * _BYTES_PER_LINE) if is_plain else None
    found = [record for source in _sources(query, logs) for record in select(logs.read(source, enough), query)]
    return last(found, query.lines)


def follow(
    query: LogQuery,
    logs: Logs,
    say: Callable[[list[LogRecord]], None],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Say the last messages, then each new one, until interrupted."""
    following = logs.follow(query.ref)
    say(last(select(following.new(), query), query.lines))
    while True:
        pause(_POLL_SECONDS)
        found = select(following.new(), query)
        if found:
            say(found)


def summarize_logs(query: LogQuery, logs: Logs, templates: Templates) -> Summary:
    """The wanted messages by what they have in common, and what the version before did not say.

    Raises:
        MissingExtra: see `Templates`.
        Refused: the version has no log.
    """
    shown = _sources(query, logs)
    records = [record for source in shown for record in select(logs.read(source), query)]
    pairs = _pairs(shown, logs.sources())
    earlier = [record for source in sorted(set(pairs.values())) for record in logs.read(source)]
    texts = templates.texts([masked(record.message) for record in (*earlier, *records)])
    said: dict[str, set[str]] = {}
    for record, text in zip(earlier, texts, strict=False):
        said.setdefault(record.source, set()).add(text)
    news = {name: frozenset(said.get(before, ())) for name, before in pairs.items()}
    found = summarize(records, texts[len(earlier) :], news)
    return Summary(found, len(records), pairs)


def _sources(query: LogQuery, logs: Logs) -> list[str]:
    found, ref = logs.sources(query.ref), query.ref
    if ref is not None and not found:
        every = [name for name in logs.sources() if name.startswith(f"{ref.model}@")]
        raise Refused(
            f"{ref} has written no log",
            instead=f"there {'is that' if len(every) == 1 else 'are those'} of {', '.join(every)}" if every else "",
            then="A version has one from its first start on: `turnout deploy` starts it.",
        )
    return found


def _pairs(shown: Sequence[str], every: Sequence[str]) -> dict[str, str]:
    """The newest shown version of each model, and the one before it that has a log."""
    versions = sorted((name for name in shown if "@" in name), key=_number)
    newest = {name.partition("@")[0]: name for name in versions}
    return {name: before for name in newest.values() if (before := _before(name, every)) is not None}


def _before(name: str, every: Sequence[str]) -> str | None:
    """The newest version before one that has a log."""
    ref = read_ref(name)
    older = [one for one in every if "@" in one and read_ref(one).model == ref.model and _number(one) < ref.number]
    return max(older, key=_number, default=None)


def _number(name: str) -> int:
    return read_ref(name).number
