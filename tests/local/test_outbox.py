"""The daemon's messages to others: each until it has arrived, and what was said on the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.local.journal import Journal, Operation
from pipelines.local.outbox import Courier, Outbox, by_command
from pipelines.values import Deployment
from tests.fakes import FakeClock


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal in which digits@1 has become the champion, and nobody was told."""
    made = Journal(tmp_path / "state.db")
    now, deployment = FakeClock().now(), Deployment("digits")
    made.intend(Operation("a", "promote", "digits", {}, {}, now, 1, 1, "", deployment, deployment))
    made.finish("a", "done", now, messages={"champion": {"ref": "digits@1"}})
    yield made
    made.close()


def says(text: str, code: int = 0) -> Courier:
    """A courier whose command writes to stderr and ends."""
    program = f"import sys; sys.stderr.buffer.write({text.encode()!r}); sys.exit({code})"

    def courier(kind: str, body: Mapping[str, Any]) -> Sequence[str]:
        assert (kind, dict(body)) == ("champion", {"ref": "digits@1"})
        return [sys.executable, "-c", program]

    return courier


def box(journal: Journal, courier: Courier) -> Outbox:
    """What tells the registry."""
    return Outbox(journal, {"champion": by_command(courier, journal, FakeClock())}, FakeClock())


def test_what_was_said_on_the_way_is_in_the_history(journal: Journal) -> None:
    """A tag that could not be set is a line of the model's history; the promotion stands and is not told again."""
    said = "a library warns\n· digits@1 is the champion, and has no tag: the tag exists\n"
    assert box(journal, says(said)).deliver() == 1
    (event,) = journal.history("digits")
    assert (event.action, event.target) == ("alert", "digits@1")
    assert event.reason == "digits@1 is the champion, and has no tag: the tag exists"
    assert journal.undelivered() == []


def test_silence_leaves_no_line(journal: Journal) -> None:
    """What arrives without a word, or with a library's words only, is no event."""
    assert box(journal, says("a library warns\n")).deliver() == 1
    assert journal.history("digits") == []


def test_what_did_not_arrive_stays(journal: Journal) -> None:
    """With the reason, and without an event each time it is tried."""
    assert box(journal, says("· something\n", code=1)).deliver() == 0
    (message,) = journal.undelivered()
    assert message.attempts == 1
    assert journal.history("digits") == []
