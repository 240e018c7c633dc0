"""What `ports.Target` promises, held against the in-memory target and against real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipelines.errors import Refused, ServeFailed
from pipelines.ports import Target
from pipelines.values import Bento, Split, VersionRef
from tests.local.live import tiny_bento, world
from tests.local.memory_target import MemoryTarget

A, B, C = (VersionRef("digits", number) for number in (1, 2, 3))
BROKEN = VersionRef("digits", 4)


@dataclass
class Subject:
    """A target, and how bentos for it are made; `BROKEN` does not start."""

    target: Target
    bento: Callable[[VersionRef], Bento]

    def start(self, ref: VersionRef, replicas: int = 1) -> None:
        """Start a version."""
        self.target.start(self.bento(ref), replicas, lambda _: None)

    def clear(self) -> None:
        """Stop everything."""
        for model in {ref.model for ref in self.target.health()}:
            self.target.route(Split(model), frozenset())
        for ref in list(self.target.health()):
            self.target.stop(ref)


@pytest.fixture(scope="module", params=["memory", "processes"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """One of the targets."""
    if request.param == "memory":
        memory = MemoryTarget()
        memory.broken = {BROKEN}
        yield Subject(memory, lambda ref: Bento(ref, "sources", "digest", is_passed=True))
        return
    root: Path = tmp_path_factory.mktemp("contract")
    with world(root / "p") as made:
        yield Subject(made.target, lambda ref: tiny_bento(root, ref, "crash" if ref == BROKEN else "ok"))


@pytest.fixture
def subject(shared: Subject) -> Subject:
    """The target with nothing running."""
    shared.clear()
    return shared


def test_a_started_version_is_ready(subject: Subject) -> None:
    """After `start`, all replicas are ready, and no request goes there yet."""
    subject.start(A, 2)
    health = subject.target.health()[A]
    assert (health.health, health.replicas, health.ready) == ("ready", 2, 2)
    assert subject.target.split("digits") is None


def test_start_may_be_repeated(subject: Subject) -> None:
    """What runs already stays as it is."""
    subject.start(A)
    before = subject.target.health()[A].started
    subject.start(A)
    assert subject.target.health()[A].started == before


def test_a_version_that_does_not_start_is_not_there(subject: Subject) -> None:
    """The others are untouched."""
    subject.start(A)
    with pytest.raises(ServeFailed):
        subject.start(BROKEN)
    assert set(subject.target.health()) == {A}


def test_the_split_is_what_was_asked_for(subject: Subject) -> None:
    """`route` returns what `split` then reports: weights in their order, shadow, generation."""
    for ref in (A, B, C):
        subject.start(ref)
    asked = Split("digits", {B: 90, A: 10}, C, generation=7)
    assert subject.target.route(asked, frozenset()) == asked
    assert subject.target.split("digits") == asked
    found = subject.target.split("digits")
    assert found is not None
    assert list(found.weights) == [B, A]


def test_route_may_be_repeated(subject: Subject) -> None:
    """The same split again is the same state."""
    subject.start(A)
    split = Split("digits", {A: 100}, generation=1)
    subject.target.route(split, frozenset())
    assert subject.target.route(split, frozenset()) == split


def test_a_version_that_does_not_run_gets_no_traffic(subject: Subject) -> None:
    """The split of before stays."""
    subject.start(A)
    split = subject.target.route(Split("digits", {A: 100}), frozenset())
    for asked in (Split("digits", {A: 90, B: 10}), Split("digits", {A: 100}, shadow=B)):
        with pytest.raises(ServeFailed):
            subject.target.route(asked, frozenset())
        assert subject.target.split("digits") == split


def test_an_empty_split_routes_nothing(subject: Subject) -> None:
    """The model is gone from the gateway, and its versions can be stopped."""
    subject.start(A)
    subject.target.route(Split("digits", {A: 100}), frozenset())
    subject.target.route(Split("digits"), frozenset())
    assert subject.target.split("digits") is None
    subject.target.stop(A)
    assert A not in subject.target.health()


def test_a_version_with_traffic_is_not_stopped(subject: Subject) -> None:
    """With a share, or as a shadow, it stays."""
    for ref in (A, B):
        subject.start(ref)
    subject.target.route(Split("digits", {A: 100}, shadow=B), frozenset())
    for ref in (A, B):
        with pytest.raises(Refused):
            subject.target.stop(ref)
    assert set(subject.target.health()) == {A, B}


def test_a_version_without_a_share_is_stopped(subject: Subject) -> None:
    """Also one that was warm or had the weight 0; afterwards the split names it no more."""
    for ref in (A, B, C):
        subject.start(ref)
    split = Split("digits", {A: 100, B: 0}, generation=2)
    subject.target.route(split, frozenset({C}))
    subject.target.stop(C)
    subject.target.stop(B)
    assert set(subject.target.health()) == {A}
    assert subject.target.split("digits") == replace(split, weights={A: 100})


def test_stop_may_be_repeated(subject: Subject) -> None:
    """A version that does not run is stopped already."""
    subject.target.stop(A)
    subject.start(A)
    subject.target.stop(A)
    subject.target.stop(A)
    assert subject.target.health() == {}
