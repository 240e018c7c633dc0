"""Tells of changes of files, by what the system itself notices."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from pipelines.values.watching import Places

_DEBOUNCE_MS = 200
_ANSWER_MS = 200
_BEGIN_SECONDS = 10.0
"""A folder with very many below it, or one far away, takes its time; meanwhile everything else waits."""
_NOT_CONTENT = {".turnout", ".git", ".svn", ".ipynb_checkpoints", "__pycache__"}


class FileChanges:
    """Implements `crews.Changes`: a thread for the folders that count in depth, and one for the others."""

    def __init__(self) -> None:
        self._something = threading.Event()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._places: Places | None = None
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why it cannot tell."""
        return self._trouble

    def watch(self, places: Places) -> None:
        """Watch there instead."""
        if places == self._places and not self._trouble and all(thread.is_alive() for thread in self._threads):
            return
        self.close()
        self._over, self._trouble, self._places = threading.Event(), "", places
        listening = [threading.Event(), threading.Event()]
        for folders, is_deep, begun in zip((places.deep, places.flat), (True, False), listening, strict=True):
            there = [folder for folder in sorted(folders) if folder.is_dir()]
            if there:
                words = {"is_deep": is_deep, "begun": begun, "over": self._over}
                thread = threading.Thread(target=self._listen, args=(there,), kwargs=words, daemon=True)
                self._threads.append(thread)
                thread.start()
            else:
                begun.set()
        for begun in listening:
            begun.wait(_BEGIN_SECONDS)
        # What changed before that was not heard.
        self._something.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a change."""
        is_so = self._something.wait(seconds)
        if is_so:
            self._something.clear()
        return is_so

    def close(self) -> None:
        """End the threads."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._places = None

    def _listen(self, folders: Iterable[Path], *, is_deep: bool, begun: threading.Event, over: threading.Event) -> None:
        from watchfiles import watch

        try:
            for found in watch(
                *folders,
                watch_filter=lambda _, path: _is_content(Path(path), folders),
                debounce=_DEBOUNCE_MS,
                stop_event=over,
                rust_timeout=_ANSWER_MS,
                yield_on_timeout=True,
                raise_interrupt=False,
                recursive=is_deep,
                ignore_permission_denied=True,
            ):
                # The first answer, be it empty, says that it listens.
                begun.set()
                if found:
                    self._something.set()
        except Exception as error:  # noqa: BLE001 - too many folders for the system, one that went: it says which
            self._trouble = f"{type(error).__name__}: {error}"
        begun.set()
        if not over.is_set():
            # A folder that is gone, or any other end: whoever waits looks for himself.
            self._something.set()


def _is_content(path: Path, folders: Iterable[Path]) -> bool:
    """Whether it is neither Turnout's own nor what tools leave beside the data; above a folder all names are good."""
    below = next((path.relative_to(each) for each in folders if path.is_relative_to(each)), path)
    return not _NOT_CONTENT & set(below.parts)
