"""A real gateway in front of real processes: where requests go, and that none is lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import BadInput, ServeFailed, StorageFailed
from pipelines.local.envoy.gateway import EnvoyGateway
from pipelines.local.envoy.settings import GatewayFiles, GatewaySettings
from pipelines.local.runtime import Runtime
from pipelines.values import Sticky
from tests.local.live import Answer, World, eventually, statuses, versions, world


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway with the versions 7 and 8 running, and every request to 7."""
    with world(tmp_path_factory.mktemp("projects") / "a project with ünusual lettèrs") as made:
        made.start(7)
        made.start(8)
        yield made


@pytest.fixture
def two(running: World) -> World:
    """Two versions that behave well, every request to 7."""
    for number in (7, 8):
        running.behave(number, "ok")
    running.route((7, 100), warm=(8,))
    return running


def test_traffic_is_split_by_weight(two: World) -> None:
    """At 50 to 50, both versions answer, and the target reports the split that is in force."""
    split = two.route((7, 50), (8, 50))
    assert two.target.split("digits") == split
    answers = two.ask_many(60)
    assert statuses(answers) == {200: 60}
    assert set(versions(answers)) == {"digits@7", "digits@8"}


def test_a_weight_of_zero_gets_nothing(two: World) -> None:
    """A version with the weight 0 answers no request."""
    two.route((7, 100), (8, 0))
    assert versions(two.ask_many(30)) == {"digits@7": 30}


def test_a_switch_holds_for_every_request_that_follows(two: World) -> None:
    """Whatever begins after `route` has returned goes to the new version, and nothing fails meanwhile."""
    with two.load() as answers:
        for number in (8, 7, 8, 7, 8):
            two.route((number, 100), warm=(15 - number,))
            begins = max(one.began for one in answers) if answers else 0.0
            after = two.ask_many(5)
            assert versions(after) == {f"digits@{number}": 5}
            assert all(one.began >= begins for one in after)
    assert statuses(answers) == {200: len(answers)}


def test_a_slow_request_outlives_the_switch_and_the_stop(two: World) -> None:
    """A request in flight is answered by the version that has it, though that version is stopped meanwhile."""
    bento = two.start(9)
    two.route((9, 100), warm=(7,))
    got: list[Answer] = []
    slow = threading.Thread(target=lambda: got.append(two.ask(x_test="slow")))
    slow.start()
    eventually(lambda: two.target.gateway.in_flight(bento.ref), "the request is in flight")
    two.route((7, 100))
    two.target.stop(bento.ref)
    slow.join(20)
    assert [(one.status, one.version) for one in got] == [(200, "digits@9")]
    assert bento.ref not in two.target.health()


def test_a_slow_request_is_not_cut_during_a_canary(two: World) -> None:
    """A request that takes longer than the second try is answered all the same, and is no failure."""
    two.route((7, 50), (8, 50))
    answers = [two.ask(x_test="slow") for _ in range(2)]
    assert statuses(answers) == {200: 2}


def test_the_override_header_reaches_a_version(two: World) -> None:
    """`x-turnout-version` chooses among the running versions, with or without a share."""
    assert versions(two.ask_many(5)) == {"digits@7": 5}
    assert versions(two.ask_many(5, x_turnout_version="digits@8")) == {"digits@8": 5}


def test_an_unknown_override_is_refused(two: World) -> None:
    """A version that does not run is a 404 that names those that do, never another version's answer."""
    answer = two.ask(x_turnout_version="digits@99")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    error = json.loads(answer.body)["error"]
    assert "digits@7, digits@8" in error["message"]


def test_an_unknown_model_is_refused(two: World) -> None:
    """A path that belongs to no model is a 404 that names the models."""
    answer = two.ask("/nothing/predict")
    assert answer.status == 404
    assert "/digits/predict" in json.loads(answer.body)["error"]["message"]


def test_pages_are_served_below_the_model(two: World) -> None:
    """Everything below the model's prefix reaches the host without the prefix."""
    answer = two.ask("/digits/docs.json", None)
    assert json.loads(answer.body)["path"] == "/docs.json"
    assert two.ask("/digits", None).status == 308


def test_request_ids(two: World) -> None:
    """The client's own id is kept; the gateway's id is its own, is told to both sides, and cannot be forged."""
    answer = two.ask(x_request_id="mine", x_turnout_id="forged", x_turnout_user="forged")
    seen = two.seen(7)[-1]["headers"]
    assert seen["x-request-id"] == "mine"
    assert seen["x-turnout-id"] == answer.headers["x-turnout-id"] != "forged"


def test_a_shadow_gets_copies_and_its_answers_are_thrown_away(two: World) -> None:
    """Every request is copied to the shadow with the same id; a shadow that fails harms nobody."""
    two.behave(8, "503")
    before = len(two.seen(8))
    split = two.route((7, 100), shadow=two.ref(8))
    assert split.shadow == two.ref(8)
    answers = two.ask_many(10)
    assert statuses(answers) == {200: 10}
    assert versions(answers) == {"digits@7": 10}
    eventually(lambda: len(two.seen(8)) == before + 10, "all copies have come")
    copied = {line["headers"]["x-turnout-id"] for line in two.seen(8)[before:]}
    assert copied == {one.headers["x-turnout-id"] for one in answers}


