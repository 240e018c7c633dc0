"""Verbs that make versions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.app.base import AppBase
from pipelines.app.reporting import NOT_REPORTED, Reporting

if TYPE_CHECKING:
    from pipelines import views
    from pipelines.stages.deploy import DeployOptions
    from pipelines.values import FunctionName, VersionSpec


class Making(AppBase):
    """See the module."""

    def train(self, model: str, parameters: Mapping[str, str]) -> views.View:
        """Train a model; see `stages.train`."""
        from pipelines.stages.train import train
        from pipelines.views import TrainView

        done = train(self.project, model, parameters, self.ports, self._reporter)
        return TrainView(done.version, done.seconds, done.notebook)

    def verify(self, model: str, parameters: Mapping[str, str]) -> views.View:
        """Train twice and compare; see `stages.verify`."""
        from pipelines.stages.verify import verify
        from pipelines.views import VerifyView

        return VerifyView(verify(self.project, model, parameters, self.ports, self._reporter))

    def validate(self, spec: VersionSpec, *, is_reused: bool = False) -> views.View:
        """Judge a version; see `stages.validate`."""
        from pipelines.stages.validate import validate
        from pipelines.views import ReportView

        done = validate(self.project, spec, self.ports, self._reporter, reuse=is_reused)
        self._tell_of_gates(done.report)
        return ReportView(done.version, done.report)

    def package(self, spec: VersionSpec, *, native: bool, reason: str | None) -> views.View:
        """Package a version; see `stages.package`."""
        from pipelines.stages.package import package
        from pipelines.views import PackageView

        done = package(self.project, spec, self.ports, self._reporter, native=native, reason=reason)
        self._tell_of_gates(done.package.checks)
        return PackageView(done.version, done.package)

    def versions(self, model: str, *, since: str = "") -> views.View:
        """List a model's versions, the newest first.

        Args:
            model: The model.
            since: A revision of the code: only versions that were trained at or after it.

        Raises:
            BadInput: there is no such revision.
        """
        from pipelines.views import VersionsView

        self.project.model(model)
        found = self.ports.registry.versions(model)
        if since:
            revisions = [version.provenance.revision for version in found]
            late = self.ports.revisions.are_since(self.project.root, since, revisions)
            found = [version for version, is_late in zip(found, late, strict=True) if is_late]
        seen = self._seen_running(model) if found else {}
        return VersionsView(model, found, seen, self.ports.clock.now(), since)

    def diff(self, left: VersionSpec, right: VersionSpec) -> views.View:
        """What differs between two versions of a model; see `stages.diff`."""
        from pipelines.stages.diff import diff
        from pipelines.views import DiffView

        return DiffView(diff(self.project, left, right, self.ports))

    def explain(
        self,
        model: str,
        parameters: Mapping[str, str],
        deployment: DeployOptions | None = None,
        *,
        force: bool = False,
    ) -> views.View:
        """What shipping would run, and why; see `stages.ship`."""
        from pipelines.stages.ship import explain
        from pipelines.views import ExplainView

        return ExplainView(explain(self.project, model, parameters, self.ports, deployment, force=force))

    def ship(
        self,
        model: str,
        parameters: Mapping[str, str],
        deployment: DeployOptions | None = None,
        reporting: Reporting = NOT_REPORTED,
        *,
        force: bool = False,
    ) -> views.View:
        """Train, validate, package and, when asked to, deploy; see `stages.ship`.

        The reports that are asked for are written whatever comes of it. Where the model is being shipped already, by
        a watch or another person, that is waited for.
        """
        from pipelines.stages.ship import ship, ship_on
        from pipelines.views import ShipView

        # The second of two that ship the same model finds what the first has made.
        turn = self.notes.holding(f"ship/{model}", f"another ship of {model}", self._reporter.step)
        with reporting.on(self.project, model, self.ports, self._start) as (ports, note):
            # The turn's file is named for it.
            self.project.model(model)
            with turn:
                shipped = ship(self.project, model, parameters, ports, self._reporter, force=force, note=note)
            note(shipped)
            if not shipped.is_done:
                package = shipped.version.package
                self._tell_of_gates(shipped.version.report)
                self._tell_of_gates(package.checks if package else None)
            if deployment is not None and shipped.is_done:
                shipped = ship_on(shipped, deployment, self.control, self._reporter)
                note(shipped)
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

    def champion(self, spec: VersionSpec) -> views.View:
        """Move the registry's alias, without a question: the version has served and passed its bake."""
        from pipelines.stages.promote import tag
        from pipelines.views import VersionView

        version = self.ports.registry.set_champion(self.ports.registry.get(spec).ref)
        tag(self.project, version, self.ports, self._reporter)
        return VersionView(version)
