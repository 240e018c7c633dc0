"""What a host counts for the judge: only what was chosen for it, by split, without spoiling an answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.serving.arms import BOUNDS, MOST_ARMS, Arms, prediction_reader
from pipelines.serving.hotpath import HotPath
from pipelines.serving.probes import Probes
from pipelines.serving.replica import Replica
from pipelines.values import Field, Layout, Signature
from tests.serving.asgi import call
from tests.serving.bentos import make_tensor_bento, tensor_rows
from tests.serving.test_hotpath import behind
from tests.serving.test_shortcut import GOOD, request, send_through

MARK = "digits@7 12"


@pytest.fixture
def replica(tensor_bento: Path) -> Replica:
    """A loaded replica of `digits@7` with fresh counts."""
    made = Replica(tensor_bento)
    made.load()
    return made


def test_a_judged_answer_is_counted_on_both_ways(replica: Replica) -> None:
    """The short way and the ordinary one add to the same split: one answer, one time, one prediction."""
    written, passed_on = asyncio.run(send_through(replica, [request(x_turnout_arm=MARK)]))
    assert passed_on == 0
    assert b"200 OK" in written
    assert call(HotPath(behind, replica), GOOD, {"x-turnout-arm": MARK}) is not None
    (counted,) = replica.arms.as_dict().values()
    assert counted["answered"] == 2
    assert sum(counted["seconds"].values()) == 2
    assert sum(counted["predictions"].values()) == 2


@pytest.mark.parametrize("mark", ["digits@8 12", "digits@7", "digits@7 x", "credit@7 12", "", "digits@7 1 2 3"])
def test_what_was_not_chosen_for_this_version_counts_nowhere(replica: Replica, mark: str) -> None:
    """Another version's request that this one saved is no evidence; a mark that is none spoils nothing."""
    answer = call(HotPath(behind, replica), GOOD, {"x-turnout-arm": mark})
    assert answer is not None
    assert answer.status == 200
    assert replica.arms.as_dict() == {}


def test_a_request_without_a_mark_counts_nowhere(replica: Replica) -> None:
    """Forced to the version, or sent past the gateway."""
    asyncio.run(send_through(replica, [request()]))
    assert replica.arms.as_dict() == {}


def test_refused_requests_are_no_answers(replica: Replica) -> None:
    """A client's mistake has neither a time nor a prediction."""
    app = HotPath(behind, replica)
    for body in (b"{", GOOD.replace(b"0", b"null", 1)):
        call(app, body, {"x-turnout-arm": MARK})
    assert replica.arms.as_dict() == {"12": {"answered": 0, "seconds": {}, "predictions": {}}}


def test_the_latest_splits_are_kept() -> None:
    """A host that lives for a year does not grow."""
    arms = Arms("digits@7")
    for generation in range(3 * MOST_ARMS):
        assert arms.of(f"digits@7 {generation}".encode()) is not None
    assert list(arms.as_dict()) == [str(number) for number in range(2 * MOST_ARMS, 3 * MOST_ARMS)]


def test_a_user_counts_once_in_a_rollout() -> None:
    """Also when the share has grown meanwhile; in the next rollout everybody counts again."""
    arms = Arms("digits@7")
    for mark in (b"digits@7 12 a", b"digits@7 13 a", b"digits@7 14 b"):
        arm = arms.of(mark)
        assert arm is not None
        for user in (b"anna", b"anna", b"ben", None):
            arm.add(0.001, 1, user)
    counted = [arm["answered"] for arm in arms.as_dict().values()]
    assert counted == [2, 0, 2]


def test_times_are_told_apart_by_a_tenth() -> None:
    """Each time lies in the bucket whose upper bound is the first that is not below it."""
    arm = Arms("digits@7").of(b"digits@7 1")
    assert arm is not None
    for seconds in (0.0, BOUNDS[30], BOUNDS[30] * 1.01, 1e9):
        arm.add(seconds, None, None)
    assert arm.as_dict()["seconds"] == {"0": 1, "30": 1, "31": 1, str(len(BOUNDS)): 1}


@pytest.mark.parametrize(
    ("outputs", "answer", "says"),
    [
        ((Field("scores", "float32", (3,)),), {"scores": np.array([[0.1, 0.7, 0.2]])}, 1),
        ((Field("scores", "float32", (1, 3)),), {"scores": np.array([[[0.1, 0.2, 0.7]]])}, 2),
        (
            (Field("probabilities", "float32", (2,)), Field("label", "string")),
            {"label": np.array(["yes"], object), "probabilities": np.array([[0.9, 0.1]])},
            "yes",
        ),
        ((Field("label", "bool"),), {"label": np.array([True])}, "True"),
        ((Field("label", "int64"),), {"label": np.array([3])}, 3),
        ((Field("image", "float32", (4, 4)),), {"image": np.zeros((1, 4, 4))}, None),
        ((Field("scores", "float32", (3,)),), {"scores": "nonsense"}, None),
    ],
)
def test_an_answer_is_read_by_its_form(outputs: tuple[Field, ...], answer: dict[str, object], says: object) -> None:
    """A label by itself, several numbers by the largest; what is not understood is no prediction and no error."""
    signature = Signature(Layout.TENSOR, (Field("x", "float32", (2,)),), outputs)
    assert prediction_reader(signature)(answer) == says  # type: ignore[arg-type]


def test_numbers_keep_their_order() -> None:
    """A prediction is told by an eighth of a power of two, negative ones below positive ones."""
    read = prediction_reader(Signature(Layout.TENSOR, (Field("x", "float32"),), (Field("y", "float64"),)))
    numbers = [-1e9, -3.0, -1.0, -0.1, 0.0, 1e-300, 0.5, 0.57, 1.0, 250_000.0, 290_000.0]
    places = [int(str(read({"y": np.array([number])})).removeprefix("~")) for number in numbers]
    assert places == sorted(places)
    assert len(set(places)) == len(places)
    assert read({"y": np.array([100.0])}) == read({"y": np.array([101.0])})


def test_the_judge_asks_at_a_path_of_its_own(replica: Replica) -> None:
    """`/arms` names the process, so that counts which begin anew are not taken for a fall."""
    replica.instance = "one"
    app = HotPath(Probes(behind, replica), replica)
    call(app, json.dumps({"inputs": tensor_rows(1)}).encode(), {"x-turnout-arm": MARK})
    answer = call(app, b"", method="GET", path="/arms")
    assert answer is not None
    assert answer.json["instance"] == "one"
    assert answer.json["arms"]["12"]["answered"] == 1


def test_a_refusal_that_is_the_versions_fault_is_marked(tmp_path: Path) -> None:
    """The gateway tells it from a client's mistake by a header."""
    replica = Replica(make_tensor_bento(tmp_path / "src"))
    predictor = replica.load()
    predictor.encode = lambda outputs: _encode({"scores": outputs["scores"] * np.nan})
    _encode = type(predictor).load(tmp_path / "src", replica.manifest).encode
    app = HotPath(behind, replica)
    blamed, client = call(app, GOOD), call(app, b"{")
    assert blamed is not None
    assert client is not None
    assert (blamed.status, blamed.headers.get("x-turnout-failure")) == (422, "non_finite")
    assert (client.status, client.headers.get("x-turnout-failure")) == (400, None)
