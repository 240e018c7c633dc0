"""The steps of a pipeline: what each system runs, in this order, as shell commands of one line."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.values.ci import MODEL, CiSettings

REPORTS = "reports"
KEPT = 3
"""How many passed versions the cache keeps of a model."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Args:
        title: What it does.
        run: The command; the pipeline stops when it fails.
        is_for_main: Whether it runs on the branch that is deployed alone.
    """

    title: str
    run: str
    is_for_main: bool = False


@dataclass(frozen=True, slots=True)
class Pipeline:
    """All steps, and what the systems have to know besides.

    Args:
        settings: What the project says of it.
        lock: The file that the environment is installed from, for caches of packages.
        build: The steps of each change, on any machine.
        deploy: Those on the machine that serves, after a build on the branch that is deployed.
    """

    settings: CiSettings
    lock: str
    build: tuple[Step, ...]
    deploy: tuple[Step, ...]


def pipeline_of(settings: CiSettings, models: Sequence[str], lock: str) -> Pipeline:
    """The pipeline of a project.

    Args:
        settings: What the project says of it.
        models: Its models, in the order in which they are shipped.
        lock: The file that the environment is installed from.
    """
    return Pipeline(settings, lock, tuple(_build(settings, models)), tuple(_deploy(settings, models)))


def _build(settings: CiSettings, models: Sequence[str]) -> Iterator[Step]:
    turnout, python = _program(settings, "turnout"), _program(settings, "python")
    yield Step("Install", settings.install)
    yield from _numbered("Check notebooks and code", settings.check)
    yield from _numbered("Test", settings.test)
    for model in models:
        yield Step(f"Say what has changed: {model}", f"{turnout} ship {model} --explain")
    for model in models:
        yield Step(f"Train, validate and package: {model}", f"{turnout} ship {model} {_reports(model)}")
    for model in models:
        # Later changes are compared with it. What it gives is the version that this change comes to, new or not.
        ref = f"""{python} -c "import json, sys; print(json.load(sys.stdin)['ref'])\""""
        run = f"{turnout} ship {model} --json | {ref} | xargs {turnout} promote"
        yield Step(f"Compare later changes with this one: {model}", run, is_for_main=True)
    yield Step("Keep the cache small", f"{turnout} prune --keep {KEPT} --yes")


def _deploy(settings: CiSettings, models: Sequence[str]) -> Iterator[Step]:
    turnout = _program(settings, "turnout")
    yield Step("Install", settings.install)
    for model in models:
        yield Step(f"Deploy {model}", f"{turnout} ship {model} --canary {settings.canary} {_reports(model)}")
        back = f'{turnout} rollback {model} --reason "the smoke test failed"'
        yield Step(
            f"Ask {model}, and roll back when its answer is wrong",
            f"{settings.smoke.replace(MODEL, model)} || {{ {back}; exit 1; }}",
        )


def _numbered(title: str, commands: Sequence[str]) -> Iterator[Step]:
    for number, command in enumerate(commands, start=1):
        yield Step(f"{title} ({number} of {len(commands)})" if len(commands) > 1 else title, command)


def _reports(model: str) -> str:
    return f"--junit {REPORTS}/{model}.xml --report {REPORTS}/{model}.md"


def _program(settings: CiSettings, name: str) -> str:
    return shlex.quote(f"{settings.bin.rstrip('/')}/{name}" if settings.bin else name)
