"""The code and data that versions are made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pipelines.values import Digested, Revision, Sources


class Revisions(Protocol):
    """Version control of the project's code."""

    def revision(self, folder: Path) -> Revision:
        """Where the code stands; `none` outside of any system or without its program."""

    def are_since(self, folder: Path, mark: str, revisions: Sequence[Revision]) -> list[bool]:
        """Which of the revisions are at or after a mark: by ancestry in Git, by number in Subversion.

        A revision that the repository does not have (any more) is not.

        Args:
            folder: In the working copy.
            mark: A revision as a person writes it: a commit, a branch or a tag; a number.
            revisions: What to look at.

        Raises:
            BadInput: there is no such revision, or no version control.
        """

    def tag(self, folder: Path, name: str, revision: Revision, message: str) -> None:
        """Set an annotated tag at a revision; one that is there already may stay.

        Raises:
            Refused: the repository or the revision is gone, or the tag stands elsewhere.
        """


class Digests(Protocol):
    """SHA-256 of what a version is made from."""

    def notebook(self, path: Path) -> str:
        """Of the code cells alone: outputs, metadata and prose do not count."""

    def files(self, paths: Sequence[Path]) -> str:
        """Of files and folders by their content and relative names; empty for no paths. Wildcards are expanded.

        Raises:
            BadProject: a path does not exist, or a pattern matches nothing.
        """

    def depends(self, sources: Sources) -> Digested:
        """All that a notebook stage depends on, whole and part by part; parameters and upstream results excepted.

        What `notebook` and `files` say of the same stands in it. The project's modules are those that the notebook's
        cells import, directly or through one another, as far as that can be read off.

        Raises:
            BadProject: as above; or a command among the inputs fails.
        """
