"""sweep: train a model with many combinations of parameters, several at once, and judge the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pipelines.crews import Crew, Notes
from pipelines.errors import BadInput, TurnoutError
from pipelines.policy.reuse import reusable
from pipelines.policy.sweep import best, direction, measured, usual_metric
from pipelines.ports import CellProgress, Ports, Reporter
from pipelines.stages.together import Begun, Happening, carry_out_all
from pipelines.stages.train import effective_parameters, provenance, train
from pipelines.stages.validate import validate
from pipelines.values import ModelConfig, ModelVersion, Project, VersionSpec, read_ref
from pipelines.values.sweeps import RunStatus, Sweep, SweepRun
from pipelines.values.work import Carried, Task

Show = Callable[[Sweep], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks for.

    Args:
        model: The model.
        runs: The parameters of each run, as typed.
        by: The metric that decides; empty for the one that the gates name.
        better: Which way it improves, where its name does not say.
        jobs: At most so many at once.
    """

    model: str
    runs: Sequence[Mapping[str, str]]
    by: str = ""
    better: Literal["higher", "lower"] | None = None
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep that came to its end.

    Args:
        sweep: Its runs.
        best: The best version, judged; None when no run succeeded.
        is_passed: Whether its gates passed.
    """

    sweep: Sweep
    best: ModelVersion | None = None
    is_passed: bool = False


def sweep(
    project: Project, asked: Asked, ports: Ports, crew: Crew, notes: Notes, reporter: Reporter, show: Show
) -> Swept:
    """Run what is asked for; a run whose version is there already is not repeated.

    So the same call again goes on where a killed one was. Each run's version keeps its number, good or bad.

    Raises:
        BadParameter: a name the notebook does not declare, or a text that is no value of its type; nothing has run.
        BadInput: no run logged the metric; what has run is kept.
        Busy: the model is being swept already.
        Interrupted: a person pressed Ctrl-C; what was under way has been stopped.
    """
    model = project.model(asked.model)
    by = asked.by or usual_metric(model)
    table = Sweep(asked.model, by, direction(by, asked.better), _distinct(model, asked.runs, ports))
    name = f"sweeps/{asked.model}"
    with notes.holding(name, f"a sweep of {asked.model}"):
        work = _Work(project, table, ports, notes, name, reporter, show)
        work.carry_out(crew, asked.jobs)
        winner = best(work.sweep.runs, work.sweep.better)
        if winner is None:
            return _without_best(work, ports)
        spec = VersionSpec(asked.model, read_ref(winner.ref).number)
        reporter.step(f"the best of {len(work.sweep.runs)} by {by} is {winner.ref}; it is validated")
        carry_out_all([Task(str(spec), ("validate", str(spec), "--reuse"))], crew, work.judged)
        version = ports.registry.get(spec)
        return Swept(work.sweep, version, work.is_passed)


def unfinished(model: str, notes: Notes) -> Asked:
    """What the model's last sweep was asked for.

    Raises:
        BadInput: there was none.
    """
    noted = notes.read(f"sweeps/{model}")
    if noted is None:
        raise BadInput(
            f"no sweep of {model} was begun here", then=f"`turnout sweep {model} -p NAME VALUE,VALUE` begins one."
        )
    before = Sweep.from_dict(noted["sweep"])
    return Asked(model, [run.texts for run in before.runs], before.by, before.better)


def attempt(
    project: Project, name: str, texts: Mapping[str, str], by: str, ports: Ports, reporter: Reporter
) -> ModelVersion:
    """One run of a sweep: a version with these parameters, and validated where only that tells the metric.

    Raises:
        TurnoutError: as `train` and `validate` say.
    """
    version = _made(project, project.model(name), texts, ports)
    # What had come to its end when a sweep was killed, and was not registered any more, is taken over.
    version = version or train(project, name, texts, ports, reporter, resume=True).version
    if measured(version, by) is None:
        spec = VersionSpec(name, version.ref.number)
        version = validate(project, spec, ports, reporter, reuse=True).version
    return version


def _made(project: Project, model: ModelConfig, texts: Mapping[str, str], ports: Ports) -> ModelVersion | None:
    """The version that this run would lead to, where there is one already."""
    parameters = effective_parameters(model, texts, ports)
    return reusable(ports.registry.versions(model.name), provenance(project, model, ports), parameters)


def _distinct(model: ModelConfig, runs: Sequence[Mapping[str, str]], ports: Ports) -> tuple[SweepRun, ...]:
    """The runs, each checked; of two that come to the same (0.1 and .10) the first."""
    found: dict[str, Mapping[str, str]] = {}
    for texts in runs:
        found.setdefault(repr(sorted(effective_parameters(model, texts, ports).items())), texts)
    return tuple(SweepRun(number, texts) for number, texts in enumerate(found.values(), start=1))


def _without_best(work: _Work, ports: Ports) -> Swept:
    done = [run.ref for run in work.sweep.runs if run.status.is_over]
    if not done:
        return Swept(work.sweep)
    logged = sorted({name for ref in done for name in ports.registry.get(read_ref(ref)).metrics})
    raise BadInput(
        f"no run logged a finite {work.sweep.by}",
        instead=f"logged are {', '.join(logged) or 'no metrics'}",
        then=f"`turnout sweep {work.sweep.model} --resume --by NAME` compares the {len(done)} versions that are there.",
    )


class _Work:
    """The runs as they go: what is heard of them is shown, and written down."""

    def __init__(
        self, project: Project, sweep: Sweep, ports: Ports, notes: Notes, name: str, reporter: Reporter, show: Show
    ) -> None:
        self.sweep = sweep
        self.is_passed = False
        self._project, self._ports, self._notes = project, ports, notes
        self._name, self._reporter, self._show = name, reporter, show
        noted: Mapping[str, Any] = notes.read(name) or {}
        self._peak_mb = float(noted.get("peak_mb", 0.0))

    def carry_out(self, crew: Crew, jobs: int | None) -> None:
        """Reuse what is there and run the rest."""
        model = self._project.model(self.sweep.model)
        for run in self.sweep.runs:
            version = _made(self._project, model, run.texts, self._ports)
            value = measured(version, self.sweep.by) if version else None
            if version is not None and value is not None:
                self._change(replace(run, status=RunStatus.REUSED, ref=str(version.ref), value=value))
        self._write()
        self._show(self.sweep)
        tasks = [self._task(run) for run in self.sweep.runs if not run.status.is_over]
        reused = len(self.sweep.runs) - len(tasks)
        if reused:
            self._reporter.step(f"{reused} of {len(self.sweep.runs)} runs are there already")
        try:
            carry_out_all(tasks, crew, self._heard, jobs=jobs, need_mb=self._peak_mb)
        except TurnoutError as error:
            error.then = f"`turnout sweep {self.sweep.model} --resume` goes on; finished runs are not repeated."
            raise

    def judged(self, task: Task, happening: Happening) -> None:
        """What is heard of the validation of the best."""
        match happening:
            case Carried():
                self.is_passed = happening.ok
            case TurnoutError():
                raise happening
            case str() if happening:
                self._reporter.step(happening)
            case CellProgress():
                self._reporter.cell(happening)
        del task

    def _task(self, run: SweepRun) -> Task:
        given = [word for name, text in run.texts.items() for word in ("-p", name, text)]
        words = ("attempt", *given, "--by", self.sweep.by, "--", self.sweep.model)
        return Task(str(run.number), words)

    def _heard(self, task: Task, happening: Happening) -> None:
        run = self.sweep.runs[int(task.key) - 1]
        match happening:
            case Begun():
                self._change(replace(run, status=RunStatus.RUNNING, says=""))
            case CellProgress():
                at = min(happening.cell, happening.cells)
                self._change(replace(run, says=f"cell {at} of {happening.cells}: {happening.title}"))
            case str():
                self._change(replace(run, says=happening))
            case TurnoutError():
                self._change(replace(run, status=RunStatus.FAILED, says=str(happening)))
                self._reporter.step(f"run {task.key} of {len(self.sweep.runs)} failed: {happening}")
            case Carried():
                self._done(run, happening)
        if isinstance(happening, Carried | TurnoutError):
            self._write()
        self._show(self.sweep)

    def _done(self, run: SweepRun, carried: Carried) -> None:
        version = self._ports.registry.get(read_ref(carried.document["ref"]))
        value = measured(version, self.sweep.by)
        self._peak_mb = max(self._peak_mb, carried.memory_mb)
        self._change(
            replace(
                run,
                status=RunStatus.DONE,
                ref=str(version.ref),
                value=value,
                seconds=carried.seconds,
                memory_mb=carried.memory_mb,
                says="",
            )
        )
        said = f"{self.sweep.by} {value:.4g}" if value is not None else f"no {self.sweep.by}"
        of = f"{run.number} of {len(self.sweep.runs)}"
        self._reporter.step(f"run {of}: {version.ref}, {said}, {carried.seconds:.1f} s")

    def _change(self, run: SweepRun) -> None:
        self.sweep = self.sweep.with_run(run)

    def _write(self) -> None:
        self._notes.write(self._name, {"sweep": self.sweep.as_dict(), "peak_mb": self._peak_mb})
