"""labels: takes a file in as a whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from pipelines.errors import BadInput
from pipelines.stages.labels import BATCH, load, show
from pipelines.values.labels import Label, LabelSummary, Taken


@dataclass
class Store:
    """Implements `ports.Labels`: says what it was told."""

    told: list[str] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def add(self, model: str, labels: Sequence[Label]) -> Taken:
        """All of them find their answers."""
        self.told.append(f"add {model} {len(labels)}")
        self.labels += labels
        return Taken(joined=len(labels))

    def expect(self, model: str) -> None:
        """Captures are read."""
        self.told.append(f"expect {model}")

    def read(self, model: str) -> object:
        """Those since."""
        self.told.append(f"read {model}")
        return None

    def summary(self, model: str) -> LabelSummary:
        """All that came."""
        assert model == "digits"
        return LabelSummary(labels=Taken(joined=len(self.labels)))


def some(count: int) -> Iterator[Label]:
    """So many labels."""
    return (Label(f"r{number}", (1.0,)) for number in range(count))


def test_a_long_file_is_taken_in_by_batches() -> None:
    """What was captured is read first, so that each label finds its answer at once."""
    store, steps = Store(), list[str]()
    found = load("digits", lambda: some(BATCH + 1), store, steps.append)
    assert store.told == ["expect digits", f"add digits {BATCH}", "add digits 1"]
    assert found.taken == found.summary.labels == Taken(joined=BATCH + 1)
    assert steps == ["reading the file", "joining 5,001 labels with what was captured"]


def test_a_file_with_a_wrong_row_changes_nothing() -> None:
    """Also when that is its last one."""

    def rows() -> Iterator[Label]:
        yield from some(BATCH * 2)
        raise BadInput("line 10002 has no label")

    store = Store()
    with pytest.raises(BadInput, match="line 10002"):
        load("digits", rows, store, lambda step: None)  # noqa: ARG005
    assert store.told == []


def test_a_look_joins_what_has_come_meanwhile() -> None:
    """No daemon is needed to see the present quality."""
    store = Store()
    assert show("digits", store).taken is None
    assert store.told == ["read digits"]
