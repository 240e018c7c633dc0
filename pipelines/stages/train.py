"""train: run the training notebook, find the model it logged, give it the next version number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import NoSuchVersion, NotebookContract
from pipelines.policy.parameters import read_parameters
from pipelines.ports import LoggedModel, Ports, Reporter, RunFacts
from pipelines.stages.execute import declared, execute, key_of
from pipelines.values import Alias, ModelConfig, ModelVersion, Parameter, Project, Provenance, Sources, VersionSpec


@dataclass(frozen=True, slots=True)
class Trained:
    """A new version, with the notebook that made it and how long that took, in seconds."""

    version: ModelVersion
    notebook: Path
    seconds: float


def train(
    project: Project,
    name: str,
    texts: Mapping[str, str],
    ports: Ports,
    reporter: Reporter,
    *,
    made_from: Provenance | None = None,
    resume: bool = False,
) -> Trained:
    """Train the model `name`; `texts` are parameters as a person typed them.

    Args:
        project: The project.
        name: The model.
        texts: The parameters.
        ports: The world.
        reporter: Who watches.
        made_from: What it is trained from, when the caller has looked already.
        resume: Whether a training that came to its end, and was not registered any more, is taken over.

    Raises:
        NoSuchModel, BadParameter, NotebookFailed: nothing was registered.
        NotebookContract: the notebook logged no model, or several.
    """
    model = project.model(name)
    parameters = effective_parameters(model, texts, ports)
    # Before the run: what the notebook reads is what stands there now.
    made_from = made_from or provenance(project, model, ports)
    reporter.step(f"training {name}: {model.train.name}")
    # The notebook's own defaults are left to it: only what differs is injected.
    given = {name: parameters[name] for name in (*model.parameters, *texts)}
    key = training_key(made_from, parameters)
    execution = execute(project, model, "train", given, ports, reporter, key=key, resume=resume)
    try:
        run, logged = the_model(model, execution.runs, execution.notebook)
    except NotebookContract:
        ports.executions.settle(name, "train", key)
        raise
    version = ports.registry.register(name, run, logged, parameters, made_from)
    ports.executions.settle(name, "train", key)
    return Trained(version, execution.notebook, execution.seconds)


def effective_parameters(model: ModelConfig, texts: Mapping[str, str], ports: Ports) -> dict[str, Parameter]:
    """All parameters of the training notebook: its defaults, the project file's over them, the typed ones over both.

    Raises:
        BadParameter: a name the notebook does not declare, or a text that is no value of its type.
    """
    defaults = declared(ports, model.train)
    return {**defaults, **model.parameters, **read_parameters(texts, defaults, model.train.name)}


def sources(project: Project, model: ModelConfig, notebook: Path) -> Sources:
    """Where the dependencies of one of the model's notebooks lie."""
    return Sources(notebook, project.root, model.inputs, model.input_commands, project.lock_file)


def provenance(
    project: Project, model: ModelConfig, ports: Ports, upstream: Mapping[str, str] | None = None
) -> Provenance:
    """What a version trained now would be made from.

    Args:
        project: The project.
        model: The model.
        ports: The world.
        upstream: The results of the models it builds on, by name, such as `{"features": "features@7"}`; without it, the
            champions of those that it comes after.
    """
    found = ports.digests.depends(sources(project, model, model.train))
    builds_on = dict(champions(model, ports) if upstream is None else upstream)
    return Provenance(
        notebook_digest=found.notebook,
        data_digest=found.data,
        lock_digest=found.lock,
        revision=ports.revisions.revision(project.root),
        code_digest=found.code,
        upstream_digest=key_of(**builds_on) if builds_on else "",
        parts=replace(found.parts, upstream=builds_on),
    )


def champions(model: ModelConfig, ports: Ports) -> dict[str, str]:
    """The champions of the models that this one comes after, by name; one without a champion is left out."""
    found = {}
    for name in model.automation.after:
        with suppress(NoSuchVersion):
            found[name] = str(ports.registry.get(VersionSpec(name, Alias.CHAMPION)).ref)
    return found


def training_key(made_from: Provenance, parameters: Mapping[str, Parameter]) -> str:
    """Digest of all that a training depends on."""
    return key_of(
        notebook=made_from.notebook_digest,
        data=made_from.data_digest,
        lock=made_from.lock_digest,
        code=made_from.code_digest,
        upstream=made_from.upstream_digest,
        parameters=dict(parameters),
    )


def the_model(model: ModelConfig, runs: Sequence[RunFacts], notebook: Path) -> tuple[RunFacts, LoggedModel]:
    """The one model among those that a training notebook's runs logged, which is the version's.

    Raises:
        NotebookContract: there is none, or it cannot be told which.
    """
    found = [(run, logged) for run in runs for logged in run.models]
    if model.logged_model is not None:
        chosen = [pair for pair in found if pair[1].name == model.logged_model]
        if len(chosen) == 1:
            return chosen[0]
    elif len(found) == 1:
        return found[0]
    names = ", ".join(repr(logged.name) for _, logged in found)
    if not found:
        raise NotebookContract(
            f"{model.train.name} logged no model",
            instead="it calls mlflow.<flavour>.log_model once, in a run (below `with mlflow.start_run():`)",
            then=f"The executed notebook is {notebook}.",
        )
    wanted = f"none of them, or several, is {model.logged_model!r}" if model.logged_model else "one must be the model"
    raise NotebookContract(
        f"{model.train.name} logged {len(found)} models: {names}",
        instead=wanted,
        then=f"Set logged_model in [tool.turnout.models.{model.name}] to the name of one.",
    )
