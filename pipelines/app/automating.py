"""Verbs that do much by themselves: many runs, many models."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.app.base import AppBase

if TYPE_CHECKING:
    from pipelines import views
    from pipelines.stages.sweep import Asked


class Automating(AppBase):
    """See the module."""

    def sweep(self, asked: Asked, *, engine: str = "local", is_resumed: bool = False) -> views.View:
        """Train with many combinations of parameters and judge the best; see `stages.sweep`.

        Args:
            asked: What is asked for.
            engine: Who carries it out.
            is_resumed: Whether the runs are those of the model's last sweep.
        """
        from pipelines.stages.sweep import sweep, unfinished
        from pipelines.views import SweepBoard, SweepView

        self.project.model(asked.model)
        if is_resumed:
            before = unfinished(asked.model, self.notes)
            by, better = (asked.by, asked.better) if asked.by else (before.by, before.better)
            asked = replace(before, by=by, better=better, jobs=asked.jobs)
        with closing(self.crew(engine)) as crew:
            done = sweep(
                self.project,
                asked,
                self.ports,
                crew,
                self.notes,
                self._reporter,
                lambda now: self._reporter.board(SweepBoard(now)),
            )
        return SweepView(done)

    def attempt(self, model: str, parameters: Mapping[str, str], by: str) -> views.View:
        """One run of a sweep; see `stages.sweep.attempt`."""
        from pipelines.stages.sweep import attempt
        from pipelines.views import VersionView

        return VersionView(attempt(self.project, model, parameters, by, self.ports, self._reporter))
