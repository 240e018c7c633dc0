"""Labels find their answers, whichever comes first, and each pair counts once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import StorageFailed
from pipelines.local.captures.folder import CaptureFolder
from pipelines.local.captures.labels import LabelStore
from pipelines.local.captures.quality import LiveQuality
from pipelines.serving.labels import FOLDER, Spool
from pipelines.values import CaptureSettings, VersionRef
from pipelines.values.labels import Label, Taken, Truth, read_label, read_rows

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SURE_FIVE = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
"""Probabilities of classes; the fifth is the answer."""


class World:
    """One project's captures and labels."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOON.timestamp()
        self.folder = CaptureFolder(path / "captures")
        self.folder.set("digits", CaptureSettings(rate=1.0))
        self.store = self.opened()

    def opened(self) -> LabelStore:
        """As another process has it."""
        return LabelStore(self.path / "labels.db", self.folder, lambda: self.now)

    def answer(self, key: str, *outputs: Any, version: int = 1, arm: str | None = None, user: str = "") -> None:
        """A host keeps an answer."""
        folder = self.folder.path / f"digits@{version}"
        folder.mkdir(parents=True, exist_ok=True)
        mark = f"digits@{version} 3" if arm is None else arm
        line = {"id": key, "request_id": "", "time": NOON.isoformat(), "version": f"digits@{version}", "arm": mark}
        with (folder / "20260131T120000-a.jsonl").open("a") as file:
            file.write(json.dumps({**line, "user": user, "outputs": outputs, "inputs": []}) + "\n")

    def add(self, **labels: Truth | list[Truth]) -> Taken:
        """Labels by request id."""
        return self.store.add("digits", [read_label(key, label) for key, label in labels.items()])

    def quality(self, version: int = 1) -> tuple[float, int]:
        """Value and requests of a version's one quality."""
        (found,) = self.store.summary("digits").versions[f"digits@{version}"]
        return found.value, found.requests

    def counts(self) -> dict[str, int]:
        """What became of all labels, without what there is none of."""
        return {name: count for name, count in self.store.summary("digits").labels.counts().items() if count}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty one, which captures every request."""
    made = World(tmp_path)
    made.folder.path.mkdir(exist_ok=True)
    yield made
    made.store.close()


def test_a_label_finds_the_answer_that_was_kept(world: World) -> None:
    """The class with the largest probability against the label; right and wrong ones make the accuracy."""
    for key in "abcd":
        world.answer(key, SURE_FIVE)
    world.store.expect("digits")
    taken = world.add(a=5, b="5", c=5.0, d=3)
    assert taken == Taken(joined=4)
    assert world.quality() == (0.75, 4)


def test_a_label_that_comes_first_waits_for_its_answer(world: World) -> None:
    """Also when the capture is read by another process, after this one has ended."""
    assert world.add(a=5) == Taken(waiting=1)
    world.store.close()
    world.answer("a", SURE_FIVE)
    other = world.opened()
    other.read("digits")
    other.close()
    assert world.quality() == (1.0, 1)
    assert world.counts() == {"joined": 1}


def test_nothing_counts_twice(world: World) -> None:
    """The same label again, the same captures again, and both again after a restart."""
    world.answer("a", SURE_FIVE)
    world.store.expect("digits")
    world.add(a=5)
    assert world.add(a="5") == Taken(repeated=1)
    world.store.close()
    world.store = world.opened()
    assert world.add(a=5) == Taken(repeated=1)
    world.store.read("digits")
    assert world.quality() == (1.0, 1)
    assert len(world.store.trials("digits")) == 1


def test_the_first_of_two_labels_holds(world: World) -> None:
    """One that contradicts it changes nothing, is counted, and is shown; in one file as well as later."""
    world.answer("a", SURE_FIVE)
    world.store.expect("digits")
    world.add(a=5)
    taken = world.add(a=3)
    assert (taken.contradicting, taken.joined) == (1, 0)
    assert taken.examples == ("a: 5 came first and holds, then came 3",)
    taken = world.store.add("digits", [Label("b", ("x",)), Label("b", ("y",)), Label("b", ("x",))])
    assert (taken.waiting, taken.contradicting, taken.repeated) == (1, 1, 1)
    assert world.quality() == (1.0, 1)


def test_a_label_that_does_not_fit_is_told_and_may_be_corrected(world: World) -> None:
    """Another number of rows, or a name for a number: not counted, and not in the way of the right one."""
    world.answer("two", SURE_FIVE, SURE_FIVE)
    world.answer("named", SURE_FIVE)
    world.answer("hidden", {})
    world.store.expect("digits")
    taken = world.add(two=5, named="five", hidden=5)
    assert taken.unfit == 3
    assert taken.examples[0] == "two: 1 labels for a request of 2 rows"
    assert taken.examples[1] == "named: 'five' is no label for the answer '5'"
    assert "says neither" in taken.examples[2]
    assert world.store.summary("digits").versions == {}
    assert world.add(two=[5, 3], named=5).joined == 2
    assert world.quality() == (pytest.approx(2 / 3), 2)
    assert world.counts() == {"joined": 2, "unfit": 1}


def test_a_label_that_waited_and_does_not_fit_is_told(world: World) -> None:
    """What its answer shows only later is shown all the same."""
    world.add(a=[1, 2])
    world.answer("a", SURE_FIVE)
    world.store.read("digits")
    assert world.counts() == {"unfit": 1}
    assert world.store.summary("digits").labels.examples == ("a: 2 labels for a request of 1 rows",)


def test_a_request_that_is_not_kept_is_no_mistake(world: World) -> None:
    """At a rate below 1 most labels have no capture; those kept while the rate was higher still find theirs."""
    world.answer("a", SURE_FIVE)
    world.folder.set("digits", CaptureSettings(rate=0.0))
    world.store.expect("digits")
    taken = world.add(a=5, b=5)
    assert (taken.joined, taken.not_captured, taken.waiting) == (1, 1, 0)
    assert world.store.summary("digits").rate == 0.0


def test_every_version_that_answered_is_judged(world: World) -> None:
    """A shadow's answers count for its quality, and are no trials: it was not its turn."""
    world.answer("a", SURE_FIVE)
    world.answer("a", [1.0, 0.0], version=2, arm="digits@1 3")
    world.answer("b", SURE_FIVE, arm="")
    world.store.expect("digits")
    world.add(a=5, b=5)
    assert world.quality(1) == (1.0, 2)
    assert world.quality(2) == (0.0, 1)
    (trial,) = world.store.trials("digits")
    assert (trial.request_id, str(trial.version), trial.generation, trial.is_wrong) == ("a", "digits@1", 3, False)


