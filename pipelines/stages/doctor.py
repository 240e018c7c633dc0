"""doctor: look at the machine and the project, and say how to mend what is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import BadInput, NoProject
from pipelines.policy.frameworks import framework_of
from pipelines.policy.health import judge_machine, judge_notebook, judge_packages, judge_runtime
from pipelines.values.health import Finding, Health, MachineFacts, NotebookFacts, RuntimeFacts

if TYPE_CHECKING:
    from pipelines.ports import NotebookRunner
    from pipelines.values import ModelConfig, Project


@dataclass(frozen=True)
class Checkup:
    """Who looks; nothing of it changes anything.

    Args:
        machine: What the machine has, seen from a folder.
        runtime: What of a project runs, and how its state is: of its folder, its state and its port.
        notebook: What a notebook's code says; raises BadProject when it is none.
        missing: Those of some modules that cannot be imported, nor lie as code in one of some folders.
    """

    machine: Callable[[Path], MachineFacts]
    runtime: Callable[[Path, Path, int], RuntimeFacts]
    notebook: Callable[[Path], NotebookFacts]
    missing: Callable[[Iterable[str], Iterable[Path]], frozenset[str]]


def examine(
    start: Path,
    find: Callable[[Path], Path],
    read: Callable[[Path], Project],
    runner: Callable[[Project], NotebookRunner],
    checkup: Checkup,
) -> list[Finding]:
    """Look at everything; each look that fails is a finding of its own.

    Args:
        start: Where the search for the project begins.
        find: The project's folder around a folder.
        read: Reads the project of a folder.
        runner: Knows what notebooks declare.
        checkup: Who looks.
    """
    found = list(judge_machine(checkup.machine(start)))
    try:
        root = find(start)
        project = read(root)
    except NoProject as error:
        cure = "`turnout init NAME` makes a project in a new folder, `turnout init .` here."
        return [*found, Finding("project", Health.WARNING, error.what, cure)]
    except BadInput as error:
        return [*found, Finding("project", Health.PROBLEM, str(error), "Correct the project file.")]
    models = ", ".join(project.models) or "no model yet"
    cure = "" if project.models else "`turnout init . --name NAME` adds one."
    found.append(Finding("project", Health.WARNING if cure else Health.OK, f"{root}: {models}", cure))
    found += judge_runtime(checkup.runtime(root, project.state, project.port))
    for model in project.models.values():
        found += _model(project, model, runner(project), checkup)
    return found


def _model(project: Project, model: ModelConfig, runner: NotebookRunner, checkup: Checkup) -> Iterator[Finding]:
    seen: list[NotebookFacts] = []
    for path in (model.train, model.validate):
        is_validation = path == model.validate
        try:
            facts = checkup.notebook(path)
            declared = runner.defaults(path)
        except BadInput as error:
            yield Finding(
                f"{model.name}: {path.name}", Health.PROBLEM, str(error), error.then or "Correct the notebook."
            )
            continue
        seen.append(facts)
        finding = judge_notebook(model.name, path.name, facts, is_validation=is_validation)
        unknown = sorted(set(model.validate_parameters if is_validation else model.parameters) - set(declared))
        if finding.health is not Health.PROBLEM and is_validation and "model_uri" not in declared:
            said = "the cell tagged `parameters` does not assign model_uri"
            finding = Finding(finding.name, Health.PROBLEM, said, 'Add the line `model_uri = ""` to it.')
        elif finding.health is not Health.PROBLEM and unknown:
            said = f"the project file sets {', '.join(unknown)}, which it does not declare"
            cure = "Assign it in the cell tagged `parameters`, or take it out of the project file."
            finding = Finding(finding.name, Health.PROBLEM, said, cure)
        yield finding
    imports = frozenset[str]().union(*(facts.imports for facts in seen))
    flavours = [flavour for facts in seen for flavour in facts.flavours]
    framework = framework_of(flavours)
    wanted = imports | frozenset(framework.modules if framework else ())
    missing = checkup.missing(wanted, {project.root, model.train.parent, model.validate.parent})
    yield judge_packages(model.name, flavours, imports, missing)
