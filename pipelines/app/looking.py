"""Verbs that show what was written and what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.app.base import AppBase, local_now

if TYPE_CHECKING:
    from pipelines import views
    from pipelines.values import VersionSpec
    from pipelines.values.logs import LogQuery


class Looking(AppBase):
    """See the module."""

    def logs(self, spec: VersionSpec | None, asked: Mapping[str, Any], *, is_summary: bool = False) -> views.View:
        """What a version's hosts wrote, or all that runs; see `stages.logs`. No daemon is needed for it.

        Args:
            spec: The version.
            asked: `lines`, `level`, `since`, `until` and `grep`, as they were written.
            is_summary: Whether what the messages have in common is shown.
        """
        from pipelines.stages.logs import read, summarize_logs
        from pipelines.views import LogSummaryView, LogsView
        from pipelines.wiring import local_logs, log_templates

        query, logs = self._log_query(spec, asked), local_logs(self.place.state)
        if is_summary:
            return LogSummaryView(summarize_logs(query, logs, log_templates()))
        return LogsView(read(query, logs))

    def follow_logs(
        self, spec: VersionSpec | None, asked: Mapping[str, Any], show: Callable[[views.View], None]
    ) -> None:
        """Show what was written, and then what comes, until Ctrl-C."""
        from pipelines.stages.logs import follow
        from pipelines.views import LogsView
        from pipelines.wiring import local_logs

        query = self._log_query(spec, asked)
        with suppress(KeyboardInterrupt):
            follow(query, local_logs(self.place.state), lambda records: show(LogsView(records)))

    def _log_query(self, spec: VersionSpec | None, asked: Mapping[str, Any]) -> LogQuery:
        from pipelines.stages.resolve import resolve
        from pipelines.values.logs import LogQuery
        from pipelines.values.moments import read_moment

        now = local_now()
        since, until = (read_moment(text, now) if (text := asked.get(name)) else None for name in ("since", "until"))
        level, grep = str(asked.get("level") or "DEBUG").upper(), str(asked.get("grep") or "")
        ref = resolve(spec, self.control) if spec is not None and self.place.check(spec.model) else None
        return LogQuery(ref, level, since, until, grep, asked.get("lines", 50))

    def monitor(self, model: str) -> views.MonitorView:
        """A model as it runs now; see `stages.monitor`."""
        from datetime import UTC, datetime

        from pipelines.stages.monitor import look
        from pipelines.views import MonitorView

        return MonitorView(look(self.place.check(model), self.control, datetime.now(UTC)))

    def monitor_again(self, model: str) -> views.MonitorView | None:
        """A look in passing: None where no daemon answers, and none is started."""
        from datetime import UTC, datetime

        from pipelines.stages.monitor import look_again
        from pipelines.views import MonitorView

        seen = look_again(model, self.control, datetime.now(UTC))
        return MonitorView(seen) if seen is not None else None

    def watch(self, model: str, show: Callable[[views.View], None], pause: float) -> None:
        """Show a model as it runs, every so many seconds, until Ctrl-C."""
        from time import sleep

        with suppress(KeyboardInterrupt):
            while True:
                show(self.monitor(model))
                sleep(pause)

    def compare(
        self, left: VersionSpec, right: VersionSpec, *, since: str | None = None, tolerance: float | None = None
    ) -> views.View:
        """Where two versions that got the same requests disagree; see `stages.compare`. No daemon is needed for it."""
        from pipelines.stages.compare import compare
        from pipelines.values.moments import read_moment
        from pipelines.views import CompareView
        from pipelines.wiring import local_captures

        self.place.check(left.model)
        after = read_moment(since, local_now()) if since else None
        captures = local_captures(self.place.state)
        return CompareView(compare(left, right, self.control, captures, since=after, tolerance=tolerance))

    def labels(self, model: str, file: Path | None = None) -> views.View:
        """How well a model's versions have answered, after taking in a file's labels; no daemon is needed for it.

        Args:
            model: It.
            file: The labels; None to look only.
        """
        from pipelines.stages.labels import load, show
        from pipelines.views import LabelsView
        from pipelines.wiring import label_rows, local_labels

        self.place.check(model)
        with closing(local_labels(self.place.state)) as labels:
            if file is None:
                return LabelsView(show(model, labels))
            return LabelsView(load(model, lambda: label_rows(file), labels, self._reporter.step))

    def history(self, model: str) -> views.View:
        """What happened to a model."""
        from pipelines.views import HistoryView

        self.place.check(model)
        return HistoryView(model, self.control.operator.history(model))