NAMES = {"wrong": [1.0, 0.0], "right": SURE_FIVE}
CHAMPION, SHADOW = VersionRef("digits", 1), VersionRef("digits", 2)
BEGUN = NOON.timestamp()


def both(world: World, key: str, stable: str, shadow: str) -> None:
    """A request of which a shadow got a copy; each answers it rightly or wrongly."""
    world.answer(key, NAMES[stable])
    world.answer(key, NAMES[shadow], version=2, arm="digits@1 3")


def test_requests_that_both_answered_are_pairs(world: World) -> None:
    """Whose fault it was when one alone was wrong; where both were right, or both wrong, there is nothing to tell."""
    both(world, "a", "right", "wrong")
    both(world, "b", "wrong", "right")
    both(world, "c", "right", "right")
    both(world, "d", "wrong", "wrong")
    both(world, "e", "right", "wrong")
    world.store.expect("digits")
    world.add(a=5, b=5, c=5, d=5, e=5)
    assert world.store.pairs(SHADOW, CHAMPION, BEGUN)[0] == (2, 1)
    assert world.store.pairs(CHAMPION, SHADOW, BEGUN)[0] == (0, 0)
    assert world.store.pairs(SHADOW, CHAMPION, BEGUN + 1)[0] == (0, 0)


def test_each_pair_is_told_once_whatever_comes_last(world: World) -> None:
    """The label, or the capture of either version."""
    assert world.store.pairs(SHADOW, CHAMPION, BEGUN, 7) == ((0, 0), 7)
    world.store.expect("digits")
    world.answer("a", SURE_FIVE)
    world.add(a=5, b=5)
    world.store.read("digits")
    told, place = world.store.pairs(SHADOW, CHAMPION, BEGUN)
    assert told == (0, 0)
    world.answer("a", NAMES["wrong"], version=2, arm="digits@1 3")
    world.answer("b", SURE_FIVE, version=2, arm="digits@1 3")
    world.store.read("digits")
    told, place = world.store.pairs(SHADOW, CHAMPION, BEGUN, place)
    assert told == (1, 0)
    world.answer("b", NAMES["wrong"])
    world.store.read("digits")
    told, place = world.store.pairs(SHADOW, CHAMPION, BEGUN, place)
    assert told == (0, 1)
    assert world.store.pairs(SHADOW, CHAMPION, BEGUN, place) == ((0, 0), place)


