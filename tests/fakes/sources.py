"""Code and data that stand where a test says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import TurnoutError
from pipelines.values import Dependencies, Digested, Revision, Sources
from pipelines.values.watching import Places


@dataclass
class FakeRevisions:
    """Implements `ports.Revisions` with a given answer.

    Args:
        answer: Where the code stands.
        later: The revisions that are at or after whatever is asked for.
        failure: Why no tag can be set.
    """

    answer: Revision = Revision("git", "0123456789abcdef0123456789abcdef01234567", dirty=False)
    later: set[str] = field(default_factory=set)
    failure: TurnoutError | None = None
    tags: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Commit and message, by name."""

    def revision(self, folder: Path) -> Revision:  # noqa: ARG002
        """The given answer."""
        return self.answer

    def are_since(self, folder: Path, mark: str, revisions: Sequence[Revision]) -> list[bool]:
        """As given."""
        del folder, mark
        return [each.revision in self.later for each in revisions]

    def tag(self, folder: Path, name: str, revision: Revision, message: str) -> None:
        """Note it."""
        del folder
        if self.failure is not None:
            raise self.failure
        self.tags[name] = revision.revision, message


@dataclass
class FakeDigests:
    """Implements `ports.Digests`: of paths and of a text that a test may change.

    Args:
        contents: What stands in a file, by its name; its name when nothing is said.
        modules: The names of the modules that every notebook imports.
    """

    contents: dict[str, str] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)

    def notebook(self, path: Path) -> str:
        """Of the notebook's content."""
        return self._digest([path])

    def files(self, paths: Sequence[Path]) -> str:
        """Of the files' contents; empty for no paths."""
        return self._digest(paths) if paths else ""

    def depends(self, sources: Sources) -> Digested:
        """Of the contents: a notebook is one cell, and no module is imported unless `modules` says so."""
        said = [*sources.inputs, *(Path(command) for command in sources.commands)]
        modules = {name: self._digest([Path(name)]) for name in self.modules}
        lock = self.files([sources.lock]) if sources.lock else ""
        parts = Dependencies(
            notebook=sources.notebook.name,
            cells=(self.notebook(sources.notebook),),
            inputs={path.name: self._digest([path]) for path in said},
            modules=modules,
            lock={sources.lock.name: lock} if sources.lock else {},
        )
        code = hashlib.sha256(repr(modules).encode()).hexdigest() if modules else ""
        return Digested(self.notebook(sources.notebook), self.files(said), code, lock, parts)

    def _digest(self, paths: Sequence[Path]) -> str:
        said = "\n".join(self.contents.get(path.name, path.name) for path in paths)
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass
class FakeChanges:
    """Implements `crews.Changes`: something has changed when a test says so.

    Args:
        turn: Called each time somebody waits, before the answer.
    """

    turn: Callable[[], None] = lambda: None
    trouble: str = ""
    places: Places | None = None
    _something: bool = False

    def watch(self, places: Places) -> None:
        """Keep the places."""
        self.places = places

    def touch(self) -> None:
        """Something has changed."""
        self._something = True

    def wait(self, seconds: float) -> bool:
        """Whether something has; nobody really waits."""
        del seconds
        self.turn()
        is_so, self._something = self._something, False
        return is_so

    def close(self) -> None:
        """Watch nothing."""
        self.places = None
