"""Request ids: the client's own, or new ones that cost next to nothing."""

from __future__ import annotations

import os
from itertools import count


class RequestIds:
    """Ids that are unique among the processes of a model: a random start, then counting."""

    def __init__(self) -> None:
        self._format = os.urandom(6).hex().encode() + b"-%x"
        self._numbers = count(1)

    def next(self) -> bytes:
        """A new id."""
        return self._format % next(self._numbers)

    def kept(self, known: bytes) -> bytes:
        """The client's own id when it is printable and no longer than 128 characters, or else a new one."""
        if 0 < len(known) <= 128 and known.isascii() and known.decode().isprintable():
            return known
        return self.next()