def test_what_was_not_the_same_request_is_no_pair(world: World) -> None:
    """One forced by a header, and an answer that is a number; of several rows the first one counts."""
    world.answer("a", SURE_FIVE, arm="")
    world.answer("a", NAMES["wrong"], version=2, arm="")
    world.answer("b", 1.0)
    world.answer("b", 2.0, version=2, arm="digits@1 3")
    world.answer("c", SURE_FIVE, SURE_FIVE)
    world.answer("c", SURE_FIVE, NAMES["wrong"], version=2, arm="digits@1 3")
    world.store.expect("digits")
    world.add(a=5, b=1.0, c=[5, 5])
    assert world.store.pairs(SHADOW, CHAMPION, BEGUN)[0] == (0, 0)


def test_a_shadow_whose_capture_comes_later_is_joined_too(world: World) -> None:
    """A label that has found one answer still finds the other."""
    world.answer("a", SURE_FIVE)
    world.store.expect("digits")
    world.add(a=5)
    world.answer("a", [1.0, 0.0], version=2, arm="digits@1 3")
    world.store.read("digits")
    assert world.quality(2) == (0.0, 1)
    assert world.counts() == {"joined": 1}


def test_numbers_have_a_mean_error(world: World) -> None:
    """And are no trials: how far off is too far is for no one to guess."""
    for key, value in (("a", 1.5), ("b", 2.0)):
        world.answer(key, value)
    world.store.expect("digits")
    world.add(a=1, b=2)
    (found,) = world.store.summary("digits").versions["digits@1"]
    assert (found.kind, found.value) == ("mean_error", 0.25)
    assert world.store.trials("digits") == []


def test_a_user_is_one_trial_and_so_is_a_request(world: World) -> None:
    """Rows of one request are alike, and so are the requests of a user that stays with its version."""
    world.answer("a", SURE_FIVE, SURE_FIVE, user="anna")
    world.answer("b", SURE_FIVE, user="anna")
    world.answer("c", SURE_FIVE, user="ben")
    world.store.expect("digits")
    world.add(a=[3, 5], b=5, c=5)
    assert [(trial.request_id, trial.is_wrong) for trial in world.store.trials("digits")] == [("a", True), ("c", False)]
    assert world.quality() == (0.75, 3)


def test_trials_are_numbered_as_they_became_known(world: World) -> None:
    """Whoever keeps the last number gets each once, and the beginning of a rollout can be found."""
    for number in range(6):
        world.answer(f"r{number}", SURE_FIVE, arm=f"digits@1 {number // 2}")
    world.store.expect("digits")
    world.add(**{f"r{number}": 5 for number in range(4)})
    first = world.store.trials("digits", limit=3)
    rest = world.store.trials("digits", after=first[-1].number)
    assert [trial.request_id for trial in (*first, *rest)] == ["r0", "r1", "r2", "r3"]
    assert world.store.before("digits", 1) == first[1].number
    assert world.store.before("digits", 2) == rest[-1].number
    world.add(r4=5)
    assert [trial.request_id for trial in world.store.trials("digits", world.store.before("digits", 2))] == ["r4"]


def test_what_is_old_is_forgotten_and_what_was_counted_stays(world: World) -> None:
    """Answers live as long as captures may, labels a day longer: one that comes again is never joined again."""
    world.answer("a", SURE_FIVE)
    world.store.expect("digits")
    world.add(a=5, late=5)
    world.now += 14.5 * 86400
    world.store.tidy("digits", 14)
    assert world.add(a=5) == Taken(repeated=1)
    world.now += 86400
    world.store.tidy("digits", 14)
    assert world.counts() == {"joined": 1, "repeated": 1}
    assert world.add(a=5).waiting == 1
    assert world.quality() == (1.0, 1)


def test_many_captures_are_read_bit_by_bit(world: World) -> None:
    """The daemon reads a bounded number at a time and comes back for the rest."""
    for number in range(25):
        world.answer(f"r{number}", SURE_FIVE)
    world.store.add("digits", [Label(f"r{number}", (5.0,)) for number in range(25)])
    assert world.store.read("digits", most=10)
    assert world.quality() == (1.0, 10)
    assert world.store.read("digits", most=10)
    assert not world.store.read("digits", most=10)
    assert world.quality() == (1.0, 25)


