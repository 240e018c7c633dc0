"""No input gives a 5xx: arbitrary JSON, near misses, and what the served OpenAPI document suggests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.serving.asgi import Receive, Scope, Send, respond
from pipelines.serving.hotpath import HotPath
from pipelines.serving.replica import Replica
from tests.serving.asgi import answered
from tests.serving.bentos import Server

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**64) - 1, 2**64 + 1)
    | st.floats()
    | st.text()
    | st.sampled_from(["2024-05-17", "NaN", "1e400", "\x00", "skilled"])
)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)
CELLS = st.floats(width=32) | st.integers() | SCALARS
IMAGES = st.lists(
    st.lists(st.lists(st.lists(CELLS, min_size=1, max_size=1), min_size=4, max_size=4), min_size=4, max_size=4),
    min_size=1,
    max_size=3,
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"age": st.integers() | SCALARS, "job": st.text() | SCALARS, "member": st.booleans() | SCALARS},
        optional={"income": st.floats(width=32) | SCALARS},
    ),
    min_size=1,
    max_size=4,
)
SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands for the application behind."""
    del scope, receive
    await respond(send, 299, b"", [])


@pytest.fixture(scope="module")
def apps(tensor_bento: Path, table_bento: Path) -> list[HotPath]:
    """The hot path of a tensor and of a table model."""
    made = []
    for folder in (tensor_bento, table_bento):
        replica = Replica(folder)
        replica.load()
        made.append(HotPath(nothing, replica))
    return made


def check(app: HotPath, body: Any) -> int:
    """Send it; the answer is one of ours and says why, if it refuses."""
    answer = answered(app, body)
    assert answer.status in (200, 400, 413, 422), answer.body
    if answer.status == 200:
        assert len(answer.json["outputs"]) == len(
            json.loads(body if isinstance(body, bytes) else json.dumps(body))["inputs"]
        )
    else:
        assert answer.error["message"]
    return answer.status


@SETTINGS
@given(body=ANYTHING | st.fixed_dictionaries({"inputs": ANYTHING}))
def test_arbitrary_json_is_answered_or_refused(apps: list[HotPath], body: Any) -> None:
    """Any document at all, with and without the right key; Python writes NaN and Infinity, which JSON does not have."""
    for app in apps:
        check(app, body)


@SETTINGS
@given(body=st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes_are_refused(apps: list[HotPath], body: bytes) -> None:
    """Hardly any of them are JSON, none is a request."""
    for app in apps:
        assert check(app, body) == 400


@SETTINGS
@given(rows=IMAGES)
def test_nearly_right_images_are_answered_or_refused(apps: list[HotPath], rows: Any) -> None:
    """The right shape, now and then with something else in a cell."""
    check(apps[0], {"inputs": rows})


@SETTINGS
@given(rows=RECORDS)
def test_nearly_right_records_are_answered_or_refused(apps: list[HotPath], rows: Any) -> None:
    """The right columns, now and then with another type, a number out of range or a value missing."""
    check(apps[1], {"inputs": rows})


@pytest.mark.parametrize("name", ["tensor_host", "table_host"])
def test_the_served_document_leads_to_no_5xx(name: str, request: pytest.FixtureRequest) -> None:
    """Schemathesis sends what the OpenAPI document allows, and what it forbids, to the running host."""
    host: Server = request.getfixturevalue(name)
    schema = schemathesis.openapi.from_url(f"{host.url}/docs.json")
    schema.validate()
    operation = schema["/predict"]["POST"]
    statuses = set()

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    def send(case: Any) -> None:
        response = case.call()
        statuses.add(response.status_code)
        assert response.status_code < 500, response.text

    send()
    assert {200, 400} <= statuses
