"""Work in threads that no ending process waits for: what hangs in them is let go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def aside(work: Callable[[], object]) -> None:
    """Do it in a thread of its own, and wait for nothing."""
    threading.Thread(target=work, daemon=True).start()


def side_by_side(work: Callable[[_T], _R], parts: Sequence[_T]) -> list[_R]:
    """The results of all parts, in their order, done at the same time; one part needs no thread.

    Args:
        work: Must not raise.
        parts: A few.
    """
    if len(parts) == 1:
        return [work(parts[0])]
    found: dict[int, _R] = {}

    def carry_out(place: int) -> None:
        found[place] = work(parts[place])

    threads = [threading.Thread(target=carry_out, args=(place,), daemon=True) for place in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[place] for place in range(len(parts))]
