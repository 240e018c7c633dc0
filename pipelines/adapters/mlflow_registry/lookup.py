"""Finds a version among those there are, and says which may go."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.errors import NoSuchVersion, Refused
from pipelines.values import Alias, ModelVersion, VersionRef, VersionSpec


def find_version(spec: VersionSpec | VersionRef, known: Sequence[ModelVersion]) -> ModelVersion:
    """The version that `spec` names.

    Args:
        spec: A number or an alias.
        known: All versions of the model, the newest first.

    Raises:
        NoSuchVersion: there is none; the message names those there are.
    """
    if isinstance(spec, VersionRef):
        found = [version for version in known if version.ref == spec]
    elif isinstance(spec.which, int):
        found = [version for version in known if version.ref.number == spec.which]
    else:
        found = [version for version in known if spec.which in version.aliases]
    if found:
        return found[0]
    if not known:
        raise NoSuchVersion(
            f"{spec.model} has no versions yet", then=f"`turnout train {spec.model}` makes the first one."
        )
    numbers = ", ".join(str(version.ref.number) for version in reversed(known))
    name = spec.number if isinstance(spec, VersionRef) else spec.which
    raise NoSuchVersion(
        f"no version of {spec.model} is {name}" if isinstance(name, Alias) else f"{spec.model} has no version {name}",
        instead=f"there {'are' if len(known) > 1 else 'is'} {numbers}",
        then=f"`turnout versions {spec.model}` lists them.",
    )


def refuse_if_needed(version: ModelVersion) -> None:
    """Keep what something points to.

    Raises:
        Refused: it is the champion, the one before, or the newest.
    """
    if version.aliases:
        held = " and ".join(sorted(alias.value for alias in version.aliases))
        raise Refused(
            f"{version.ref} is {held}",
            instead="only a version that is neither champion, previous nor the latest one can be removed",
        )
