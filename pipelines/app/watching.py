"""Verbs about who watches what runs, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.app.base import AppBase

if TYPE_CHECKING:
    from pipelines import views


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
