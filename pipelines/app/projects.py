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

    def cache(self, *, is_pruned: bool = False) -> views.View:
        """What the project keeps so that work need not be done again.

        Args:
            is_pruned: Whether what only spares time is removed first. No version is.
        """
        from pipelines.views import CacheView
        from pipelines.wiring import local_kept

        kept = local_kept(self.place)
        freed = kept.prune() if is_pruned else None
        return CacheView(kept.look(), freed)
