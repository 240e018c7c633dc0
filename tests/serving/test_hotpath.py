"""`POST /predict` as an ASGI application: heads, bodies, ids, refusals and counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.serving.asgi import Receive, Scope, Send, respond
from pipelines.serving.hotpath import PARSE_INLINE_BYTES, HotPath
from pipelines.serving.predictor import Predictor
from pipelines.serving.replica import Replica
from pipelines.values import Manifest
from tests.serving.asgi import Answer, answered, call
from tests.serving.bentos import TABLE_ROWS, make_tensor_bento, tensor_rows

JSON = {"content-type": "application/json"}


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands for the BentoML application."""
    del receive
    await respond(send, 299, scope["path"].encode(), [])


@pytest.fixture
def replica(tensor_bento: Path) -> Replica:
    """A loaded replica of `digits@7` with fresh counts."""
    made = Replica(tensor_bento)
    made.load()
    return made


@pytest.fixture
def app(replica: Replica) -> HotPath:
    """The hot path before an application that answers 299."""
    return HotPath(behind, replica)


def outcomes(replica: Replica) -> dict[str, int]:
    """The outcomes counted so far that are not zero."""
    return {name: count for name, count in replica.metrics.outcomes.items() if count}


def test_rows_are_answered_in_order_with_version_and_id(app: HotPath, replica: Replica) -> None:
    """One output a row; the headers name the version and the request; each request is counted with its rows."""
    answer = answered(app, {"inputs": tensor_rows(5)}, JSON)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["x-model-version"] == "digits@7"
    assert answer.json["model"] == "digits"
    assert answer.json["version"] == 7
    alone = [answered(app, {"inputs": [row]}).json["outputs"][0] for row in tensor_rows(5)]
    np.testing.assert_allclose(answer.json["outputs"], alone, rtol=1e-6)
    assert outcomes(replica) == {"ok": 6}
    assert replica.metrics.batch_rows.total == 10
    assert sum(replica.metrics.seconds.counts) == 6
    assert replica.metrics.in_flight == 0


def test_other_paths_go_to_the_application_behind(app: HotPath, replica: Replica) -> None:
    """Uncounted and untouched."""
    for path in ("/", "/predict/", "/docs.json", "/predictions"):
        assert answered(app, b"", path=path).body == path.encode()
    assert outcomes(replica) == {}


def test_a_prefix_stands_before_predict(replica: Replica) -> None:
    """Behind a gateway that keeps its prefix."""
    app = HotPath(behind, replica, prefix="/digits")
    assert answered(app, {"inputs": tensor_rows(1)}, path="/digits/predict").status == 200
    assert answered(app, {"inputs": tensor_rows(1)}).status == 299


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/json;"],
)
def test_json_is_taken_however_it_is_written(app: HotPath, content_type: str) -> None:
    """Parameters and capital letters change nothing."""
    assert answered(app, {"inputs": tensor_rows(1)}, {"content-type": content_type}).status == 200


def test_a_missing_content_type_is_taken_for_json(app: HotPath) -> None:
    """What else could it be."""
    assert answered(app, {"inputs": tensor_rows(1)}, {}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "multipart/form-data"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/vnd.bentoml+pickle"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/jsonx"},
        {"content-type": "\xff\xfe"},
        {**JSON, "content-encoding": "gzip"},
    ],
)
def test_what_is_not_plain_json_is_a_415(app: HotPath, replica: Replica, headers: dict[str, str]) -> None:
    """Also a multipart body without a boundary; the message says what to send."""
    answer = answered(app, {"inputs": tensor_rows(1)}, headers)
    assert answer.status == 415
    assert answer.error["type"] == "unsupported_media_type"
    assert "JSON" in answer.error["instead"].replace("json", "JSON")
    assert outcomes(replica) == {"rejected": 1}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"])
