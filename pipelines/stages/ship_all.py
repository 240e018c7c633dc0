"""ship, for several models: those that do not depend on each other at once, each behind those that it comes after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.crews import Crew
from pipelines.errors import TurnoutError
from pipelines.ports import CellProgress, Reporter
from pipelines.stages.together import Begun, Happening, carry_out_all
from pipelines.values import Project
from pipelines.values.sweeps import RunStatus
from pipelines.values.work import Carried, Task


@dataclass(frozen=True, slots=True)
class OfMany:
    """One of several models that are shipped.

    Args:
        model: Its name.
        status: Where it stands.
        says: What it is doing, or why it failed.
        document: What its shipment prints with `--json`; its error, where it raised one.
        seconds: How long it took.
    """

    model: str
    status: RunStatus = RunStatus.WAITING
    says: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ShippedAll:
    """Several models, as far as they have come."""

    models: tuple[OfMany, ...]

    @property
    def is_done(self) -> bool:
        """Whether each of them was shipped."""
        return all(each.status.is_over for each in self.models)

    def having(self, one: OfMany) -> ShippedAll:
        """The same with one changed."""
        return ShippedAll(tuple(one if each.model == one.model else each for each in self.models))

    def of(self, model: str) -> OfMany:
        """One of them."""
        return next(each for each in self.models if each.model == model)


def ship_all(
    project: Project,
    names: Sequence[str],
    words: Sequence[str],
    crew: Crew,
    reporter: Reporter,
    show: Callable[[ShippedAll], None],
    *,
    jobs: int | None = None,
) -> ShippedAll:
    """Ship several models, as `turnout ship` does with each.

    One that comes after a model which fails is not begun; the others go on.

    Args:
        project: The project.
        names: The models; one that is named twice is shipped once.
        words: What is passed on to each, such as `--canary 10`.
        crew: Who carries it out.
        reporter: Told each step.
        show: Shown how far all are.
        jobs: At most so many at once.

    Raises:
        NoSuchModel: nothing was shipped.
        Interrupted: a person pressed Ctrl-C; what was under way has been stopped.
    """
    models = list(dict.fromkeys(names))
    for name in models:
        project.model(name)
    now = ShippedAll(tuple(OfMany(name) for name in models))

    def hear(task: Task, happening: Happening) -> None:
        nonlocal now
        changed = _changed(now.of(task.key), happening)
        now = now.having(changed)
        if isinstance(happening, str | Carried | TurnoutError):
            reporter.step(f"{task.key}: {changed.says or changed.status}")
        show(now)

    show(now)
    carry_out_all(_tasks(project, models, words), crew, hear, jobs=jobs)
    return now


def _tasks(project: Project, models: Sequence[str], words: Sequence[str]) -> list[Task]:
    """A command a model; whether one comes after another may lie in models that are not shipped now."""
    return [
        Task(name, ("ship", *words, "--", name), frozenset(_before(project, name)) & frozenset(models))
        for name in models
    ]


def _before(project: Project, name: str) -> set[str]:
    found: set[str] = set()
    waiting: list[Iterable[str]] = [project.model(name).automation.after]
    while waiting:
        for other in waiting.pop():
            if other not in found:
                found.add(other)
                waiting.append(project.model(other).automation.after)
    return found


def _changed(one: OfMany, happening: Happening) -> OfMany:
    match happening:
        case Begun():
            return replace(one, status=RunStatus.RUNNING)
        case str():
            return replace(one, says=happening)
        case CellProgress():
            at = min(happening.cell, happening.cells)
            return replace(one, says=f"cell {at} of {happening.cells}: {happening.title}")
        case Carried():
            steps = happening.document.get("steps", ())
            bad = "; ".join(f"{step['stage']}: {step['reason']}" for step in steps if step["outcome"] == "failed")
            is_new = any(step["outcome"] == "done" for step in steps)
            good = RunStatus.DONE if is_new else RunStatus.REUSED
            status = good if happening.ok else RunStatus.FAILED
            return replace(one, status=status, says=bad, document=happening.document, seconds=happening.seconds)
        case TurnoutError():
            return replace(one, status=RunStatus.FAILED, says=str(happening), document={"error": happening.as_dict()})
