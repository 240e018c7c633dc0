"""What the gateway is started with: the public port, the private report socket, and where its files are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.local.envoy.names import FAILURE_HEADER, JOIN_HEADER, USER_HEADER
from pipelines.local.envoy.routes import ROUTES_NAME
from pipelines.local.envoy.settings import GatewayFiles, GatewaySettings

Json = dict[str, Any]
_TYPES = "type.googleapis.com/envoy"

LOG_FIELDS = {
    "time": "%START_TIME(%s.%3f)%",
    "route": "%ROUTE_NAME%",
    "chosen": "%UPSTREAM_CLUSTER_RAW%",
    "answered": "%METADATA(UPSTREAM_HOST:turnout:arm)%",
    "host": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "code": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "milliseconds": "%DURATION%",
    "id": f"%REQ({JOIN_HEADER})%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "user": f"%REQ({USER_HEADER})%",
    "failure": f"%RESP({FAILURE_HEADER})%",
}
"""The fields of a line in the failures' log."""

# The last one catches a failover that needed no second attempt, since the chosen hosts were known to be out.
_WORTH_A_LINE = (
    "response.code >= 500 || upstream.request_attempt_count > 1 || "
    f"'{FAILURE_HEADER}' in response.headers || "
    "(has(xds.upstream_host_metadata) && 'turnout' in xds.upstream_host_metadata.filter_metadata && "
    "xds.upstream_host_metadata.filter_metadata['turnout']['arm'] != xds.cluster_name)"
)


def render_bootstrap(settings: GatewaySettings, files: GatewayFiles, admin: Path, project: str) -> str:
    """The bootstrap file.

    Args:
        settings: Of the gateway.
        files: Where its files are.
        admin: The socket it reports on.
        project: The project's digest.
    """
    return json.dumps(
        {
            "node": {"id": project, "cluster": "turnout"},
            "admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}},
            "dynamic_resources": {"cds_config": _watched(files.clusters)},
            "static_resources": {"listeners": [_listener(settings, files)]},
            "stats_config": {"use_all_default_tags": False},
        },
        indent=1,
    )


def _watched(path: Path) -> Json:
    return {
        "path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}},
        "resource_api_version": "V3",
        "initial_fetch_timeout": "5s",
    }


def _listener(settings: GatewaySettings, files: GatewayFiles) -> Json:
    return {
        "name": "public",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": settings.port}},
        # Else a second gateway could listen on the same port, and each would get half of the requests.
        "enable_reuse_port": False,
        "connection_balance_config": {"exact_balance": {}},
        "per_connection_buffer_limit_bytes": settings.retried_bytes,
        "filter_chains": [{"filters": [_connections(settings, files)]}],
    }


def _connections(settings: GatewaySettings, files: GatewayFiles) -> Json:
    manager = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{_TYPES}.{manager}",
            "stat_prefix": "public",
            "rds": {"config_source": _watched(files.routes), "route_config_name": ROUTES_NAME},
            "use_remote_address": True,
            # Nobody is internal: a client cannot steer retries and time-outs with headers of the gateway's own.
            "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
            "generate_request_id": True,
            "preserve_external_request_id": True,
            "normalize_path": True,
            "merge_slashes": True,
            "server_header_transformation": "PASS_THROUGH",
            "stream_idle_timeout": f"{settings.request_seconds}s",
            "common_http_protocol_options": {"idle_timeout": "3600s", "headers_with_underscores_action": "ALLOW"},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {
                        "@type": f"{_TYPES}.extensions.filters.http.router.v3.Router",
                        "suppress_envoy_headers": True,
                    },
                }
            ],
            "local_reply_config": _own_answers(),
            "access_log": [_failure_log(files.failures)],
        },
    }


def _own_answers() -> Json:
    """The gateway's own answers, in the form of the hosts' refusals."""
    what = "%LOCAL_REPLY_BODY%"
    error = {
        "type": "unavailable",
        "what": what,
        "instead": "",
        "next": "Try again in a second.",
        "message": f"{what}. Try again in a second.",
        "field": "",
    }
    is_failure = {"status_code_filter": {"comparison": {"op": "GE", "value": _value(500, "gateway.failure")}}}
    return {
        "mappers": [
            {
                "filter": is_failure,
                "body_format_override": {"json_format": {"error": error}, "content_type": "application/json"},
            }
        ]
    }


def _value(number: int, key: str) -> Json:
    return {"default_value": number, "runtime_key": key}


def _failure_log(path: Path) -> Json:
    return {
        "name": "envoy.access_loggers.file",
        "filter": {
            "extension_filter": {
                "name": "envoy.access_loggers.extension_filters.cel",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                    "expression": _WORTH_A_LINE,
                },
            }
        },
        "typed_config": {
            "@type": f"{_TYPES}.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(path),
            "log_format": {"json_format": LOG_FIELDS},
        },
    }