def test_another_method_is_a_405_that_says_which(app: HotPath, method: str) -> None:
    """With the header that HTTP asks for."""
    answer = answered(app, b"", method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


def test_an_error_names_place_and_expectation(app: HotPath) -> None:
    """Everything of the message also stands apart, for programs."""
    row = tensor_rows(1)[0]
    row[2][3][0] = "dark"
    answer = answered(app, {"inputs": [tensor_rows(1)[0], row]}, {**JSON, "x-request-id": "abc"})
    assert answer.status == 400
    assert answer.headers["x-model-version"] == "digits@7"
    assert answer.headers["x-request-id"] == "abc"
    assert answer.error == {
        "type": "bad_request",
        "what": "inputs[1][2][3][0] is the text 'dark'",
        "instead": "expected a number (float32)",
        "next": "",
        "message": "inputs[1][2][3][0] is the text 'dark'; expected a number (float32).",
        "field": "inputs[1][2][3][0]",
    }


@pytest.mark.parametrize("known", ["7f3a", "a b", "x" * 128])
def test_the_clients_request_id_is_kept(app: HotPath, known: str) -> None:
    """Printable and of a decent length."""
    answer = answered(app, {"inputs": tensor_rows(1)}, {"x-request-id": known})
    assert answer.headers["x-request-id"] == known


@pytest.mark.parametrize("unfit", ["", "x" * 129, "a\tb", "é", "a\x00b"])
def test_an_unfit_request_id_is_replaced(app: HotPath, unfit: str) -> None:
    """Nothing of it comes back."""
    answer = answered(app, {"inputs": tensor_rows(1)}, {"x-request-id": unfit})
    assert answer.headers["x-request-id"] != unfit
    assert answer.headers["x-request-id"].isascii()


def test_made_request_ids_differ(app: HotPath, replica: Replica) -> None:
    """Within a process and between two."""
    apps = [app, app, HotPath(behind, replica)]
    ids = {answered(each, {"inputs": tensor_rows(1)}).headers["x-request-id"] for each in apps}
    assert len(ids) == 3


def test_a_body_in_parts_is_put_together(app: HotPath) -> None:
    """However the network cuts it."""
    body = json.dumps({"inputs": tensor_rows(3)}).encode()
    answer = call(app, [body[start : start + 7] for start in range(0, len(body), 7)])
    assert answer is not None
    assert answer.status == 200
    assert len(answer.json["outputs"]) == 3


def test_a_client_that_leaves_within_its_body_gets_nothing(app: HotPath, replica: Replica) -> None:
    """Nothing is computed or sent, and it is counted as what it is."""
    assert call(app, [b'{"inputs": [', None]) is None
    assert call(app, [None]) is None
    assert outcomes(replica) == {"disconnected": 2}
    assert replica.metrics.in_flight == 0


def endless() -> Iterator[bytes]:
    """A body that does not end."""
    while True:
        yield b"x" * 65_536


@pytest.fixture
def small(tmp_path: Path) -> HotPath:
    """A hot path that takes bodies of a million bytes."""
    replica = Replica(make_tensor_bento(tmp_path, max_body_bytes=1_000_000))
    replica.load()
    return HotPath(behind, replica)


def test_a_body_that_is_announced_too_long_is_refused_and_closed(small: HotPath) -> None:
    """Of 100 MB a bounded part is read, and thrown away, so that the client sees the answer."""
    parts = [b"x" * 1_000_000] * 100
    answer = call(small, parts, {**JSON, "content-length": "100000000"})
    assert answer is not None
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert answer.error["type"] == "body_too_large"
    assert answer.error["what"] == "the body is longer than 1,000,000 bytes"
    assert answer.read <= 2_000_000


def test_a_body_of_unknown_length_is_refused_at_the_limit(small: HotPath) -> None:
    """Also when it never ends."""
    answer = call(small, endless(), {**JSON, "transfer-encoding": "chunked"})
    assert answer is not None
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert answer.read <= 2_200_000


def test_a_body_at_the_limit_is_read(small: HotPath) -> None:
    """The limit itself is allowed."""
    body = json.dumps({"inputs": tensor_rows(2)}).encode()
    body += b" " * (1_000_000 - len(body))
    assert answered(small, body, {"content-length": "1000000"}).status == 200
    assert answered(small, body + b" ", {}).status == 413


def test_a_refused_head_keeps_the_connection_when_the_body_is_short(small: HotPath) -> None:
    """Its body is read and thrown away, the next request may follow."""
    answer = call(small, [b"x" * 1000, b"y" * 1000], {"content-type": "text/csv", "content-length": "2000"})
    assert answer is not None
    assert answer.status == 415
    assert "connection" not in answer.headers
    assert answer.read == 2000


def test_a_client_that_waits_for_leave_to_send_is_not_waited_for(small: HotPath) -> None:
    """After `expect: 100-continue` it may send the body or not: the connection ends with the answer."""
    headers = {"content-type": "text/csv", "content-length": "10", "expect": "100-continue"}
    answer = call(small, [None], headers)
    assert answer is not None
    assert answer.status == 415
    assert answer.headers["connection"] == "close"


def test_a_long_body_is_answered_like_a_short_one(app: HotPath, replica: Replica) -> None:
    """It goes through a worker thread, refusals too."""
    rows = tensor_rows(2000)
    assert len(json.dumps(rows)) > PARSE_INLINE_BYTES
    answer = answered(app, {"inputs": rows})
    assert answer.status == 200
    np.testing.assert_allclose(
        answer.json["outputs"][-1], answered(app, {"inputs": rows[-1:]}).json["outputs"][0], rtol=1e-6
    )
    rows[1500][0][0][0] = None
    assert answered(app, {"inputs": rows}).error["field"] == "inputs[1500][0][0][0]"
    assert outcomes(replica) == {"ok": 2, "rejected": 1}


class Stubborn:
    """A model that does what it is told, instead of a real one."""

    takes_threads = True

    def __init__(self, act: Any) -> None:
        self.act = act

    def predict(self, arrays: Any) -> Any:
        """Do it."""
        return {"scores": self.act(arrays["image"])}


def with_model(bento: Path, act: Any) -> tuple[HotPath, Replica]:
    """A hot path around a model that computes `act`."""
    replica = Replica(bento)
    replica.predictor = Predictor(Manifest.read(bento), Stubborn(act))
    return HotPath(behind, replica), replica


def test_a_model_that_raises_is_a_422_and_counted_as_its_failure(
    tensor_bento: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for the client; the traceback goes to the log, once for each kind."""

    def act(_: Any) -> Any:
        raise KeyError("Found unknown categories ['x']\nin column 0")

    app, replica = with_model(tensor_bento, act)
    for _ in range(3):
        answer = answered(app, {"inputs": tensor_rows(1)})
        assert answer.status == 422
        assert answer.error["type"] == "model_error"
        assert "KeyError" in answer.error["what"]
        assert "\n" not in answer.error["message"]
    assert outcomes(replica) == {"model_error": 3}
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None


def test_an_answer_that_is_not_finite_is_a_422_and_counted_apart(tensor_bento: Path) -> None:
    """So that a judge can see it as the version's failure."""
    app, replica = with_model(tensor_bento, lambda image: np.full((len(image), 3), np.nan))
    answer = answered(app, {"inputs": tensor_rows(1)})
    assert (answer.status, answer.error["type"], answer.error["field"]) == (422, "non_finite", "inputs[0]")
    assert outcomes(replica) == {"non_finite": 1}


def test_a_failure_of_our_own_is_a_503_with_a_log_entry(tensor_bento: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A process that cannot even write its answer is broken, and says so to the gateway."""
    app, replica = with_model(tensor_bento, lambda image: np.zeros((len(image), 3), complex))
    answer = answered(app, {"inputs": tensor_rows(1)})
    assert answer.status == 503
    assert outcomes(replica) == {"failed": 1}
    assert len(caplog.records) == 1


def test_before_the_model_is_there_the_answer_is_503(tensor_bento: Path) -> None:
    """With the time after which to try again."""
    replica = Replica(tensor_bento)
    answer = answered(HotPath(behind, replica), {"inputs": tensor_rows(1)})
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert "still being loaded" in answer.error["what"]


def test_a_slow_model_runs_in_a_thread_and_a_quick_one_does_not(tensor_bento: Path) -> None:
    """What was measured decides; a model that nobody knows to be safe in threads gets one of its own."""
    import threading

    used = []

    def act(image: Any) -> Any:
        used.append(threading.current_thread() is threading.main_thread())
        return np.zeros((len(image), 3))

    app, replica = with_model(tensor_bento, act)
    assert replica.predictor is not None
    replica.predictor.pace.first = 0.001
    answered(app, {"inputs": tensor_rows(1)})
    replica.predictor.pace.first = 0.006
    answered(app, {"inputs": tensor_rows(1)})
    replica.predictor.pace.first = 0.0
    replica.predictor.pace.each = 0.001
    answered(app, {"inputs": tensor_rows(7)})
    replica.predictor.pace.each = 0.0
    replica.predictor.takes_threads = False
    answered(app, {"inputs": tensor_rows(1)})
    assert used == [True, False, False, False]


def test_an_unseen_category_is_an_ordinary_row(table_bento: Path) -> None:
    """The table's own example rows, one with a job that the model never saw."""
    replica = Replica(table_bento)
    replica.load()
    answer: Answer = answered(HotPath(behind, replica), {"inputs": TABLE_ROWS})
    assert [row["label"] for row in answer.json["outputs"]] == ["no", "no", "no"]
