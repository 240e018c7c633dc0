"""What the gateway says of itself, over its private socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipelines.local.envoy.names import read_cluster
from pipelines.local.unix_http import ask
from pipelines.values import VersionRef

_TIMEOUT_SECONDS = 2.0
_COUNTED = "/stats?type=Counters&filter=" + quote(
    r"^(cluster\..*/(judged|direct|shadow)\.upstream_rq_([1-5]xx|retry|timeout)|http\.public\.downstream_rq_[1-5]xx)$"
)
_SECONDS = "/stats/prometheus?filter=" + quote(r"^http\.public\.downstream_rq_time$")
_COMPLETED = "/stats?type=Counters&filter=" + quote(r"^cluster\..*/judged\.upstream_rq_completed$")


@dataclass(frozen=True, slots=True)
class HostView:
    """One host, in one of its clusters.

    Args:
        cluster: The cluster's name.
        socket: Where the host answers.
        is_healthy: Whether it gets requests.
        active: Requests it is answering.
    """

    cluster: str
    socket: str
    is_healthy: bool
    active: int


class Admin:
    """Questions to a running gateway; all raise OSError when it does not answer.

    Args:
        socket: Its report socket.
    """

    CLUSTERS = "cluster_manager.cds"
    ROUTES = "http.public.rds.models"

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def is_ready(self) -> bool:
        """Whether it has all its files and listens."""
        try:
            return self._ask("/ready").strip() == b"LIVE"
        except OSError:
            return False

    def version(self, what: str) -> str:
        """The version of `CLUSTERS` or `ROUTES` that it has accepted; empty before the first.

        Takes a third of a millisecond; the counters take ten times as long, since there are thousands of them.
        """
        return self._stats("/stats?type=TextReadouts").get(f"{what}.version_text", "")

    def rejected(self, what: str) -> int:
        """How many contents of `CLUSTERS` or `ROUTES` it has refused so far."""
        return int(self._stats("/stats?type=Counters&filter=update_rejected").get(f"{what}.update_rejected", "0"))

    def routes(self) -> Mapping[str, Any]:
        """The routes in force, as the file had them; empty when there are none."""
        dump = json.loads(self._ask("/config_dump?resource=dynamic_route_configs"))
        for one in dump.get("configs", []):
            config: Mapping[str, Any] = one.get("route_config", {})
            return config
        return {}

    def rejection(self, what: str) -> str:
        """Why the gateway refused the latest content; empty when it keeps no record."""
        kind = "dynamic_route_configs" if what == self.ROUTES else "dynamic_warming_clusters"
        dump = json.loads(self._ask(f"/config_dump?resource={kind}"))
        return "; ".join(
            str(one["error_state"].get("details", "")) for one in dump.get("configs", []) if "error_state" in one
        )

    def hosts(self) -> list[HostView]:
        """All hosts of all clusters."""
        seen = json.loads(self._ask("/clusters?format=json"))
        return [
            HostView(
                cluster["name"],
                host["address"].get("pipe", {}).get("path", ""),
                host.get("health_status", {}).get("eds_health_status") == "HEALTHY"
                and not host["health_status"].get("failed_active_health_check", False),
                next((int(one.get("value", 0)) for one in host.get("stats", []) if one.get("name") == "rq_active"), 0),
            )
            for cluster in seen.get("cluster_statuses", [])
            for host in cluster.get("host_statuses", [])
        ]

    def requests(self) -> dict[VersionRef, int]:
        """Judged requests that were answered, however often each was tried, by the version chosen for them."""
        counted = {}
        for name, value in self._stats(_COMPLETED).items():
            chosen = read_cluster(name.removeprefix("cluster.").removesuffix(".upstream_rq_completed"))
            if chosen is not None:
                counted[chosen[0]] = int(value)
        return counted

    def counters(self) -> dict[str, int]:
        """Answers by code, retries and time-outs of all clusters, and answers by code at the public port, by name."""
        return {name: int(value) for name, value in self._stats(_COUNTED).items()}

    def seconds(self) -> str:
        """How long requests took at the public port, in milliseconds, in Prometheus' text format."""
        return self._ask(_SECONDS).decode(errors="replace")

    def reopen_logs(self) -> None:
        """Write to new files where the old ones were renamed."""
        self._ask("/reopen_logs", method="POST")

    def _stats(self, target: str) -> dict[str, str]:
        text = self._ask(target).decode(errors="replace")
        pairs = (line.partition(": ") for line in text.splitlines())
        return {name: value.strip('"') for name, _, value in pairs}

    def _ask(self, target: str, *, method: str = "GET") -> bytes:
        return ask(self._socket, target, method=method, timeout=_TIMEOUT_SECONDS).body
