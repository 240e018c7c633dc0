"""What a host keeps of requests and answers, and that nothing of it costs an answer."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.serving.capture import Capture, captured
from pipelines.serving.hotpath import HotPath
from pipelines.serving.replica import Replica
from pipelines.serving.segments import Segments, drop
from pipelines.values import CaptureSettings
from tests.serving.asgi import answered
from tests.serving.bentos import TABLE_ROWS, make_table_bento, tensor_rows
from tests.serving.test_hotpath import behind
from tests.serving.test_shortcut import GOOD, request, send_through

ALL = CaptureSettings(rate=1.0)


def settle(folder: Path, model: str = "digits", settings: CaptureSettings = ALL) -> None:
    """Write the settings as the daemon does."""
    folder.mkdir(exist_ok=True)
    (folder / "salt").write_bytes(b"0123456789abcdef")
    (folder / f"{model}.json").write_text(json.dumps(settings.as_dict()))


def lines(folder: Path) -> list[dict[str, Any]]:
    """All that was kept, by segment."""
    found = sorted(folder.glob("*@*/*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def headers(join: str, **more: str) -> dict[str, str]:
    """Of a request that came by the gateway."""
    return {"content-type": "application/json", "x-turnout-id": join, **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of captures that keeps every request of digits."""
    settle(tmp_path / "captures")
    return tmp_path / "captures"


@pytest.fixture
def replica(tensor_bento: Path, folder: Path) -> Iterator[Replica]:
    """A loaded replica that captures; `close` writes what waits."""
    made = Replica(tensor_bento)
    made.load()
    made.capture = captured(str(folder), made.manifest, "instance-1", made.metrics)
    yield made
    made.close()


def test_a_kept_request_has_its_id_its_rows_and_its_answer(replica: Replica, folder: Path) -> None:
    """A line can be read by itself; the rows are those that came, in whatever spelling, the outputs those answered."""
    app = HotPath(behind, replica)
    spelled = b'{ "inputs" :\r\n' + json.dumps(tensor_rows(2), indent=1).encode() + b"\n}\n"
    answer = answered(app, spelled, headers("a-1", **{"x-request-id": 'my "own"', "x-turnout-arm": "digits@7 3"}))
    replica.close()
    (kept,) = lines(folder)
    assert (kept["id"], kept["request_id"], kept["version"], kept["arm"]) == (
        "a-1",
        'my "own"',
        "digits@7",
        "digits@7 3",
    )
    assert kept["inputs"] == tensor_rows(2)
    assert kept["outputs"] == answer.json["outputs"]
    assert replica.metrics.captures == {"written": 1, "dropped": 0, "failed": 0}


def test_the_short_way_keeps_the_same(replica: Replica, folder: Path) -> None:
    """A request answered within the parser's callback is kept as one that went the ordinary way."""
    sent = request(x_turnout_id="b-1", x_turnout_arm="digits@7 3 salt", x_turnout_user="u", x_request_id="mine")
    written, came = asyncio.run(send_through(replica, [sent]))
    assert came == 0
    replica.close()
    (kept,) = lines(folder)
    assert (kept["id"], kept["request_id"], kept["arm"]) == ("b-1", "mine", "digits@7 3 salt")
    assert len(kept["user"]) == 16
    assert kept["inputs"] == json.loads(GOOD)["inputs"]
    assert kept["outputs"] == json.loads(written.partition(b"\r\n\r\n")[2])["outputs"]


def test_what_did_not_come_by_the_gateway_is_not_kept(replica: Replica, folder: Path) -> None:
    """Warm-up rows and a developer's tries have no id of the gateway: nobody could join them to anything."""
    answered(HotPath(behind, replica), {"inputs": tensor_rows(1)})
    asyncio.run(send_through(replica, [request()]))
    replica.close()
    assert lines(folder) == []


