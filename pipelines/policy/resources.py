"""Whether another host fits into the memory that is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.errors import Refused
from pipelines.values import VersionRef

RESERVE_MB = 200.0
"""What stays free for the machine itself, 10^6 bytes."""


def check_memory(
    wanted: Mapping[VersionRef, int],
    measured: Mapping[VersionRef, float],
    running: Mapping[VersionRef, float],
    available: float,
    dispensable: Sequence[VersionRef],
    reserve: float = RESERVE_MB,
) -> None:
    """Refuse a start that would not fit.

    Args:
        wanted: Processes to start, by version.
        measured: What one process of a version was measured to need when it was packaged, 10^6 bytes; 0 when unknown.
        running: What one process of each running version needs now, 10^6 bytes.
        available: What the machine can give, 10^6 bytes.
        dispensable: Running versions without traffic, those to be stopped first in front.
        reserve: What must stay free.

    Raises:
        Refused: it does not fit; the message names what to stop.
    """
    # A version that was never measured is taken for as large as the largest that runs.
    largest = max(running.values(), default=0.0)
    need = sum(count * (measured.get(ref, 0.0) or largest) for ref, count in wanted.items())
    if not need or need + reserve <= available:
        return
    named = ", ".join(f"{ref} ({running.get(ref, 0.0):.0f} MB)" for ref in dispensable)
    raise Refused(
        f"{' and '.join(str(ref) for ref in wanted)} would need {need:.0f} MB and {available:.0f} MB are available",
        instead=f"{reserve:.0f} MB of them stay free for the machine",
        then=f"Without traffic and warm: {named}; a smaller `rollout.keep` stops them."
        if dispensable
        else "`turnout undo MODEL` calls off another model's rollout; or stop another program.",
    )
