"""`POST /labels`: what is accepted is on the disk, and what is not is told."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.serving.labels import LONGEST_BYTES, LabelDoor, Spool, spool_of
from pipelines.serving.probes import Probes
from pipelines.serving.replica import Replica
from tests.serving.asgi import Answer, answered, call, exchange
from tests.serving.test_hotpath import behind


class Door:
    """A host that is not loaded yet, and the folder it puts labels down in."""

    def __init__(self, bento: Path, folder: Path) -> None:
        self.replica = Replica(bento)
        self.folder = folder / "labels" / "digits"
        self.spool = spool_of(str(folder), self.replica.manifest, "instance-1")
        self.app = Probes(behind, self.replica, self.spool)

    def __call__(self, body: Any, **options: Any) -> Answer:
        """POST it."""
        return answered(self.app, body, options.pop("headers", None), path="/labels", **options)

    def kept(self) -> list[tuple[str, list[Any]]]:
        """What was put down."""
        found = sorted(self.folder.glob("*.jsonl"))
        rows = [json.loads(line) for path in found for line in path.read_text().splitlines()]
        return [(row["id"], row["rows"]) for row in rows]


@pytest.fixture
def door(tensor_bento: Path, tmp_path: Path) -> Door:
    """A host of digits@7 that was told where captures go."""
    return Door(tensor_bento, tmp_path / "captures")


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ({"request_id": "a", "label": 3}, [("a", [3.0])]),
        ([{"request_id": "a", "label": "3"}, {"id": "b", "label": [1, "x"]}], [("a", [3.0]), ("b", [1.0, "x"])]),
        ({"labels": [{"x-turnout-id": "a", "label": True, "more": 1}]}, [("a", ["true"])]),
    ],
)
def test_labels_are_accepted_one_or_many(door: Door, body: Any, kept: list[Any]) -> None:
    """With how many there were; also while the model is still being loaded. Other keys are left aside."""
    answer = door(body)
    assert (answer.status, answer.json) == (202, {"accepted": len(kept), "model": "digits"})
    assert answer.headers["x-model-version"] == "digits@7"
    assert door.kept() == kept


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b"{", "", "the body is no JSON"),
        (b"", "", "the body is no JSON"),
        (b"[]", "", "there are 0 labels"),
        (b"3", "", "the body is no object"),
        ({"request_id": "a"}, "label", "label: the label is null"),
        ({"label": 3}, "request_id", "request_id: the request id is null"),
        ([{"id": "a", "label": 1}, {"id": 2, "label": 1}], "[1].id", "[1].id: the request id is 2"),
        ([{"id": "a", "label": 1}, 5], "[1]", "[1] is no object"),
        ({"labels": [{"id": "a", "label": {}}]}, "labels[0].label", "labels[0].label: the label is {}"),
        ([{"id": "a", "label": 1}] * 10_001, "", "there are 10001 labels"),
        (b'[{"id": "a", "label": NaN}]', "", "the body is no JSON"),
    ],
)
def test_what_is_no_label_is_refused_and_nothing_of_it_is_kept(door: Door, body: Any, field: str, says: str) -> None:
    """A 400 that names the place; the right ones beside it are not taken either."""
    answer = door(body)
    assert (answer.status, answer.error["field"]) == (400, field)
    assert says in answer.error["what"]
    assert answer.error["instead"]
    assert door.kept() == []


def test_another_method_type_or_size_is_refused(door: Door) -> None:
    """As at /predict."""
    assert door(b"", method="GET").status == 405
    assert door(b"id,label\na,3", headers={"content-type": "text/csv"}).status == 415
    assert door(b" " * (LONGEST_BYTES + 1)).status == 413
    assert door.kept() == []


def test_a_client_that_leaves_is_no_error(door: Door) -> None:
    """Half of a body is nothing."""
    assert call(door.app, [b'[{"id":', None], path="/labels") is None
    assert door.kept() == []


def test_a_host_that_nobody_comes_to_takes_no_labels(tensor_bento: Path) -> None:
    """`turnout serve` and a container have no folder of captures: it is said where labels go."""
    replica = Replica(tensor_bento)
    assert spool_of(None, replica.manifest, "x") is None
    answer = answered(Probes(behind, replica), {"request_id": "a", "label": 3}, path="/labels")
    assert (answer.status, answer.error["type"]) == (404, "no_labels")
    assert "POST /digits/labels" in answer.error["instead"]


def test_a_disk_that_is_full_is_told(tensor_bento: Path, tmp_path: Path) -> None:
    """A 503: to be sent again. Nothing of it is left, and the next ones are accepted."""
    is_full = [True]

    def sync(file: int) -> None:
        del file
        if is_full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    door = Door(tensor_bento, tmp_path / "captures")
    door.app = Probes(behind, door.replica, Spool(door.folder, "x", sync=sync))
    answer = door({"request_id": "a", "label": 3})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "No space left on device" in answer.error["what"]
    assert door.kept() == []
    is_full[0] = False
    assert door({"request_id": "b", "label": 3}).status == 202
    assert door.kept() == [("b", [3.0])]


@pytest.mark.parametrize("reason", ["the disk is too full", "64 MB of labels wait"])
def test_what_waits_is_bounded(tensor_bento: Path, tmp_path: Path, reason: str) -> None:
    """A daemon that is down for a month fills no disk, and little room is left to the journal."""
    door = Door(tensor_bento, tmp_path / "captures")
    free = 10**6 if "disk" in reason else 10**12
    door.app = Probes(behind, door.replica, Spool(door.folder, "x", free=lambda path: free))  # noqa: ARG005
    door.folder.mkdir(parents=True)
    with (door.folder / "20260131T120000-old.jsonl").open("wb") as old:
        old.truncate(64_000_000)
    answer = door({"request_id": "a", "label": 3})
    assert answer.status == 503
    assert reason in answer.error["what"]
    assert answer.error["next"]


def test_what_comes_while_a_write_is_under_way_is_written_together(tensor_bento: Path, tmp_path: Path) -> None:
    """A slow disk costs one wait for all of them, and each is told only when its label lies there."""
    goes, syncs = threading.Event(), list[int]()

    def sync(file: int) -> None:
        if not os.path.isdir(f"/proc/self/fd/{file}"):  # noqa: PTH112 - the folder is synced as well
            syncs.append(file)
        goes.wait(10)

    door = Door(tensor_bento, tmp_path / "captures")
    app = LabelDoor(door.replica.manifest, Spool(door.folder, "x", sync=sync))

    async def post(number: int) -> Answer | None:
        body = json.dumps({"request_id": f"r{number}", "label": number}).encode()
        return await exchange(app, [body], {}, "POST", "/labels")

    async def scenario() -> list[Answer | None]:
        asked = [asyncio.create_task(post(0))]
        await until(lambda: len(syncs) == 1)
        asked += [asyncio.create_task(post(number)) for number in range(1, 8)]
        await until(lambda: len(app._waiting) == 7)
        assert not any(one.done() for one in asked)
        goes.set()
        return list(await asyncio.gather(*asked))

    assert [answer.status for answer in asyncio.run(scenario()) if answer] == [202] * 8
    assert len(syncs) == 2
    assert sorted(door.kept()) == [(f"r{number}", [float(number)]) for number in range(8)]


async def until(is_so: Callable[[], bool]) -> None:
    """Let others go on until then."""
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never was")
