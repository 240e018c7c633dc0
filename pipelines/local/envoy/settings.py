"""What of the gateway can be set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How the gateway serves.

    Args:
        port: Of 127.0.0.1.
        second_try_seconds: While a canary has a share: after so long without an answer the request is also sent to
            another version, and the first good answer counts. The first try goes on meanwhile, so that a request that
            is merely slow is not cut.
        request_seconds: The longest a request may take.
        retried_bytes: A longer request body is not kept, so it is tried only once.
        health_seconds: Time between two health checks, and their time-out; two failed ones take a host out.
    """

    port: int
    second_try_seconds: float = 0.8
    request_seconds: float = 300.0
    retried_bytes: int = 4 * 1024 * 1024
    health_seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class GatewayFiles:
    """Where the gateway's files lie.

    `routes` is what the gateway watches. `safe_routes` sends everything to the stable versions: whoever finds that no
    one judges a canary any more renames it to `routes`, and need know nothing else.

    Args:
        folder: All but the logs, below the project's state.
        logs: The project's folder of logs.
    """

    folder: Path
    logs: Path

    @property
    def bootstrap(self) -> Path:
        """What the gateway is started with."""
        return self.folder / "bootstrap.json"

    @property
    def clusters(self) -> Path:
        """The clusters, watched."""
        return self.folder / "live" / "clusters.json"

    @property
    def routes(self) -> Path:
        """The routes, watched."""
        return self.folder / "live" / "routes.json"

    @property
    def safe_routes(self) -> Path:
        """Routes to the stable versions only."""
        return self.folder / "safe-routes.json"

    @property
    def process(self) -> Path:
        """Which process the gateway is."""
        return self.folder / "process.json"

    @property
    def log(self) -> Path:
        """What the gateway prints."""
        return self.logs / "gateway.log"

    @property
    def failures(self) -> Path:
        """One JSON line a request that did not go as it should; see `pipelines.local.telemetry`."""
        return self.logs / "gateway-failures.jsonl"
