"""Commands about who watches what runs, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipelines.commands.group import SESSION, Session, main_group

if TYPE_CHECKING:
    from pipelines.views import View


@main_group.command()
@click.argument("action", type=click.Choice(["list", "test"]), default="list", metavar="[list|test]")
@SESSION
def alerts(session: Session, action: str) -> View:
    """Show who was told of what, or send a test to each."""
    return session.app.test_alerts() if action == "test" else session.app.alerts()


@main_group.command()
@click.argument("action", type=click.Choice(["status", "up", "down"]), default="status", metavar="[status|up|down]")
@SESSION
def monitoring(session: Session, action: str) -> View:
    """Show what watches the project, start a Prometheus of its own, or stop it."""
    verbs = {"up": session.app.monitoring_up, "down": session.app.monitoring_down, "status": session.app.monitoring}
    return verbs[action]()
