"""Verbs about a project as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.app.base import AppBase

if TYPE_CHECKING:
    from pipelines import views
    from pipelines.values.starting import Wish


class Projects(AppBase):
    """See the module."""

    def init(self, folder: str, wish: Wish, *, is_asked: bool = True) -> views.View:
        """Begin a project, or add to one; see `stages.init`.

        Args:
            folder: Where, from the current folder; `.` is the project around it, if there is one.
            wish: What was said; a person is asked for the rest, and without one it is what most begin with.
            is_asked: Whether a person may be asked.
        """
        from pipelines.policy.starting import KINDS, model_name
        from pipelines.stages.init import init, wants_model
        from pipelines.views import InitView
        from pipelines.wiring import local_ground

        ground, seeds = local_ground(self._start, self._around() if folder == "." else folder)
        choose = self._choose if self._choose is not None and is_asked else _take_default
        if wants_model(wish, ground):
            framework = wish.framework
            if not wish.source:
                framework = framework or choose("Framework", "sklearn", tuple(KINDS))
            called = Path(wish.source).stem if wish.source else ground.folder.name
            name = wish.name or choose("Name of the model", model_name(called), ())
            wish = replace(wish, name=name, framework=framework)
        return InitView(init(wish, ground, seeds), str(self._start.resolve()))

    def _around(self) -> str:
        """The folder of the project around the current one, which may lie deep in it; else the current one."""
        from pipelines.errors import NoProject
        from pipelines.place import find_project

        try:
            return str(find_project(self._start))
        except NoProject:
            return "."

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


def _take_default(question: str, default: str, answers: Sequence[str]) -> str:
    del question, answers
    return default