def test_a_refused_request_is_not_kept(replica: Replica, folder: Path) -> None:
    """It has no answer."""
    assert answered(HotPath(behind, replica), {"inputs": [[1]]}, headers("a-1")).status == 400
    replica.close()
    assert lines(folder) == []


def test_two_versions_keep_the_same_requests(tensor_bento: Path, tmp_path: Path) -> None:
    """The id alone decides, so that the copies of a mirrored request are both kept or both not; the rate is kept to."""
    folder = tmp_path / "captures"
    settle(folder, settings=CaptureSettings(rate=0.25))
    found = []
    for instance in ("one", "two"):
        made = Replica(tensor_bento)
        made.load()
        made.capture = captured(str(folder), made.manifest, instance, made.metrics)
        assert made.capture is not None
        for number in range(2000):
            made.capture.offer(b"id-%d" % number, b"", None, None, GOOD, b'{"outputs":[],"model":"digits","version":7}')
        made.close()
        (segment,) = folder.glob(f"*/*-{instance}.jsonl")
        found.append({json.loads(line)["id"] for line in segment.read_text().splitlines()})
    assert found[0] == found[1]
    assert found[0] == {f"id-{number}" for number in range(2000) if CaptureSettings(rate=0.25).keeps(f"id-{number}")}
    assert 400 < len(found[0]) < 600


@pytest.mark.parametrize("told", [None, "relative/folder", ""])
def test_a_host_that_is_told_nothing_keeps_nothing(replica: Replica, told: str | None) -> None:
    """`turnout serve`, `bentoml serve` and a host in a container have no folder of captures."""
    assert captured(told, replica.manifest, "x", replica.metrics) is None


def test_fields_are_left_out_and_hashed(tmp_path: Path) -> None:
    """What shall not lie on a disk never does; equal values have equal hashes, and another key gives others."""
    folder = tmp_path / "captures"
    settle(folder, "credit", CaptureSettings(rate=1.0, leave_out=("income", "probabilities"), hash=("job",)))
    made = Replica(make_table_bento(tmp_path / "bento"))
    made.load()
    made.capture = captured(str(folder), made.manifest, "x", made.metrics)
    rows = [TABLE_ROWS[0], TABLE_ROWS[0], TABLE_ROWS[1]]
    answered(HotPath(behind, made), {"inputs": rows}, headers("c-1"))
    made.close()
    (kept,) = lines(folder)
    assert [sorted(row) for row in kept["inputs"]] == [["age", "job", "member"]] * 3
    assert [sorted(row) for row in kept["outputs"]] == [["label"]] * 3
    first, again, other = (row["job"] for row in kept["inputs"])
    assert first == again != other
    assert "skilled" not in json.dumps(kept)
    assert len(first) == 16


def test_without_the_key_of_the_hashes_nothing_is_kept(
    tensor_bento: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What should have been hashed is not written in the clear because a file is missing; it is said."""
    folder = tmp_path / "captures"
    settle(folder, settings=CaptureSettings(rate=1.0, hash=("image",)))
    (folder / "salt").unlink()
    made = Replica(tensor_bento)
    made.load()
    made.capture = captured(str(folder), made.manifest, "x", made.metrics)
    answered(HotPath(behind, made), {"inputs": tensor_rows(1)}, headers("a-1"))
    made.close()
    assert lines(folder) == []
    assert "salt is missing" in caplog.text


def test_settings_hold_from_the_next_look_on(replica: Replica, folder: Path) -> None:
    """Switching captures off by one key needs no restart of a host."""
    capture = replica.capture
    assert capture is not None
    assert capture.threshold == 2**32
    settle(folder, settings=CaptureSettings(rate=0.0))
    wait_until(lambda: capture.threshold == 0)
    settle(folder, settings=CaptureSettings(rate=0.5))
    wait_until(lambda: capture.threshold == 2**31)


def test_a_full_disk_costs_captures_and_no_answer(
    replica: Replica, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request is answered, the lost captures are counted, it is said once, and with room it goes on."""
    app = HotPath(behind, replica)
    blocked = folder / "digits@7"
    blocked.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING, "turnout.capture"):
        for number in range(3):
            assert answered(app, {"inputs": tensor_rows(1)}, headers(f"a-{number}")).status == 200
            wait_until(lambda number=number: replica.metrics.captures["failed"] == number + 1)
    assert caplog.text.count("captures cannot be written") == 1
    blocked.unlink()
    answered(app, {"inputs": tensor_rows(1)}, headers("a-9"))
    replica.close()
    assert [line["id"] for line in lines(folder)] == ["a-9"]


