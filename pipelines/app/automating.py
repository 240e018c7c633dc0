"""Verbs that do much by themselves: many runs, many models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.app.base import AppBase

if TYPE_CHECKING:
    from pipelines import views
    from pipelines.stages.sweep import Asked
    from pipelines.stages.triggers import Asked as Triggers
    from pipelines.values.watching import Event


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

    def ship_all(self, models: Sequence[str], words: Sequence[str], jobs: int | None) -> views.View:
        """Ship several models at once; see `stages.ship_all`.

        Args:
            models: Which; all of the project when none is named.
            words: What is passed on to each.
            jobs: At most so many at once.

        Raises:
            BadInput: there is none.
        """
        from pipelines.errors import BadInput
        from pipelines.stages.ship_all import ship_all
        from pipelines.views import ShipAllView

        chosen = list(models) or list(self.project.models)
        if not chosen:
            raise BadInput("the project has no model", then="Name one in [tool.turnout.models].")
        with closing(self.crew()) as crew:
            done = ship_all(
                self.project,
                chosen,
                words,
                crew,
                self._reporter,
                lambda now: self._reporter.board(ShipAllView(now)),
                jobs=jobs,
            )
        return ShipAllView(done)

    def watch_models(self, asked: Triggers, follow: Callable[[views.View], None] | None) -> views.View | None:
        """Ship models when they change; see `stages.triggers`.

        Args:
            asked: What is watched; what does not end by itself goes on until Ctrl-C.
            follow: Shown each event; without it they are steps.
        """
        from pipelines.project import read_project
        from pipelines.stages.triggers import Means, Watch
        from pipelines.views import WatchEventView, WatchView
        from pipelines.wiring import file_changes, local_champions, make_crew

        def tell(event: Event) -> None:
            events.append(event)
            if follow is not None and not asked.is_once:
                follow(WatchEventView(event))
                # A watch goes on for months.
                events.clear()
            else:
                self._reporter.step(event.says)

        events: list[Event] = []
        # What a worker has imported may be what has changed.
        with closing(make_crew("local", self.place.root, is_lasting=False)) as crew:
            means = Means(
                lambda: read_project(self.place.root),
                lambda models: local_champions(self.place.state, models),
                self.ports,
                crew,
                self.notes,
                file_changes(),
            )
            is_good = Watch(asked, means, tell, self._reporter.step).run()
        return WatchView(tuple(events), is_good) if asked.is_once else None

    def test(self, models: Sequence[str], *, is_strict: bool) -> views.View:
        """Test notebooks, one model after the other; see `stages.notebook_tests`.

        Args:
            models: Which; all of the project when none is named.
            is_strict: Whether all cells have to give the outputs that are stored.

        Raises:
            MissingExtra: what it takes is not installed.
            Busy: a model is being tested already.
        """
        from pipelines.stages.notebook_tests import try_model
        from pipelines.views import NotebookTestsView
        from pipelines.wiring import local_bench, write_test_page

        chosen = list(models) or list(self.project.models)
        for name in chosen:
            self.project.model(name)
        tested = []
        for name in chosen:
            with self.notes.holding(f"tests/{name}", f"a test of {name}"), local_bench(self.project, name) as bench:
                bench.tester.check()
                done = try_model(self.project, name, bench, self.ports, self._reporter, is_strict=is_strict)
                tested.append(write_test_page(self.project, done, bench.folder, NotebookTestsView([done]).html()))
        return NotebookTestsView(tested)

    def attempt(self, model: str, parameters: Mapping[str, str], by: str) -> views.View:
        """One run of a sweep; see `stages.sweep.attempt`."""
        from pipelines.stages.sweep import attempt
        from pipelines.views import VersionView

        return VersionView(attempt(self.project, model, parameters, by, self.ports, self._reporter))
