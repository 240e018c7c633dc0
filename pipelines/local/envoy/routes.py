"""The gateway's routes, rendered and read back: one path prefix a model, shares by weight."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.errors import TurnoutError
from pipelines.local.envoy.names import (
    ARM_HEADER,
    FAILURE_HEADER,
    JOIN_HEADER,
    OVERRIDE_HEADER,
    USER_HEADER,
    Purpose,
    arm_mark,
    cluster_name,
    judged_name,
    read_cluster,
    read_judged,
)
from pipelines.local.envoy.settings import GatewaySettings
from pipelines.values import Split, Sticky, VersionRef, read_ref

ROUTES_NAME = "models"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRoutes:
    """Where the requests for one model go.

    Args:
        split: By weight.
        warm: Versions that have no share: the override header reaches them, and they stand in for one that fails.
    """

    split: Split
    warm: frozenset[VersionRef] = frozenset()

    @property
    def main(self) -> VersionRef:
        """The version with the largest share; the stable one of two equals."""
        return max(self.split.weights, key=lambda ref: self.split.weights[ref])

    @property
    def reachable(self) -> list[VersionRef]:
        """All versions that the override header reaches."""
        return sorted(self.split.versions | self.warm)

    def fallback(self, ref: VersionRef) -> list[VersionRef]:
        """Who answers when `ref` does not, best first: those with a share, the stable one first, then the warm ones."""
        sharing = [other for other, weight in self.split.weights.items() if weight and other != ref]
        return [*sharing, *sorted(self.warm - {ref}, reverse=True)]

    @property
    def is_contested(self) -> bool:
        """Whether more than one version has a share."""
        return sum(1 for weight in self.split.weights.values() if weight) > 1

    def safe(self) -> ModelRoutes:
        """Everything to the stable version, no copies."""
        stable = next(iter(self.split.weights))
        warm = (self.split.versions | self.warm) - {stable}
        return ModelRoutes(replace(self.split, weights={stable: 100}, shadow=None, sticky=None), warm)


def render_routes(models: Mapping[str, ModelRoutes], version: str, settings: GatewaySettings) -> str:
    """The routes' file.

    Args:
        models: By name; each has a split with weights.
        version: What the gateway reports once it has them.
        settings: Of the gateway.
    """
    routes = [route for name in sorted(models) for route in _of_model(models[name], settings)]
    known = {
        "models": {
            name: {"split": one.split.as_dict(), "warm": sorted(map(str, one.warm))} for name, one in models.items()
        }
    }
    resource = {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES_NAME,
        # A route to a cluster that does not exist would otherwise be taken, and answer 503.
        "validate_clusters": True,
        "virtual_hosts": [
            {
                "name": ROUTES_NAME,
                "domains": ["*"],
                "include_request_attempt_count": True,
                "request_body_buffer_limit": settings.retried_bytes,
                "metadata": {"filter_metadata": {"turnout": known}},
                "routes": [*routes, _unknown_model(sorted(models))],
            }
        ],
    }
    return json.dumps({"version_info": version, "resources": [resource]})


def _of_model(model: ModelRoutes, settings: GatewaySettings) -> Iterator[Json]:
    name = model.split.model
    for ref in model.reachable:
        yield {
            "name": f"direct {name} {ref.number}",
            "match": {"prefix": f"/{name}/", "headers": [_header(OVERRIDE_HEADER, {"exact": str(ref)})]},
            "route": _plain(cluster_name(ref, Purpose.DIRECT), settings),
            **_marks(name, is_judged=False),
        }
    yield _unknown_version(model)
    yield from _judged(model, settings)
    yield {
        "name": f"page {name}",
        "match": {"prefix": f"/{name}/"},
        "route": _plain(cluster_name(model.main, Purpose.DIRECT), settings),
        **_marks(name, is_judged=False),
    }
    yield {
        "name": f"model {name}",
        "match": {"path": f"/{name}"},
        "redirect": {"path_redirect": f"/{name}/", "response_code": "PERMANENT_REDIRECT"},
    }


def _plain(cluster: str, settings: GatewaySettings) -> Json:
    return {
        "cluster": cluster,
        "prefix_rewrite": "/",
        "timeout": f"{settings.request_seconds}s",
        "retry_policy": {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 2},
    }


def _judged(model: ModelRoutes, settings: GatewaySettings) -> Iterator[Json]:
    split = model.split
    action = _by_weight(model, settings)
    if split.sticky is None:
        yield _predict(split, action, [], _marks(split.model))
        return
    sticky = split.sticky
    if sticky.kind == "header":
        by_user = {**action, "hash_policy": [_hash(sticky.name, "^(.*)$", sticky.salt)]}
        yield _predict(split, by_user, [], _marks(split.model, user=f"%REQ({sticky.name})%"))
        return
    # Who comes without the cookie gets one: its value is the id that chose the version, so the choice holds.
    cookie = re.escape(sticky.name)
    pattern = f"^(?:.*; *)?{cookie}=([^;]*).*$"
    known = {**action, "hash_policy": [_hash("cookie", pattern, sticky.salt)]}
    has_cookie = _header("cookie", {"safe_regex": {"regex": f"(?:.*; *)?{cookie}=[^;].*"}})
    marks = _marks(split.model, user=f"%CEL(re.extract(request.headers['cookie'], r'{pattern}', r'\\1'))%")
    yield _predict(split, known, [has_cookie], marks)
    new = {**action, "hash_policy": [_hash("x-request-id", "^(.*)$", sticky.salt)]}
    marks = _marks(split.model, user="%REQ(x-request-id)%", cookie=sticky)
    yield _predict(split, new, [], marks)


def _predict(split: Split, action: Json, headers: list[Json], marks: Json) -> Json:
    match: Json = {"path": f"/{split.model}/predict"}
    if headers:
        match["headers"] = headers
    return {"name": judged_name(split), "match": match, "route": action, **marks}


def _by_weight(model: ModelRoutes, settings: GatewaySettings) -> Json:
    split = model.split
    weighted: Json = {
        "clusters": [
            {
                "name": cluster_name(ref, Purpose.JUDGED),
                "weight": weight,
                "request_headers_to_add": [_overwrite(ARM_HEADER, arm_mark(split, ref))],
            }
            for ref, weight in split.weights.items()
        ]
    }
    if split.sticky is not None:
        weighted["use_hash_policy"] = True
    # `5xx` covers resets, refused connections and time-outs as well; a retry goes to the next version in the order.
    retry: Json = {
        "retry_on": "5xx",
        "num_retries": 1,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.01s"},
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3."
                "PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }
    action: Json = {
        "weighted_clusters": weighted,
        "prefix_rewrite": "/predict",
        "timeout": f"{settings.request_seconds}s",
        "retry_policy": retry,
    }
    if model.is_contested:
        # An answer that is not finite comes as a 422, and another version may have a better one.
        retry["retry_on"] = "5xx,retriable-headers"
        retry["retriable_headers"] = [{"name": FAILURE_HEADER, "present_match": True}]
        retry["per_try_timeout"] = f"{settings.second_try_seconds}s"
        action["hedge_policy"] = {"hedge_on_per_try_timeout": True}
    if split.shadow is not None:
        action["request_mirror_policies"] = [{"cluster": cluster_name(split.shadow, Purpose.SHADOW)}]
    return action


def _hash(header: str, pattern: str, salt: str) -> Json:
    rewrite = {"pattern": {"regex": pattern}, "substitution": f"{salt}:\\1"}
    return {"header": {"header_name": header, "regex_rewrite": rewrite}, "terminal": True}


def _header(name: str, match: Json) -> Json:
    return {"name": name, "string_match": match}


def _marks(model: str, *, user: str = "", cookie: Sticky | None = None, is_judged: bool = True) -> Json:
    """Headers that every forwarded request of a model gets; what a client sent under these names is replaced."""
    added = [_overwrite(JOIN_HEADER, "%UNIQUE_ID%"), _overwrite("x-forwarded-prefix", f"/{model}")]
    # A judged request has its mark by now: the chosen cluster's headers come first.
    removed = [OVERRIDE_HEADER] if is_judged else [OVERRIDE_HEADER, ARM_HEADER]
    marks: Json = {"request_headers_to_add": added, "request_headers_to_remove": removed}
    if user:
        added.append(_overwrite(USER_HEADER, user))
    answer = [_overwrite(JOIN_HEADER, f"%REQ({JOIN_HEADER})%")]
    if cookie is not None:
        value = f"{cookie.name}=%REQ(x-request-id)%; Path=/{model}; HttpOnly; SameSite=Lax"
        answer.append({"header": {"key": "set-cookie", "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"})
    marks["response_headers_to_add"] = answer
    return marks


def _overwrite(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _unknown_version(model: ModelRoutes) -> Json:
    split = model.split
    running = ", ".join(map(str, model.reachable))
    error = TurnoutError(
        f"{split.model} has no running version of the name in the header {OVERRIDE_HEADER}",
        instead=f"it has {running}",
        then="Leave the header out to get the version whose turn it is.",
    )
    match = {"prefix": f"/{split.model}/", "headers": [{"name": OVERRIDE_HEADER, "present_match": True}]}
    return {"name": f"unknown version {split.model}", "match": match, **_refusal(404, "no_such_version", error)}


def _unknown_model(names: list[str]) -> Json:
    known = ", ".join(f"/{name}/predict" for name in names)
    error = TurnoutError(
        "nothing is served at this path",
        instead=f"requests go to {known}" if known else "no model is deployed",
        then="" if known else "Deploy one with `turnout deploy`.",
    )
    return {"name": "unknown model", "match": {"prefix": "/"}, **_refusal(404, "no_such_model", error)}


def _refusal(status: int, kind: str, error: TurnoutError) -> Json:
    body = json.dumps({"error": {**error.as_dict(), "type": kind, "field": ""}})
    return {
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [_overwrite("content-type", "application/json")],
    }


def read_routes(resource: Mapping[str, Any]) -> dict[str, ModelRoutes]:
    """What a route configuration says, by model; weights and shadow are read from the routes that act, not from notes.

    Args:
        resource: As in the file, or as the gateway reports it.
    """
    hosts = resource.get("virtual_hosts") or [{}]
    notes = hosts[0].get("metadata", {}).get("filter_metadata", {}).get("turnout", {}).get("models", {})
    found: dict[str, ModelRoutes] = {}
    for route in hosts[0].get("routes", []):
        arms = read_judged(route.get("name", ""))
        if arms is None or arms.model not in notes:
            continue
        noted = notes[arms.model]
        action = route["route"]
        split = replace(
            Split.from_dict({**noted["split"], "generation": int(noted["split"]["generation"])}),
            weights=_read_weights(action),
            shadow=_read_shadow(action),
            generation=arms.generation,
        )
        found[arms.model] = ModelRoutes(split, frozenset(read_ref(ref) for ref in noted["warm"]))
    return found


def _read_weights(action: Mapping[str, Any]) -> dict[VersionRef, int]:
    weights = {}
    for one in action["weighted_clusters"]["clusters"]:
        chosen = read_cluster(one["name"])
        if chosen is not None:
            weights[chosen[0]] = int(one.get("weight", 0))
    return weights


def _read_shadow(action: Mapping[str, Any]) -> VersionRef | None:
    for policy in action.get("request_mirror_policies", []):
        chosen = read_cluster(policy["cluster"])
        if chosen is not None:
            return chosen[0]
    return None
