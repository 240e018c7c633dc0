"""The same bento on our host and under plain `bentoml serve`: hundreds of requests, the same answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving.bentos import TABLE_ROWS, Server, bentoml_client, running_bentoml, tensor_rows

pytestmark = [
    # BentoML asks pathspec for a pattern by a name that has become old, and overrides a hook of pydantic's models.
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The `__get_pydantic_core_schema__` method:DeprecationWarning"),
]

JSON = {"content-type": "application/json"}
Request = tuple[bytes, dict[str, str]]


@pytest.fixture(scope="module")
def tensor_bentoml(tensor_bento: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`digits@7` under `bentoml serve`."""
    with running_bentoml(tensor_bento, tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="module")
def table_bentoml(table_bento: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`credit@3` under `bentoml serve`."""
    with running_bentoml(table_bento, tmp_path_factory.mktemp("home")) as server:
        yield server


def body_of(rows: Any) -> bytes:
    """A request body."""
    return json.dumps({"inputs": rows}).encode()


def broken_bodies(good: bytes) -> Iterator[Request]:
    """What is no request for any model."""
    for body in (b"", b" ", b"{", b"[]", b"null", b"{}", b'{"inputs": []}', b'{"inputs": null}', b"\xff", b"[" * 5000):
        yield body, JSON
    yield good[:-1], JSON
    yield good[:-1] + b', "more": 1}', JSON
    for content_type in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "application/json"):
        yield good, {"content-type": content_type}
    yield good, {**JSON, "content-encoding": "gzip"}
    yield good, {**JSON, "x-request-id": "the-clients-own"}


def wrong_values(random: np.random.Generator) -> Any:
    """Something that is no number."""
    return [None, True, "3", [], {}, [1.0], 1e39, -1e300, "", "NaN"][random.integers(10)]


def tensor_requests() -> Iterator[Request]:
    """Right batches of one to forty rows, and ones with something wrong at a random place."""
    random = np.random.default_rng(5)
    for number in range(150):
        yield body_of(tensor_rows(int(random.integers(1, 40)), seed=number)), JSON
    for number in range(100):
        rows = tensor_rows(3, seed=number)
        rows[random.integers(3)][random.integers(4)][random.integers(4)][0] = wrong_values(random)
        yield body_of(rows), JSON
    for number in range(40):
        rows = tensor_rows(3, seed=number)
        rows[random.integers(3)][random.integers(4)] = wrong_values(random)
        yield body_of(rows), JSON
    yield from broken_bodies(body_of(tensor_rows(2)))


def table_requests() -> Iterator[Request]:
    """Right batches with missing values and unseen texts, and ones with something wrong at a random place."""
    random = np.random.default_rng(6)

    def row() -> dict[str, Any]:
        made: dict[str, Any] = {
            "age": int(random.integers(18, 90)),
            "income": [None, round(float(random.normal(40, 10)), 2), 1e38, 0][random.integers(4)],
            "job": ["skilled", "manager", "", "nobody knows", "日本"][random.integers(5)],
            "member": bool(random.integers(2)),
        }
        if random.integers(4) == 0:
            del made["income"]
        return made

    for _ in range(150):
        yield body_of([row() for _ in range(random.integers(1, 40))]), JSON
    for _ in range(100):
        rows = [row() for _ in range(3)]
        rows[random.integers(3)][["age", "income", "job", "member"][random.integers(4)]] = wrong_values(random)
        yield body_of(rows), JSON
    for change in ({"age": 2**63}, {"age": 1.5}, {"age": 7.0}, {"more": 1}, {"income": "x"}, {"member": 0}):
        yield body_of([TABLE_ROWS[0] | change]), JSON
    for name in ("age", "job", "member"):
        yield body_of([{key: value for key, value in TABLE_ROWS[0].items() if key != name}]), JSON
    yield from broken_bodies(body_of(TABLE_ROWS))


def compare(host: Server, other: Server, requests: Iterator[Request]) -> dict[int, int]:
    """Send each request to both and compare the answers; how often each status came."""
    seen: dict[int, int] = {}
    for body, headers in requests:
        mine, theirs = (server.client.post("/predict", content=body, headers=headers) for server in (host, other))
        assert mine.status_code == theirs.status_code, (body, mine.text, theirs.text)
        assert mine.json() == theirs.json()
        assert mine.headers["x-model-version"] == theirs.headers["x-model-version"]
        if "x-request-id" in headers:
            assert mine.headers["x-request-id"] == theirs.headers["x-request-id"] == headers["x-request-id"]
        seen[mine.status_code] = seen.get(mine.status_code, 0) + 1
    return seen


def test_a_tensor_model_answers_the_same_in_both(tensor_host: Server, tensor_bentoml: Server) -> None:
    """Three hundred requests, good and bad: equal status, equal body, equal headers of ours, never a 5xx."""
    seen = compare(tensor_host, tensor_bentoml, tensor_requests())
    assert sum(seen.values()) >= 300
    assert set(seen) == {200, 400, 415}
    assert seen[200] >= 150
    assert seen[400] >= 100


def test_a_table_model_answers_the_same_in_both(table_host: Server, table_bentoml: Server) -> None:
    """Nearly three hundred requests, good and bad: equal status, equal body, equal headers of ours, never a 5xx."""
    seen = compare(table_host, table_bentoml, table_requests())
    assert sum(seen.values()) >= 270
    assert set(seen) == {200, 400, 415}
    assert seen[200] >= 150
    assert seen[400] >= 70


def test_other_methods_are_refused_the_same_in_both(tensor_host: Server, tensor_bentoml: Server) -> None:
    """405 with the header that says what is allowed."""
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answers = [server.client.request(method, "/predict") for server in (tensor_host, tensor_bentoml)]
        assert [answer.status_code for answer in answers] == [405, 405]
        assert [answer.headers["allow"] for answer in answers] == ["POST", "POST"]


def test_both_show_the_same_document(tensor_host: Server, tensor_bentoml: Server) -> None:
    """The OpenAPI page does not depend on who serves."""
    documents = [server.client.get("/docs.json").json() for server in (tensor_host, tensor_bentoml)]
    assert documents[0] == documents[1]


def test_the_bentoml_client_calls_bentoml_serve(tensor_bentoml: Server, table_bentoml: Server) -> None:
    """Arrays and records, as with our host."""
    with bentoml_client(tensor_bentoml.url) as client:
        outputs = client.predict(inputs=np.array(tensor_rows(3), np.float32))["outputs"]
    np.testing.assert_array_equal(
        outputs, np.array(tensor_bentoml.predict(tensor_rows(3)).json()["outputs"], np.float32)
    )
    with bentoml_client(table_bentoml.url) as client:
        assert client.predict(inputs=TABLE_ROWS) == table_bentoml.predict(TABLE_ROWS).json()
