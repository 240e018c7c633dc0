"""How a project is watched, and who is told."""

from __future__ import annotations

from dataclasses import dataclass

_METRICS, _PROMETHEUS, _ALERTMANAGER = 10_000, 10_001, 10_002
"""How far these ports lie from the gateway's, so that two projects do not meet."""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Where a project is watched: ports of this machine.

    Args:
        port: Where Prometheus asks the daemon; 0 for nowhere, None for the gateway's port + 10000.
        prometheus: Where Prometheus answers; None for the gateway's port + 10001.
        alertmanager: Where Alertmanager answers; None for the gateway's port + 10002.
        interval_seconds: How often Prometheus looks.
    """

    port: int | None = None
    prometheus: int | None = None
    alertmanager: int | None = None
    interval_seconds: int = 5

    def beside(self, gateway: int) -> Ports:
        """The ports in full."""
        # At the upper end there is room below only.
        sign = 1 if gateway + _ALERTMANAGER < 65536 else -1
        return Ports(
            gateway + sign * _METRICS if self.port is None else self.port,
            self.prometheus or gateway + sign * _PROMETHEUS,
            self.alertmanager or gateway + sign * _ALERTMANAGER,
        )


@dataclass(frozen=True, slots=True)
class Ports:
    """The same, each with a number."""

    port: int
    prometheus: int
    alertmanager: int


@dataclass(frozen=True, slots=True)
class Server:
    """Prometheus or Alertmanager of a project.

    Args:
        name: Which.
        package: Debian's package of it.
        path: Where it is installed; None where it is not.
        port: Where it answers, or would.
        pid: Its process; None when it does not run.
        is_ready: Whether it answers.
    """

    name: str
    package: str
    path: str | None
    port: int
    pid: int | None
    is_ready: bool

    @property
    def state(self) -> str:
        """A word for it."""
        if self.pid is not None:
            return "ready" if self.is_ready else "starting"
        return "stopped" if self.path else "not installed"
