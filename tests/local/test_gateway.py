"""What the gateway is told, without a gateway: names, routes, clusters, and that all is read back as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.local.envoy.bootstrap import render_bootstrap
from pipelines.local.envoy.clusters import render_clusters
from pipelines.local.envoy.names import Purpose, cluster_name, hosts_name, read_cluster
from pipelines.local.envoy.routes import ModelRoutes, read_routes, render_routes
from pipelines.local.envoy.settings import GatewayFiles, GatewaySettings
from pipelines.values import Split, Sticky, VersionRef

SETTINGS = GatewaySettings(3000)
A, B, C = (VersionRef("digits", number) for number in (7, 8, 10))


def rendered(*models: ModelRoutes) -> dict[str, Any]:
    """The route configuration for some models."""
    text = render_routes({one.split.model: one for one in models}, "v", SETTINGS)
    resource: dict[str, Any] = json.loads(text)["resources"][0]
    return resource


def routes_of(model: ModelRoutes) -> dict[str, dict[str, Any]]:
    """A model's routes by name; of two with one name the first."""
    found: dict[str, dict[str, Any]] = {}
    for route in rendered(model)["virtual_hosts"][0]["routes"]:
        found.setdefault(route["name"], route)
    return found


stickies = st.none() | st.builds(
    Sticky,
    st.sampled_from(["header", "cookie"]),
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.just("salt"),
)


@st.composite
def model_routes(draw: st.DrawFn) -> ModelRoutes:
    """Any routes of one model."""
    name = draw(st.sampled_from(["digits", "a", "x-1_y"]))
    numbers = draw(st.lists(st.integers(1, 999), min_size=1, max_size=5, unique=True))
    first, *others = (VersionRef(name, number) for number in numbers)
    share = draw(st.integers(0, 100)) if others else 0
    weights = {first: 100 - share, others[0]: share} if others else {first: 100}
    shadow = others[1] if len(others) > 1 and draw(st.booleans()) else None
    split = Split(name, weights, shadow, draw(stickies), draw(st.integers(0, 10**6)))
    return ModelRoutes(split, frozenset(others[2:]))


@given(st.lists(model_routes(), max_size=3, unique_by=lambda one: one.split.model))
def test_routes_are_read_back_as_they_were_written(models: list[ModelRoutes]) -> None:
    """Split, order of the versions, shadow, stickiness, generation and warm versions all survive."""
    read = read_routes(rendered(*models))
    assert read == {one.split.model: one for one in models}
    for one in models:
        assert list(read[one.split.model].split.weights) == list(one.split.weights)


def test_the_weights_are_read_from_what_acts() -> None:
    """What is reported is what the gateway does, not what was noted beside it."""
    resource = rendered(ModelRoutes(Split("digits", {A: 90, B: 10}, generation=3)))
    for route in resource["virtual_hosts"][0]["routes"]:
        for cluster in route.get("route", {}).get("weighted_clusters", {}).get("clusters", []):
            cluster["weight"] = 50
    assert read_routes(resource)["digits"].split.weights == {A: 50, B: 50}


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_clusters_name_is_read_back(purpose: Purpose) -> None:
    """Version and purpose are in the name; another cluster's name has neither."""
    assert read_cluster(cluster_name(A, purpose)) == (A, purpose)
    assert read_cluster(hosts_name(A)) == (A, Purpose.JUDGED)
    assert read_cluster("digits@7") is None
    assert read_cluster("digits@champion/judged") is None
    assert read_cluster("digits@7/other") is None


def test_each_kind_of_traffic_has_clusters_of_its_own() -> None:
    """Shares, overrides and copies never meet in one counter."""
    routes = routes_of(ModelRoutes(Split("digits", {A: 90, B: 10}, C, generation=1)))
    judged = routes["judged digits 1 7=90,8=10"]["route"]
    assert [one["name"] for one in judged["weighted_clusters"]["clusters"]] == ["digits@7/judged", "digits@8/judged"]
    assert judged["request_mirror_policies"] == [{"cluster": "digits@10/shadow"}]
    assert routes["direct digits 8"]["route"]["cluster"] == "digits@8/direct"
    assert routes["page digits"]["route"]["cluster"] == "digits@7/direct"


def test_the_second_try_is_for_canaries_only() -> None:
    """Where one version has all the traffic a slow request is sent once; in a canary a second try begins."""
    alone = routes_of(ModelRoutes(Split("digits", {A: 100, B: 0})))["judged digits 0 7=100,8=0"]["route"]
    assert "hedge_policy" not in alone
    assert "per_try_timeout" not in alone["retry_policy"]
    contested = routes_of(ModelRoutes(Split("digits", {A: 99, B: 1})))["judged digits 0 7=99,8=1"]["route"]
    assert contested["retry_policy"]["per_try_timeout"] == "0.8s"


def test_who_stands_in_for_whom() -> None:
    """The other versions with a share first, the stable one before the others, then the warm ones, the latest first."""
    model = ModelRoutes(Split("digits", {A: 90, B: 10}), frozenset({C, VersionRef("digits", 3)}))
    assert model.fallback(B) == [A, C, VersionRef("digits", 3)]
    assert model.fallback(A) == [B, C, VersionRef("digits", 3)]
    assert ModelRoutes(Split("digits", {A: 100, B: 0})).fallback(A) == []


def test_safe_routes_keep_the_stable_version_alone() -> None:
    """The first of the versions gets everything; the others stay reachable by name."""
    model = ModelRoutes(Split("digits", {A: 10, B: 90}, C, Sticky("header", "x-user", "s"), 5))
    assert model.safe() == ModelRoutes(Split("digits", {A: 100}, generation=5), frozenset({B, C}))


def test_a_versions_cluster_falls_back_in_order() -> None:
    """The judged cluster asks its own hosts first; versions without hosts are left out."""
    text = render_clusters({A: ["/a"], B: ["/b0", "/b1"]}, {B: [A, C]}, SETTINGS)
    clusters = {one["name"]: one for one in json.loads(text)["resources"]}
    judged = clusters["digits@8/judged"]["cluster_type"]["typed_config"]["clusters"]
    assert judged == ["digits@8/judged/hosts", "digits@7/judged/hosts"]
    endpoints = clusters["digits@8/judged/hosts"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [one["endpoint"]["address"]["pipe"]["path"] for one in endpoints] == ["/b0", "/b1"]


def test_equal_clusters_are_the_same_version() -> None:
    """Clusters are told to the gateway only when they differ."""
    first = render_clusters({A: ["/a"], B: ["/b"]}, {}, SETTINGS)
    assert render_clusters({B: ["/b"], A: ["/a"]}, {}, SETTINGS) == first
    assert json.loads(render_clusters({A: ["/a"]}, {}, SETTINGS))["version_info"] != json.loads(first)["version_info"]


def test_the_gateway_listens_on_this_machine_only() -> None:
    """The public port is on the loopback address; the reports are on a socket that only its user can open."""
    text = render_bootstrap(SETTINGS, GatewayFiles(Path("/g"), Path("/l")), Path("/s"), "digest")
    bootstrap = json.loads(text)
    listener = bootstrap["static_resources"]["listeners"][0]
    assert listener["address"]["socket_address"]["address"] == "127.0.0.1"
    assert listener["enable_reuse_port"] is False
    assert bootstrap["admin"]["address"]["pipe"] == {"path": "/s", "mode": 0o600}
