"""A thread that looks at something again and again, for as long as somebody wants it to."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Watcher:
    """Calls `look` every so many seconds, from a thread of its own that never keeps the kernel from ending.

    Args:
        look: What is called; it must not raise.
        pause: Seconds between two calls.
    """

    def __init__(self, look: Callable[[], None], pause: float) -> None:
        self._look, self._pause = look, pause
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether it looks."""
        return self._thread is not None and self._thread.is_alive() and not self._ended.is_set()

    def start(self) -> None:
        """Begin to look, unless it does already."""
        with self._lock:
            if not self.is_running:
                # An event of its own for each thread: an old one that is still looking must not come back to life.
                self._ended = threading.Event()
                self._thread = threading.Thread(
                    target=self._go_on, args=(self._ended,), name="turnout monitor", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Look no more, without waiting for a look that is under way."""
        with self._lock:
            self._ended.set()

    def _go_on(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self._look()
            ended.wait(self._pause)
