"""Commands about a project as a whole: making one, and looking after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.commands.group import SESSION, Session, main_group

if TYPE_CHECKING:
    from pipelines.views import View


@main_group.command()
@SESSION
def doctor(session: Session) -> View:
    """Look at the machine and the project, and say how to mend what is found."""
    return session.app.doctor()
