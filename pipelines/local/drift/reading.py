"""Reads on in a version's captures: a little at a time, and nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.local.captures.folder import CaptureFolder, lines, read_line
from pipelines.values import Captured, VersionRef

MOST_BYTES = 4_000_000
"""So much is read at one look: what has piled up shall not hold up the daemon."""
MOST_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Piece:
    """What was read.

    Args:
        captures: In the order of their segments.
        places: How far each segment is read.
    """

    captures: tuple[Captured, ...]
    places: Mapping[str, int]


def read_on(folder: CaptureFolder, ref: VersionRef, places: Mapping[str, int]) -> Piece:
    """The next captures of a version.

    Args:
        folder: All captures.
        ref: The version.
        places: How far each segment is read; segments that are gone are forgotten.
    """
    found: list[Captured] = []
    after: dict[str, int] = {}
    left, rows = MOST_BYTES, MOST_ROWS
    for segment in folder.segments(ref):
        offset = after[segment.name] = places.get(segment.name, 0)
        if left <= 0 or rows <= 0:
            continue
        for line, end in lines(segment, offset):
            captured = read_line(line)
            if captured is not None:
                found.append(captured)
                rows -= max(1, captured.rows)
            left -= len(line)
            after[segment.name] = end
            if left <= 0 or rows <= 0:
                break
    return Piece(tuple(found), after)


def skip_all(folder: CaptureFolder, ref: VersionRef, places: Mapping[str, int]) -> dict[str, int]:
    """How far each segment is read when all that is there has been passed over.

    A line that is half written now is passed over as well: what begins in its midst is no line, and is left aside.
    """
    after = dict(places)
    for segment in folder.segments(ref):
        try:
            after[segment.name] = max(places.get(segment.name, 0), segment.stat().st_size)
        except OSError:
            after.pop(segment.name, None)
    return after