def test_the_last_of_a_disk_is_left_to_others(tensor_bento: Path, folder: Path) -> None:
    """Captures pause while little is free: a daemon that cannot write its journal cannot roll back."""
    made = Replica(tensor_bento)
    made.load()
    capture = Capture(folder, made.manifest, "x", made.metrics, free=lambda path: 99_000_000)  # noqa: ARG005
    capture.start()
    assert capture.threshold == 0
    capture.close()


def test_a_full_queue_drops_and_counts(tensor_bento: Path, folder: Path) -> None:
    """A disk that is slower than the requests costs captures, never memory without end."""
    made = Replica(tensor_bento)
    made.load()
    capture = Capture(folder, made.manifest, "x", made.metrics)
    capture.threshold = 2**32  # nobody writes: it was not started
    for number in range(10_050):
        capture.offer(b"id-%d" % number, b"", None, None, GOOD, b"{}")
    assert made.metrics.captures["dropped"] == 50
    capture.offer(b"id", b"", None, None, b"x" * (1024 * 1024 + 1), b"{}")
    assert made.metrics.captures["dropped"] == 51


def test_the_folder_of_a_version_is_bounded(tmp_path: Path) -> None:
    """Segments are begun anew, and the oldest ones go when there are too many bytes."""
    segments = Segments(tmp_path / "digits@7", "x")
    settings = CaptureSettings(rate=1.0, max_mb=1.0)
    line = b"x" * 9_999 + b"\n"
    for _ in range(400):
        segments.write(line, settings)
    segments.close()
    segments.tidy(settings)
    left = sorted((tmp_path / "digits@7").iterdir())
    assert 10 < len(left) <= 17
    assert sum(path.stat().st_size for path in left) <= 1_000_000
    assert all(path.stat().st_mode & 0o077 == 0 for path in left)


def test_old_segments_go(tmp_path: Path) -> None:
    """What is older than the limit is removed, what is younger stays, whatever its size."""
    for name in ("20260101T000000", "20260102T000000"):
        (tmp_path / f"{name}.jsonl").write_text("{}\n")
    now = time.time()
    young = CaptureSettings(max_days=1.0)
    assert drop(tmp_path.glob("*"), young, now) == []
    assert len(drop(tmp_path.glob("*"), young, now + 2 * 86400)) == 2


def test_a_line_is_whole_or_not_there(tmp_path: Path) -> None:
    """When the disk refuses in the midst of a line, the file ends where it ended before."""
    taken = {"limit": 14}

    def short(file: int, data: bytes) -> int:
        if not taken["limit"]:
            raise OSError(28, "No space left on device")
        part = data[: taken["limit"]]
        taken["limit"] -= len(part)
        return os.write(file, part)

    segments = Segments(tmp_path, "x", put=short)
    segments.write(b'{"a": 1}\n', ALL)
    with pytest.raises(OSError, match="No space"):
        segments.write(b'{"b": 2}\n', ALL)
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == b'{"a": 1}\n'


def test_prometheus_is_told_what_became_of_captures(replica: Replica) -> None:
    """The counts have the model and the version, as all others."""
    from pipelines.serving.metrics import render

    replica.metrics.captures["written"] = 3
    said = render(replica.metrics, replica.manifest, "i").decode()
    assert 'turnout_captures_total{model="digits",outcome="written",version="7"} 3.0' in said


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """The writer looks by itself, some times a second."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)
