"""look: what shipping a model depends on as it stands now, and where a change of it would show."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pipelines.policy.reasons import changes
from pipelines.ports import Ports
from pipelines.stages.execute import key_of
from pipelines.stages.service_code import files_of
from pipelines.stages.train import sources
from pipelines.values import ModelConfig, Project, Sources
from pipelines.values.watching import Look, Note, Places


def look(project: Project, model: ModelConfig, champions: Mapping[str, str], ports: Ports) -> Look:
    """The model as it stands now.

    Args:
        project: The project.
        model: The model.
        champions: Of the models that it comes after, by name.
        ports: The world.

    Raises:
        BadProject, BadServiceCode: something of it cannot be read; perhaps it is being written.
    """
    train = ports.digests.depends(sources(project, model, model.train))
    # The same inputs, which need no second look.
    judge = ports.digests.depends(Sources(model.validate, project.root))
    code = files_of(project, model, ports).digests
    own = repr((model.parameters, model.validate_parameters, model.logged_model, model.gates))
    key = key_of(
        train=[train.notebook, train.data, train.lock, train.code],
        validate=[judge.notebook, judge.code],
        service_code=dict(code),
        project=own,
        upstream=dict(champions),
    )
    named = {
        model.validate.name: judge.notebook[:16],
        "the model's table in the project file": key_of(own=own)[:16],
        **{str(name): digest[:16] for name, digest in code.items()},
        **{f"the champion of {name}": ref for name, ref in champions.items()},
    }
    parts = replace(train.parts, modules={**judge.parts.modules, **train.parts.modules}, upstream=named)
    return Look(key, parts)


def why(note: Note, seen: Look) -> tuple[str, ...]:
    """What has changed since the model was last shipped; empty when nothing has."""
    if seen.key == note.key:
        return ()
    if not note.key:
        return ("it has not been watched before",)
    return changes(note.parts, seen.parts) or ("what it depends on changed",)


def places(project: Project, model: ModelConfig, seen: Look | None) -> Places:
    """Where changes of the model show; a folder that is not there yet is looked for in the nearest one that is."""
    found = Places(flat=_there([project.root, model.train.parent, model.validate.parent]))
    if seen is not None:
        found |= Places(flat=_there((project.root / name).parent for name in seen.parts.modules))
    for path in model.inputs:
        if glob.has_magic(str(path)) and not path.exists():
            found |= Places(deep=_there([_fixed(path)]))
        else:
            # What is replaced by a rename shows in the folder it lies in.
            deep = frozenset([path]) if path.is_dir() else frozenset()
            found |= Places(deep, _there([path.parent]))
    return found


def _there(folders: Iterable[Path]) -> frozenset[Path]:
    return frozenset(next(each for each in (folder, *folder.parents) if each.is_dir()) for folder in folders)


def _fixed(pattern: Path) -> Path:
    """The folder below which everything lies that a pattern can match."""
    parts = pattern.parts
    count = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:count])
