"""Captures, labels and what is made of them, with real hosts behind a real gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.local.captures.folder import CaptureFolder
from pipelines.values import Captured
from tests.e2e.running import RunningLine, running_line, wait_until
from tests.serving.bentos import tensor_rows

ALL = "\n[tool.turnout.models.digits.capture]\nrate = 1.0\n"


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A project that captures every request; version 1 is live and 2 gets copies."""
    with running_line(tmp_path_factory.mktemp("captures"), 2, ALL) as made:
        made.deploy(1)
        made.deploy(2, "shadow")
        folder = CaptureFolder(made.state / "captures")
        wait_until(lambda: folder.settings("digits") is not None, "the hosts are told what to keep")
        wait_until(lambda: ask(made, 1) != [] and kept(made, 1) != [] != kept(made, 2), "the hosts begin to keep")
        yield made


def ask(line: RunningLine, count: int, seed: int = 1, **headers: str) -> list[str]:
    """Ask for single rows; the gateway's ids of the requests."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    ids = []
    with httpx.Client() as client:
        for row in tensor_rows(count, seed):
            answer = client.post(line.url(), json={"inputs": [row]}, headers=named)
            assert answer.status_code == 200, answer.text
            ids.append(answer.headers["x-turnout-id"])
    return ids


def kept(line: RunningLine, number: int) -> list[Captured]:
    """What a version's hosts have kept."""
    return list(CaptureFolder(line.state / "captures").read(line.shelf.ref(number)))


def test_both_versions_keep_the_same_requests(line: RunningLine) -> None:
    """Each request is kept by the version that answered and by the shadow, under the id that the client was told."""
    asked = ask(line, 20, seed=2)
    wait_until(lambda: set(asked) <= {one.id for one in kept(line, 2)}, "the captures of the copies")
    wait_until(lambda: set(asked) <= {one.id for one in kept(line, 1)}, "the captures")
    ours = {one.id: one for one in kept(line, 1)}
    theirs = {one.id: one for one in kept(line, 2)}
    for request, row in zip(asked, tensor_rows(20, 2), strict=True):
        assert ours[request].inputs == theirs[request].inputs == [row]
        assert ours[request].request_id == theirs[request].request_id
        assert ours[request].chosen == theirs[request].chosen == line.shelf.ref(1)
        assert ours[request].generation == theirs[request].generation == line.entry()["generation"]


def test_a_request_for_a_version_by_header_is_not_judged(line: RunningLine) -> None:
    """It is kept, and says that it was no random trial; a client cannot forge that, nor the id."""
    (forged,) = ask(line, 1, x_turnout_arm="digits@2 1", x_turnout_id="forged")
    (direct,) = ask(line, 1, x_turnout_arm="digits@2 1", x_turnout_version="digits@1")
    wait_until(lambda: {forged, direct} <= {one.id for one in kept(line, 1)}, "the captures")
    chosen = {one.id: one.chosen for one in kept(line, 1)}
    assert forged != "forged"
    assert chosen[forged] == line.shelf.ref(1)
    assert chosen[direct] is None


def test_pandas_reads_a_version_in_one_line(line: RunningLine) -> None:
    """As docs/monitoring.md says."""
    import pandas as pd

    folder = line.state / "captures" / "digits@1"
    table = pd.concat(pd.read_json(path, lines=True) for path in sorted(folder.glob("*.jsonl")))
    assert list(table.columns) == ["id", "request_id", "time", "version", "arm", "outputs", "inputs"]
    assert len(table) == len(kept(line, 1))


def test_a_shadow_is_compared_with_the_live_version(line: RunningLine) -> None:
    """Equal models agree in every row that both have answered, in the command as it is typed."""
    asked = ask(line, 10, seed=5)
    wait_until(lambda: set(asked) <= {one.id for one in kept(line, 2)}, "the captures of the copies")
    wait_until(lambda: set(asked) <= {one.id for one in kept(line, 1)}, "the captures")
    found = line.turnout("compare", "digits@1", "digits@2", "--json").document
    assert found["requests"] >= 10
    assert found["disagree"]["total"] == found["requests"]
    assert found["disagree"]["count"] == 0


