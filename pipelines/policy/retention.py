"""Which versions may go."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.errors import BadInput
from pipelines.values import Alias, ModelVersion, Verdict, VersionRef


def to_prune(
    versions: Sequence[ModelVersion], keep: int, running: frozenset[VersionRef] = frozenset()
) -> list[ModelVersion]:
    """The versions of one model that nothing needs any more, the oldest first.

    Never among them: the champion, the one before it, the latest, the `keep` newest that passed their gates,
    and those that run.

    Args:
        versions: All versions of the model, in any order.
        keep: How many passed versions stay, 0 or more.
        running: Versions whose bentos a host is started from, now or after a reboot.

    Raises:
        BadInput: `keep` is negative.
    """
    if keep < 0:
        raise BadInput(f"keep is {keep}", instead="it is 0 or more")
    newest = sorted(versions, key=lambda version: version.ref.number, reverse=True)
    kept = {version.ref for version in newest[:1]} | running
    kept |= {version.ref for version in newest if version.aliases & {Alias.CHAMPION, Alias.PREVIOUS, Alias.LATEST}}
    kept |= {version.ref for version in [v for v in newest if v.verdict is Verdict.PASS][:keep]}
    return [version for version in reversed(newest) if version.ref not in kept]
