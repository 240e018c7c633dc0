"""Verbs that change what runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipelines.app.base import AppBase, local_now
from pipelines.errors import BadInput

if TYPE_CHECKING:
    from pipelines import views
    from pipelines.stages.deploy import DeployOptions
    from pipelines.values import VersionRef, VersionSpec


class Running(AppBase):
    """See the module."""

    def promote(self, target: str, *, wait: bool = False, dry_run: bool = False) -> views.View:
        """Promote the candidate that runs, or make a version the champion by hand; see `stages.promote`."""
        from pipelines.stages.promote import by_hand, is_deployed, promotable, promote, promote_running, tag
        from pipelines.values import Alias
        from pipelines.views import PlanView, VersionView

        model = self.place.check(target.partition("@")[0])
        if not is_deployed(model, self.control):
            if dry_run:
                version = promotable(self.project, by_hand(target), self.ports)
                is_so = Alias.CHAMPION in version.aliases
                return PlanView(model, [] if is_so else [f"make {version.ref} the champion, by hand"])
            version = promote(self.project, by_hand(target), self.ports)
            tag(self.project, version, self.ports, self._reporter)
            return VersionView(version)
        entry = promote_running(target, self.control, self._reporter, is_waiting=wait, is_dry=dry_run)
        return self._running(model, entry)

    def deploy(self, spec: VersionSpec, options: DeployOptions, *, yes: bool = False) -> views.View:
        """Start a version and give it a share; see `stages.deploy`."""
        from pipelines.stages.deploy import deploy

        self.place.check(spec.model)
        is_agreed = options.forced is None or options.is_dry or yes or self._agrees(f"deploy {spec} by force")
        if not is_agreed:
            return self.status(spec.model)
        ref, entry = deploy(spec, options, self.control, self._reporter)
        if not options.is_watched or options.is_dry:
            return self._running(ref.model, entry)
        if not (options.is_judged and self.project.model(ref.model).rollout.judge):
            self._reporter.step(f"nobody judges {ref}: a person promotes it or rolls it back")
        return self._watch(ref)

    def _watch(self, ref: VersionRef) -> views.View:
        from datetime import UTC, datetime
        from time import sleep

        from pipelines.errors import Interrupted
        from pipelines.stages.watch import LOOK_SECONDS, watch
        from pipelines.views import RolloutView

        try:
            operator, reporter = self.control.operator, self._reporter
            found = watch(ref, operator, reporter, now=lambda: datetime.now(UTC), pause=lambda: sleep(LOOK_SECONDS))
        except KeyboardInterrupt:
            raise Interrupted(
                f"nobody watches the rollout of {ref} any more",
                instead="it goes on without that",
                then=f"`turnout status {ref.model}` shows how far it is.",
            ) from None
        return RolloutView.of(found)

    def rollback(
        self,
        model: str,
        *,
        to: VersionSpec | None,
        reason: str | None,
        quarantine: bool,
        dry_run: bool,
        to_time: str | None = None,
    ) -> views.View:
        """Go back; see `stages.rollback`.

        Raises:
            BadInput: `to` and `to_time` at once, or a time that is none or still to come.
        """
        from pipelines.stages.rollback import rollback

        if to_time is not None:
            if to is not None:
                raise BadInput("--to and --to-time exclude each other", instead="a version, or when it was live")
            return self._back_to(model, to_time, reason=reason, quarantine=quarantine, is_dry=dry_run)
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

    def _back_to(self, model: str, text: str, *, reason: str | None, quarantine: bool, is_dry: bool) -> views.View:
        from datetime import UTC, datetime

        from pipelines.stages.rollback import rollback_to_time
        from pipelines.values.moments import read_moment

        self.place.check(model)
        now = datetime.now(UTC)
        found, entry = rollback_to_time(
            model,
            read_moment(text, local_now()),
            now,
            self.control,
            self._reporter,
            reason=reason,
            quarantine=quarantine,
            is_dry=is_dry,
        )
        return self._running(model, entry, found)

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

    def up(self, *, dry_run: bool = False) -> views.View:
        """Start the runtime, or only say what that would bring back."""
        from pipelines.stages.resolve import each_once
        from pipelines.views import StatusView, UpView

        if dry_run:
            from pipelines.policy.deployment import revival
            from pipelines.wiring import local_recorded

            is_up = self.control.operator.glance("status") is not None
            plans = {one.model: revival(one, is_up=is_up) for one in local_recorded(self.place.state)}
            return UpView({model: steps for model, steps in plans.items() if steps})
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
        if self._command is None:
            from pipelines.wiring import local_servers

            # They get the time to write down what they have; what the daemon finds of the project is killed.
            local_servers(self.place).down()
        operator.down(each_once(self._reporter.step))
        if self._command is None:
            from pipelines.wiring import local_kept

            local_kept(self.place).warm.end()
        return DownView(live)

    def daemon(self) -> int:
        """Be the project's daemon; the exit code."""
        from pipelines.wiring import local_daemon

        # What it starts must not depend on a folder that may go.
        os.chdir(self.place.root)
        return local_daemon(self.place)
