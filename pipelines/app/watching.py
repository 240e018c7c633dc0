"""Verbs about who watches what runs, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.app.base import AppBase

if TYPE_CHECKING:
    from pipelines import views
    from pipelines.values.monitoring import Ports as MonitoringPorts


class Watching(AppBase):
    """See the module."""

    def alerts(self) -> views.View:
        """The latest alerts, and what waits."""
        from pipelines.views import AlertsView

        # A mistake in the project file is told here, not to the daemon's log alone.
        _ = self.project.alerts
        return AlertsView(self.control.operator.ask("alerts"))

    def test_alerts(self) -> views.View:
        """Send a test to each target."""
        from pipelines.views import AlertsTestView

        _ = self.project.alerts
        return AlertsTestView(self.control.operator.tell("alerts-test", {})["targets"])

    def drift(self, model: str) -> views.View:
        """Where the rows of the running versions differ from those they were validated with.

        Raises:
            NoSuchModel: the project has none of that name.
        """
        from pipelines.views import DriftView

        self.place.check(model)
        return DriftView(self.control.operator.ask("drift", model=model))

    def monitoring(self) -> views.View:
        """What watches the project, and where."""
        from pipelines.views import MonitoringView
        from pipelines.wiring import local_servers

        servers, ports = local_servers(self.place), self._watched_at
        return MonitoringView(ports.port, servers.status(ports), str(servers.files.folder))

    def monitoring_up(self) -> views.View:
        """Write what Prometheus, Alertmanager and Grafana read, and start what is installed of the first two.

        Raises:
            BadInput: the project file has no port for samples.
        """
        from pipelines.errors import BadInput
        from pipelines.views import MonitoringView
        from pipelines.wiring import local_servers

        servers, ports = local_servers(self.place), self._watched_at
        if not ports.port:
            raise BadInput(
                "there are no samples for Prometheus: `port` is 0 in [tool.turnout.monitoring]",
                then="Take that line out, or name a port.",
            )
        interval = self.project.monitoring.interval_seconds
        found = servers.up(self.place.root.name, ports, interval, self._reporter.step)
        return MonitoringView(ports.port, found, str(servers.files.folder))

    def monitoring_down(self) -> views.View:
        """Stop Prometheus and Alertmanager; what they have stored stays."""
        from pipelines.wiring import local_servers

        local_servers(self.place).down()
        return self.monitoring()

    @property
    def _watched_at(self) -> MonitoringPorts:
        return self.project.monitoring.beside(self.project.port)