@pytest.mark.parametrize("kind", ["header", "cookie"])
def test_a_user_stays_while_the_share_grows(two: World, kind: str) -> None:
    """From 20 to 60 percent nobody who had the canary goes back, and each user sees one version only."""

    def who(salt: str, share: int) -> dict[str, str]:
        sticky = Sticky("header" if kind == "header" else "cookie", "x-user" if kind == "header" else "user", salt)
        two.route((7, 100 - share), (8, share), sticky=sticky)
        found = {}
        for number in range(40):
            key = {"x_user": f"u{number}"} if kind == "header" else {"cookie": f"a=1; user=u{number}; b=2"}
            seen = versions(two.ask_many(2, **key))
            assert len(seen) == 1, "one user, two versions"
            found[f"u{number}"] = next(iter(seen))
        return found

    few, many = who("first", 20), who("first", 60)
    canary = {user for user, version in few.items() if version == "digits@8"}
    assert canary < {user for user, version in many.items() if version == "digits@8"}
    other = {user for user, version in who("second", 20).items() if version == "digits@8"}
    assert other != canary, "another rollout's salt picks other users"


def test_who_comes_without_the_cookie_gets_one_that_holds(two: World) -> None:
    """The first answer sets a cookie, and whoever sends it back stays with the version of that first answer."""
    two.route((7, 50), (8, 50), sticky=Sticky("cookie", "user", "salt"))
    firsts = two.ask_many(12)
    assert len(versions(firsts)) == 2
    for first in firsts:
        cookie = first.headers["set-cookie"].partition(";")[0]
        again = two.ask(cookie=cookie)
        assert again.version == first.version
        assert "set-cookie" not in again.headers


def test_two_models_do_not_touch_each_other(two: World) -> None:
    """A switch of one model leaves the other's requests where they were."""
    two.start(1, model="credit")
    two.route((1, 100), model="credit")
    two.route((8, 100), warm=(7,))
    assert versions([two.ask("/credit/predict")]) == {"credit@1": 1}
    assert versions([two.ask()]) == {"digits@8": 1}
    two.target.route(type(two.route((1, 100), model="credit"))("credit"), frozenset())
    assert two.target.split("credit") is None
    two.target.stop(two.ref(1, "credit"))
    assert two.ask("/credit/predict").status == 404


def test_a_version_that_does_not_run_gets_no_share(two: World) -> None:
    """Routing to it is refused and changes nothing."""
    before = two.target.split("digits")
    with pytest.raises(ServeFailed, match="digits@42"):
        two.route((42, 100))
    assert two.target.split("digits") == before
    assert versions(two.ask_many(3)) == {"digits@7": 3}


def test_the_safe_routes_leave_the_stable_version_alone(two: World) -> None:
    """Renaming the safe file into place, with no other step, takes canary and shadow away."""
    two.start(9)
    two.route((7, 40), (8, 60), shadow=two.ref(9))
    two.target.files.safe_routes.replace(two.target.files.routes)
    eventually(lambda: two.target.gateway.read()["digits"].split.weights == {two.ref(7): 100}, "the safe routes hold")
    assert two.target.gateway.read()["digits"].split.shadow is None
    assert versions(two.ask_many(20)) == {"digits@7": 20}
    two.route((7, 100), warm=(8,))
    two.target.stop(two.ref(9))


def test_the_gateway_comes_back_with_what_it_routed(two: World) -> None:
    """Killed, it is started again by the next look, and the split is the one of before."""
    split = two.route((7, 30), (8, 70))
    identity = json.loads(two.target.files.process.read_text())
    os.kill(identity["pid"], signal.SIGKILL)
    eventually(lambda: not two.target.gateway.is_running, "it is dead")
    two.target.tick()
    assert two.target.split("digits") == split
    eventually(lambda: statuses(two.ask_many(5)) == {200: 5}, "it serves")


def test_what_the_gateway_refuses_is_told_and_undone(two: World) -> None:
    """What the gateway does not take is an error with its reason; it goes on with what it had."""
    before = two.target.split("digits")
    with pytest.raises(ServeFailed, match=r"did not take its new clusters: .*exceeds maximum"):
        two.target.gateway.add(two.ref(42), ["/" + "x" * 200])
    assert two.target.split("digits") == before
    assert statuses(two.ask_many(3)) == {200: 3}
    two.route((8, 100))
    assert versions(two.ask_many(3)) == {"digits@8": 3}


@pytest.mark.parametrize(
    ("room", "doing"), [(0, "the gateway's safe routes"), (200, "what the gateway should do")], ids=["none", "for one"]
)
def test_a_full_disk_leaves_the_routes_as_they_are(two: World, room: int, doing: str) -> None:
    """What cannot be written to its end is told with its path, the version before serves on, and a retry works."""
    before, files = two.target.split("digits"), two.target.gateway.files
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = files.safe_routes.stat().st_size + room if room else 100
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(StorageFailed, match=rf"routes\.json while writing {doing}"):
            two.route((7, 50), (8, 50))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert two.target.split("digits") == before
    assert versions(two.ask_many(5)) == {"digits@7": 5}
    assert not list(files.routes.parent.glob(".*")), "nothing half-written lies about"
    two.route((8, 100), warm=(7,))
    assert versions(two.ask_many(5)) == {"digits@8": 5}


@pytest.mark.parametrize("name", ["", "no header", "a)%", "x" * 65])
def test_a_sticky_name_is_a_name(name: str) -> None:
    """What cannot name a header is refused before anything is told to the gateway."""
    with pytest.raises(BadInput, match="cannot name"):
        Sticky("header", name, "salt")


def test_a_taken_port_is_told_with_its_owner(tmp_path: Path) -> None:
    """The message names the port and the process that has it; nothing is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        gateway = EnvoyGateway(
            GatewaySettings(port), GatewayFiles(tmp_path / "gateway", tmp_path / "logs"), Runtime.of(tmp_path)
        )
        with pytest.raises(ServeFailed, match=rf"port {port} is taken by .*PID {os.getpid()}"):
            gateway.ensure()
        assert gateway.instance == ""