def test_hashed_answers_say_nothing(world: World) -> None:
    """A hash is never equal to a label: it must not look like a wrong answer."""
    world.folder.set("digits", CaptureSettings(rate=1.0, hash=("label",)))
    world.answer("a", {"label": "0f3e5d6c7b8a9091"})
    world.store.expect("digits")
    assert world.add(a="bad").unfit == 1


def test_without_labels_nothing_is_read_or_written(world: World) -> None:
    """Whoever has no labels pays nothing for them."""
    world.answer("a", SURE_FIVE)
    assert not world.store.read("digits")
    assert world.store.summary("digits").as_dict()["labels"]["joined"] == 0
    assert world.store.trials("digits") == []
    world.store.tidy("digits", 14)
    assert not world.store.exists


def test_a_broken_file_is_told(world: World) -> None:
    """With what to do; no traceback."""
    (world.path / "labels.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageFailed, match=r"labels\.db failed .*moved away"):
        world.add(a=5)


def test_the_status_tells_the_quality(world: World, tmp_path: Path) -> None:
    """None before the first label; then the value by version with its interval."""
    from pipelines.values import ModelConfig, Project

    model = ModelConfig("digits", tmp_path / "train.ipynb", tmp_path / "validate.ipynb")
    project = Project(tmp_path, models={"digits": model})
    room = LiveQuality(world.opened(), lambda: project)
    room.look()
    assert room.status("digits") == {"quality": None}
    world.answer("a", SURE_FIVE)
    world.add(a=5)
    room.look()
    (found,) = room.status("digits")["quality"]["versions"]["digits@1"]
    assert (found["kind"], found["value"], found["requests"]) == ("accuracy", 1.0, 1)
    room.room.close()


class Host:
    """A host that takes labels by HTTP."""

    def __init__(self, world: World, instance: str = "a") -> None:
        self.spool = Spool(world.folder.path / FOLDER / "digits", instance)

    def put(self, **labels: Truth) -> None:
        """Labels by request id."""
        lines = [json.dumps({"id": key, "rows": read_rows(label)}) + "\n" for key, label in labels.items()]
        self.spool.put("".join(lines).encode())


def test_labels_that_hosts_have_put_down_are_taken_in_once(world: World) -> None:
    """Of two hosts whose files still grow; also when the daemon ends in between."""
    hosts = Host(world, "a"), Host(world, "b")
    hosts[0].put(a=5)
    hosts[1].put(b=5)
    assert world.store.spooled("digits") == Taken(waiting=2)
    world.store.close()
    world.store = world.opened()
    hosts[0].put(c=5, d=5, e=5)
    assert world.store.spooled("digits", most=2) == Taken(waiting=3)
    assert world.store.spooled("digits") == Taken()
    assert world.counts() == {"waiting": 5}
    for host in hosts:
        host.spool.close()


def test_a_half_written_label_waits_and_an_unreadable_one_is_passed_over(world: World) -> None:
    """A host that is killed in a write leaves half a line; what stands in the way does not hold up the others."""
    folder = world.folder.path / FOLDER / "digits"
    folder.mkdir(parents=True)
    file = folder / "20260131T120000-a.jsonl"
    file.write_text('garbage\n{"id": "a", "rows": [5]}\n{"id": "b", "ro')
    assert world.store.spooled("digits") == Taken(waiting=1)
    with file.open("a") as more:
        more.write('ws": [5]}\n')
    assert world.store.spooled("digits") == Taken(waiting=1)


def test_a_file_of_labels_goes_when_no_host_writes_to_it_any_more(world: World) -> None:
    """Not before all of it was taken in, and not while more may come."""
    host = Host(world)
    host.put(a=5)
    (file,) = world.folder.spooled("digits")
    world.now = file.stat().st_mtime + 10
    world.store.spooled("digits")
    assert world.folder.spooled("digits") == [file]
    world.now += 3 * 3600
    world.store.spooled("digits")
    assert world.folder.spooled("digits") == []
    host.put(b=5)
    assert world.store.spooled("digits") == Taken(waiting=1)
    host.spool.close()


def test_two_daemons_at_once_take_each_label_once(world: World) -> None:
    """For a moment an old one and its successor may both be at work."""
    host, other = Host(world), world.opened()
    for number in range(40):
        host.put(**{f"r{number}": 5})
        first, second = (world.store, other) if number % 2 else (other, world.store)
        with ThreadPoolExecutor(2) as pool:
            taken = [one.result() for one in [pool.submit(store.spooled, "digits") for store in (first, second)]]
        assert sum(one.waiting for one in taken) == 1
    assert world.counts() == {"waiting": 40}
    other.close()
    host.spool.close()
