"""What all verbs share: one project, opened when the first of them needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipelines.errors import BadInput, TurnoutError

if TYPE_CHECKING:
    from pipelines import views
    from pipelines.crews import Crew, Notes
    from pipelines.place import Place
    from pipelines.ports import Ports, Registry, Reporter
    from pipelines.stages.resolve import Control
    from pipelines.values import GateReport, Project


def local_now() -> datetime:
    """The present as the clocks of this machine show it, for reading a time of another day; see `read_moment`."""
    return datetime.now(UTC).astimezone().replace(tzinfo=None)


class AppBase:
    """One project, opened when the first verb needs it.

    Args:
        start: Where the search for the project file begins; it goes upwards.
        reporter: Who watches the work.
        ask: Puts a yes-or-no question to a person; None where there is none.
        connect: Makes the world of a project; without it, the real one on this machine.
        command: Makes what changes the running versions, given what opens the registry; without it, the daemon.
        choose: Puts a question with a default and perhaps a choice of answers to a person; None where there is none.
    """

    def __init__(
        self,
        start: Path,
        reporter: Reporter,
        ask: Callable[[str], bool] | None = None,
        connect: Callable[[Project], Ports] | None = None,
        command: Callable[[Callable[[], Registry]], Control] | None = None,
        choose: Callable[[str, str, Sequence[str]], str] | None = None,
    ) -> None:
        self._start = start
        self._reporter = reporter
        self._ask = ask
        self._connect = connect
        self._command = command
        self._choose = choose

    def watched_by(self, reporter: Reporter) -> Self:
        """The same project, its work watched by somebody else; for another thread too."""
        other = copy(self)
        other._reporter = reporter
        return other

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

    @cached_property
    def notes(self) -> Notes:
        """Where long work writes down how far it is."""
        from pipelines.wiring import local_notes

        return local_notes(self.place.state)

    def crew(self, engine: str = "local") -> Crew:
        """Who carries out several commands at once; to be closed.

        Args:
            engine: `local` for processes of this machine, `ray` for a Ray cluster.
        """
        from pipelines.wiring import make_crew

        return make_crew(engine, self.place.root)

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

    def _running(self, model: str, entry: Mapping[str, Any], said: str = "") -> views.View:
        from pipelines.views import DeploymentView, PlanView

        return PlanView(model, entry["plan"]) if "plan" in entry else DeploymentView(model, entry, said)

    def _tell_of_gates(self, report: GateReport | None) -> None:
        """Have people told of gates that did not pass; the command's own outcome does not depend on it."""
        from uuid import uuid4

        from pipelines.policy.alerts import from_report
        from pipelines.values.alerts import AlertKind

        if report is None or not self.project.alerts.wants(AlertKind.GATE_FAILED):
            return
        alert = from_report(report, self.ports.clock.now(), f"gates-{uuid4().hex}")
        if alert is not None:
            try:
                self.control.operator.tell("alert", alert.as_dict())
            except TurnoutError as error:
                self._reporter.step(f"nobody could be told of it: {error}")

    def _agrees(self, what: str) -> bool:
        if self._ask is None:
            raise BadInput(f"this would {what}, and nobody is there to confirm it", then="Add --yes to go on.")
        return self._ask(f"{what[0].upper()}{what[1:]}?")

    def _seen_running(self, model: str) -> Mapping[str, Any]:
        """The model's versions in the status; a list of versions needs no daemon, and does without a broken one."""
        try:
            models: Mapping[str, Any] = self.control.operator.status()["models"]
        except TurnoutError:
            return {}
        versions: Mapping[str, Any] = models.get(model, {}).get("versions", {})
        return versions
