"""How many pieces of work a machine takes at once."""

from __future__ import annotations

from collections.abc import Sequence

RESERVE_MB = 500.0
"""What stays free for the machine itself, 10^6 bytes."""
UNKNOWN_MB = 1500.0
"""What a run is taken to need before one has been measured: a kernel with TensorFlow in it, and room."""
ROOM = 1.1
"""A run may need a little more than the one that was measured."""


def fits(need_mb: float, used_mb: Sequence[float], available_mb: float, reserve_mb: float = RESERVE_MB) -> bool:
    """Whether another run fits beside those under way, which have not taken yet what they will.

    Args:
        need_mb: What a run needs at most.
        used_mb: What each run under way has taken.
        available_mb: What the machine can give now.
        reserve_mb: What must stay free.
    """
    # Where nothing runs one is tried: it is what a single training would do.
    if not used_mb:
        return True
    promised = sum(max(0.0, need_mb - used) for used in used_mb)
    return need_mb + promised + reserve_mb <= available_mb