def right(line: RunningLine, number: int, asked: list[str]) -> dict[str, int]:
    """The class that a version answered to each request."""
    kept_ones = {one.id: one for one in kept(line, number)}
    answered = {key: (kept_ones[key].outputs or [[]])[0] for key in asked}
    return {key: row.index(max(row)) for key, row in answered.items()}


def quality(line: RunningLine, ref: str) -> dict[str, Any]:
    """What the status says of a version's quality; nothing as long as no label has found its answer."""
    found = ((line.entry()["quality"] or {}).get("versions") or {}).get(ref)
    return dict(found[0]) if found else {"requests": 0}


def test_labels_by_http_become_the_quality_in_the_status(line: RunningLine) -> None:
    """Posted through the gateway, one and many; a wrong one is refused and says why; a shadow is judged as well."""
    asked = ask(line, 6, seed=7)
    wait_until(lambda: all(set(asked) <= {one.id for one in kept(line, number)} for number in (1, 2)), "the captures")
    truth = right(line, 1, asked)
    truth[asked[0]] = (truth[asked[0]] + 1) % 10
    url = line.url().replace("/predict", "/labels")
    answer = httpx.post(url, json={"request_id": asked[0], "label": truth[asked[0]]})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "model": "digits"})
    answer = httpx.post(url, json=[{"request_id": key, "label": str(truth[key])} for key in asked[1:]])
    assert (answer.status_code, answer.json()["accepted"]) == (202, 5)
    refused = httpx.post(url, json=[{"request_id": asked[0]}])
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "[0].label")
    wait_until(lambda: quality(line, "digits@2")["requests"] == 6, "the shadow's quality")
    found = quality(line, "digits@1")
    assert (found["kind"], found["value"], found["wrong"]) == ("accuracy", pytest.approx(5 / 6), 1)
    assert found["low"] < 5 / 6 < found["high"]


def test_labels_of_a_file_and_by_http_are_one(line: RunningLine, tmp_path: Path) -> None:
    """What came by HTTP is repeated in the file; an unknown request waits; the command needs no daemon."""
    asked = ask(line, 4, seed=8)
    wait_until(lambda: set(asked) <= {one.id for one in kept(line, 1)}, "the captures")
    before = line.turnout("labels", "digits", "--json").document["labels"]
    truth = right(line, 1, asked)
    (tmp_path / "truth.csv").write_text(
        "request_id,label\n" + "".join(f"{key},{label}\n" for key, label in truth.items()) + "nobody,1\n"
    )
    first = line.turnout("labels", "digits", str(tmp_path / "truth.csv"), "--json").document
    assert (first["taken"]["joined"], first["taken"]["waiting"]) == (4, 1)
    again = line.turnout("labels", "digits", str(tmp_path / "truth.csv"), "--json").document
    assert (again["taken"]["repeated"], again["taken"]["joined"]) == (5, 0)
    assert again["versions"] == first["versions"]
    assert again["labels"]["joined"] == before["joined"] + 4


def test_labels_are_accepted_while_the_daemon_is_down(line: RunningLine) -> None:
    """They lie on the disk, and the next daemon takes them in, once."""
    asked = ask(line, 3, seed=9)
    wait_until(lambda: set(asked) <= {one.id for one in kept(line, 1)}, "the captures")
    truth = right(line, 1, asked)
    before = line.turnout("labels", "digits", "--json").document["versions"]["digits@1"][0]["requests"]
    line.kill("guardian", "daemon")
    for key in asked:
        answer = httpx.post(line.url().replace("/predict", "/labels"), json={"request_id": key, "label": truth[key]})
        assert answer.status_code == 202
    assert not line.processes("daemon")
    wait_until(lambda: quality(line, "digits@1")["requests"] == before + 3, "the labels, by the next daemon")
