"""Verbs about a project as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.app.base import AppBase

if TYPE_CHECKING:
    from pipelines import views


class Projects(AppBase):
    """See the module."""

    def doctor(self) -> views.View:
        """Look at the machine and the project; see `stages.doctor`. Nothing is started or changed."""
        from pipelines.place import find_project
        from pipelines.project import read_project
        from pipelines.stages.doctor import examine
        from pipelines.views import DoctorView
        from pipelines.wiring import local_checkup, local_ports

        found = examine(
            self._start, find_project, read_project, lambda project: local_ports(project).runner, local_checkup()
        )
        return DoctorView(found)
