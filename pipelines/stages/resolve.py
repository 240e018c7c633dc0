"""Which version a person means, found without the registry wherever that is possible: its import takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import NoSuchVersion, Refused
from pipelines.values import Alias, Phase, Role, VersionRef, read_ref

if TYPE_CHECKING:
    from pipelines.ports import Catalogue, Operator, Registry
    from pipelines.values import VersionSpec


@dataclass(frozen=True)
class Control:
    """What the verbs need that change what runs.

    Args:
        operator: Who carries them out.
        catalogue: The packaged versions.
        registry: Opens the registry; called only when nothing else knows the answer.
    """

    operator: Operator
    catalogue: Catalogue
    registry: Callable[[], Registry]


def resolve(spec: VersionSpec, control: Control) -> VersionRef:
    """The version's number: `latest` is the newest packaged one, `champion` and `previous` are those that run.

    Raises:
        NoSuchVersion: the alias points nowhere.
    """
    match spec.which:
        case int():
            return VersionRef(spec.model, spec.which)
        case Alias.LATEST:
            numbers = control.catalogue.numbers(spec.model)
            if not numbers:
                raise NoSuchVersion(
                    f"{spec.model} has no packaged version", then=f"`turnout ship {spec.model}` makes one."
                )
            return VersionRef(spec.model, numbers[-1])
        case Alias():
            running = _running(spec, control)
            return running or control.registry().get(spec).ref


def not_packaged(ref: VersionRef, control: Control) -> Refused:
    """Why a version cannot run, naming those that can."""
    numbers = control.catalogue.numbers(ref.model)
    there = ", ".join(f"{ref.model}@{number}" for number in numbers[-5:])
    return Refused(
        f"{ref} is not packaged",
        instead=f"packaged are {there}" if there else "no version of the model is",
        then=f"`turnout package {ref}` does that.",
    )


def each_once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Says a step only when it differs from the one before: an operation names the one it waits for again and again."""
    last = ""

    def said(text: str) -> None:
        nonlocal last
        if text != last:
            last = text
            say(text)

    return said


def running(control: Control) -> frozenset[VersionRef]:
    """All versions that run, or will run again: those in the status, and each model's champion."""
    entries = control.operator.status()["models"].values()
    named = {ref for entry in entries for ref in (*entry["versions"], entry["champion"]) if ref}
    return frozenset(read_ref(ref) for ref in named)


def _running(spec: VersionSpec, control: Control) -> VersionRef | None:
    """What the status says, as far as it is certain: of several standbys it does not tell which was the champion."""
    entry = control.operator.status()["models"].get(spec.model)
    if entry is None or entry["phase"] == Phase.EMPTY.value:
        return None
    if spec.which is Alias.CHAMPION:
        return read_ref(entry["champion"]) if entry["champion"] else None
    standbys = [ref for ref, version in entry["versions"].items() if version["role"] == Role.STANDBY.value]
    return read_ref(standbys[0]) if len(standbys) == 1 else None
