"""What the commands call: each verb runs its stage and returns a view."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import BadInput, TurnoutError

if TYPE_CHECKING:
    from pipelines import views
    from pipelines.place import Place
    from pipelines.ports import Ports, Registry, Reporter
    from pipelines.stages.deploy import DeployOptions
    from pipelines.stages.resolve import Control
    from pipelines.values import FunctionName, Project, VersionSpec
    from pipelines.values.logs import LogQuery


class App:
    """One project, opened when the first verb needs it.

    Args:
        start: Where the search for the project file begins; it goes upwards.
        reporter: Who watches the work.
        ask: Puts a yes-or-no question to a person; None where there is none.
        connect: Makes the world of a project; without it, the real one on this machine.
        command: Makes what changes the running versions, given what opens the registry; without it, the daemon.
    """

    def __init__(
        self,
        start: Path,
        reporter: Reporter,
        ask: Callable[[str], bool] | None = None,
        connect: Callable[[Project], Ports] | None = None,
        command: Callable[[Callable[[], Registry]], Control] | None = None,
    ) -> None:
        self._start = start
        self._reporter = reporter
        self._ask = ask
        self._connect = connect
        self._command = command

    @cached_property
    def place(self) -> Place:
        """Where the project is: all that the verbs need which change or show what runs.

        Raises:
            BadProject: there is none, or its file cannot be read.
        """
        from pipelines.place import Place

        return Place.of(self._start)

    @cached_property
    def project(self) -> Project:
        """The project.

        Raises:
            BadProject: there is none, or its file is wrong.
        """
        from pipelines.project import read_project

        return read_project(self.place.root)

    @cached_property
    def ports(self) -> Ports:
        """The world the stages act on."""
        if self._connect is None:
            from pipelines.wiring import local_ports

            return local_ports(self.project)
        return self._connect(self.project)

    @cached_property
    def control(self) -> Control:
        """What changes the running versions; opened without the registry, which takes seconds."""
        if self._command is None:
            from pipelines.wiring import local_control

            return local_control(self.place.root, self.place.state, lambda: self.ports.registry)
        return self._command(lambda: self.ports.registry)

    def expected_seconds(self, verb: str, model: str) -> float | None:
        """How long a command took the last times, in the median; None where nothing is known."""
        from statistics import median

        try:
            if verb in ("train", "validate"):
                found = self.ports.executions.durations(model, verb)
            else:
                from pipelines.wiring import local_durations

                found = local_durations(self.place.state, verb, model)
        except TurnoutError:
            return None
        return median(found) if found else None

    def version_numbers(self, model: str) -> list[int]:
        """The numbers of a model's versions, the newest first: what the Tab key needs, in a moment."""
        from pipelines.wiring import local_numbers

        return local_numbers(self.place.state, self.place.check(model))

    def train(self, model: str, parameters: Mapping[str, str]) -> views.View:
        """Train a model; see `stages.train`."""
        from pipelines.stages.train import train
        from pipelines.views import TrainView

        done = train(self.project, model, parameters, self.ports, self._reporter)
        return TrainView(done.version, done.seconds, done.notebook)

    def validate(self, spec: VersionSpec) -> views.View:
        """Judge a version; see `stages.validate`."""
        from pipelines.stages.validate import validate
        from pipelines.views import ReportView

        done = validate(self.project, spec, self.ports, self._reporter)
        return ReportView(done.version, done.report)

    def package(self, spec: VersionSpec, *, native: bool, reason: str | None) -> views.View:
        """Package a version; see `stages.package`."""
        from pipelines.stages.package import package
        from pipelines.views import PackageView

        done = package(self.project, spec, self.ports, self._reporter, native=native, reason=reason)
        return PackageView(done.version, done.package)

    def versions(self, model: str) -> views.View:
        """List a model's versions, the newest first."""
        from pipelines.views import VersionsView

        self.project.model(model)
        found = self.ports.registry.versions(model)
        return VersionsView(model, found, self._seen_running(model) if found else {}, self.ports.clock.now())

    def diff(self, left: VersionSpec, right: VersionSpec) -> views.View:
        """What differs between two versions of a model; see `stages.diff`."""
        from pipelines.stages.diff import diff
        from pipelines.views import DiffView

        return DiffView(diff(self.project, left, right, self.ports))

    def promote(self, target: str, *, wait: bool = False, dry_run: bool = False) -> views.View:
        """Promote the candidate that runs, or make a version the champion by hand; see `stages.promote`."""
        from pipelines.stages.promote import by_hand, is_deployed, promote, promote_running
        from pipelines.views import VersionView

        model = self.place.check(target.partition("@")[0])
        if not is_deployed(model, self.control):
            return VersionView(promote(self.project, by_hand(target), self.ports))
        entry = promote_running(target, self.control, self._reporter, is_waiting=wait, is_dry=dry_run)
        return self._running(model, entry)

    def ship(self, model: str, parameters: Mapping[str, str], deployment: DeployOptions | None = None) -> views.View:
        """Train, validate, package and, when asked to, deploy; see `stages.ship`."""
        from pipelines.stages.ship import ship, ship_on
        from pipelines.views import ShipView

        shipped = ship(self.project, model, parameters, self.ports, self._reporter)
        if deployment is not None and shipped.is_done:
            shipped = ship_on(shipped, deployment, self.control, self._reporter)
        return ShipView(shipped)

    def store_code(
        self, model: str, name: FunctionName, body: str, *, rows: Path | None = None, is_dry: bool = False
    ) -> views.View:
        """Take a function from a cell's text; see `stages.service_code`."""
        from pipelines.stages.service_code import store
        from pipelines.views import ServiceCodeView

        kept = store(self.project, model, name, body, self.ports, self._reporter, rows=rows, is_dry=is_dry)
        return ServiceCodeView(kept)

    def show_code(self, model: str, name: FunctionName) -> views.View:
        """Show a function that is stored."""
        from pipelines.stages.service_code import show
        from pipelines.views import ServiceCodeView

        return ServiceCodeView(show(self.project, model, name, self.ports))

    def remove_code(self, model: str, name: FunctionName) -> views.View:
        """Take a stored function away."""
        from pipelines.stages.service_code import remove
        from pipelines.views import ServiceCodeView

        return ServiceCodeView(remove(self.project, model, name, self.ports))

    def deploy(self, spec: VersionSpec, options: DeployOptions, *, yes: bool = False) -> views.View:
        """Start a version and give it a share; see `stages.deploy`."""
        from pipelines.stages.deploy import deploy

        self.place.check(spec.model)
        is_agreed = options.forced is None or options.is_dry or yes or self._agrees(f"deploy {spec} by force")
        if not is_agreed:
            return self.status(spec.model)
        ref, entry = deploy(spec, options, self.control, self._reporter)
        return self._running(ref.model, entry)

    def rollback(
        self, model: str, *, to: VersionSpec | None, reason: str | None, quarantine: bool, dry_run: bool
    ) -> views.View:
        """Go back; see `stages.rollback`."""
        from pipelines.stages.rollback import rollback

        entry = rollback(
            self.place.check(model),
            self.control,
            self._reporter,
            to=to,
            reason=reason,
            quarantine=quarantine,
            is_dry=dry_run,
        )
        return self._running(model, entry)

    def undo(self, model: str, *, dry_run: bool) -> views.View:
        """Call off what is under way; see `stages.rollback`."""
        from pipelines.stages.rollback import undo

        return self._running(model, undo(self.place.check(model), self.control, self._reporter, is_dry=dry_run))

    def status(self, model: str | None) -> views.View:
        """What runs, of one model or of all."""
        from pipelines.views import StatusView

        status = self.control.operator.status()
        if model is not None:
            self.place.check(model)
            status = {**status, "models": {name: one for name, one in status["models"].items() if name == model}}
        return StatusView(status, model)

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
        from datetime import datetime

        from pipelines.stages.resolve import resolve
        from pipelines.values.logs import LogQuery
        from pipelines.values.moments import read_moment

        now = datetime.now().astimezone()
        since, until = (read_moment(text, now) if (text := asked.get(name)) else None for name in ("since", "until"))
        level, grep = str(asked.get("level") or "DEBUG").upper(), str(asked.get("grep") or "")
        ref = resolve(spec, self.control) if spec is not None and self.place.check(spec.model) else None
        return LogQuery(ref, level, since, until, grep, asked.get("lines", 50))

    def history(self, model: str) -> views.View:
        """What happened to a model."""
        from pipelines.views import HistoryView

        self.place.check(model)
        return HistoryView(model, self.control.operator.history(model))

    def up(self) -> views.View:
        """Start the runtime."""
        from pipelines.stages.resolve import each_once
        from pipelines.views import StatusView

        return StatusView(self.control.operator.up(each_once(self._reporter.step)))

    def down(self, *, yes: bool, dry_run: bool) -> views.View:
        """Stop the runtime.

        Raises:
            BadInput: versions are live, it was not confirmed, and nobody could be asked.
        """
        from pipelines.stages.resolve import each_once
        from pipelines.views import DownView, StatusView

        operator = self.control.operator
        status = operator.status()
        live = [name for name, entry in status["models"].items() if entry["phase"] != "empty"]
        if dry_run:
            return DownView(live, is_dry=True)
        question = f"stop {', '.join(live)}, which {'serve' if len(live) > 1 else 'serves'} requests"
        if live and not yes and not self._agrees(question):
            return StatusView(status)
        operator.down(each_once(self._reporter.step))
        return DownView(live)

    def daemon(self) -> int:
        """Be the project's daemon; the exit code."""
        from pipelines.wiring import local_daemon

        # What it starts must not depend on a folder that may go.
        os.chdir(self.place.root)
        return local_daemon(self.place)

    def champion(self, spec: VersionSpec) -> views.View:
        """Move the registry's alias, without a question: the version has served and passed its bake."""
        from pipelines.views import VersionView

        version = self.ports.registry.get(spec)
        return VersionView(self.ports.registry.set_champion(version.ref))

    def serve(self, spec: VersionSpec, port: int) -> None:
        """Serve a version in the foreground; see `stages.serve`."""
        from pipelines.stages.serve import serve

        serve(self.project, spec, port, self.ports)

    def prune(self, model: str | None, *, keep: int, yes: bool, dry_run: bool) -> views.View:
        """Remove old versions; see `stages.prune`.

        Raises:
            BadInput: it was not confirmed, and nobody could be asked.
        """
        from pipelines.stages.prune import plan, prune
        from pipelines.stages.resolve import running
        from pipelines.views import PruneView

        doomed = plan(self.project, model, keep, self.ports, running(self.control))
        if dry_run or not doomed.versions:
            return PruneView(doomed)
        named = ", ".join(str(old.ref) for old in doomed.versions)
        if not yes and not self._agrees(f"remove {named}, with their runs, bentos and notebooks"):
            return PruneView(doomed)
        return PruneView(prune(doomed, self.ports, self._reporter))

    def _seen_running(self, model: str) -> Mapping[str, Any]:
        """The model's versions in the status; a list of versions needs no daemon, and does without a broken one."""
        try:
            models: Mapping[str, Any] = self.control.operator.status()["models"]
        except TurnoutError:
            return {}
        versions: Mapping[str, Any] = models.get(model, {}).get("versions", {})
        return versions

    def _running(self, model: str, entry: Mapping[str, Any]) -> views.View:
        from pipelines.views import DeploymentView, PlanView

        return PlanView(model, entry["plan"]) if "plan" in entry else DeploymentView(model, entry)

    def _agrees(self, what: str) -> bool:
        if self._ask is None:
            raise BadInput(f"this would {what}, and nobody is there to confirm it", then="Add --yes to go on.")
        return self._ask(f"{what[0].upper()}{what[1:]}?")
