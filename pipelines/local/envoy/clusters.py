"""The gateway's clusters, rendered: who may answer, how health is checked, where a failing version's requests go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from pipelines.local.envoy.names import Purpose, cluster_name, hosts_name
from pipelines.local.envoy.settings import GatewaySettings
from pipelines.values import VersionRef

Sockets = Mapping[VersionRef, Sequence[str]]
"""The hosts' sockets by version."""
Fallbacks = Mapping[VersionRef, Sequence[VersionRef]]
"""Which versions answer, in that order, when a version's own hosts do not."""

_CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MANY = 100_000

# A host keeps an idle connection for 75 s; the gateway gives it up before, so that no request meets a closing one.
_IDLE_SECONDS = 60


def render_clusters(sockets: Sockets, fallbacks: Fallbacks, settings: GatewaySettings) -> str:
    """The clusters' file; its version is a digest, so that equal clusters are the same version."""
    resources = [
        {"@type": _CLUSTER, **cluster}
        for ref in sorted(sockets)
        for cluster in _of_version(ref, sockets, fallbacks.get(ref, ()), settings)
    ]
    version = sha256(json.dumps(resources, sort_keys=True).encode()).hexdigest()[:16]
    return json.dumps({"version_info": version, "resources": resources})


def _of_version(
    ref: VersionRef, sockets: Sockets, fallback: Sequence[VersionRef], settings: GatewaySettings
) -> list[dict[str, Any]]:
    own = sockets[ref]
    order = [ref, *(other for other in fallback if other in sockets and other != ref)]
    return [
        _hosts(hosts_name(ref), own, settings),
        _hosts(cluster_name(ref, Purpose.DIRECT), own, settings),
        _hosts(cluster_name(ref, Purpose.SHADOW), own, settings),
        _with_fallback(cluster_name(ref, Purpose.JUDGED), order),
    ]


def _hosts(name: str, sockets: Sequence[str], settings: GatewaySettings) -> dict[str, Any]:
    seconds = f"{settings.health_seconds}s"
    return {
        "name": name,
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": settings.retried_bytes,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(name, socket) for socket in sockets]}],
        },
        "health_checks": [
            {
                "http_health_check": {"path": "/livez"},
                "timeout": seconds,
                "interval": seconds,
                "no_traffic_interval": seconds,  # a minute, unless set
                "unhealthy_interval": f"{settings.health_seconds / 2}s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
            }
        ],
        # With less than half of the hosts healthy the gateway would otherwise use the others again.
        # Changes of health would be gathered for a second before those who route see them, and be reported at once.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "circuit_breakers": _no_limits(),
        "typed_extension_protocol_options": {
            _PROTOCOL: {
                "@type": f"type.googleapis.com/{_PROTOCOL}",
                "common_http_protocol_options": {"idle_timeout": f"{_IDLE_SECONDS}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _endpoint(name: str, socket: str) -> dict[str, Any]:
    # The log's filter compares `arm` with the chosen cluster: a difference is a failover.
    arm = name.removesuffix("/hosts")
    return {
        "endpoint": {"address": {"pipe": {"path": socket}}},
        "metadata": {"filter_metadata": {"turnout": {"arm": arm}}},
    }


def _with_fallback(name: str, order: Sequence[VersionRef]) -> dict[str, Any]:
    return {
        "name": name,
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig",
                "clusters": [hosts_name(ref) for ref in order],
            },
        },
        # Retries are counted here and not on the hosts' cluster; the default of 3 at once loses requests.
        "circuit_breakers": _no_limits(),
    }


def _no_limits() -> dict[str, Any]:
    limits = {"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY, "max_retries": 1024}
    return {"thresholds": [{"priority": "DEFAULT", **limits}]}
