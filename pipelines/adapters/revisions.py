"""Where the project's code stands in Git or Subversion."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.errors import BadInput, Refused
from pipelines.values import Revision

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_NUMBER = re.compile(r"r?(?P<number>\d{1,18})")
_NAME, _ADDRESS = "Turnout", "turnout@localhost"
"""Who sets a tag where nobody has told Git a name."""
_SVN = re.compile(r"(?P<revision>\d+(:\d+)?)(?P<flags>[MSP]*)")


class CodeRevisions:
    """Asks `git` and `svnversion`, and takes no answer for `none`: a missing revision never stops a training.

    Args:
        git: The program for Git.
        svnversion: The program for Subversion.
        timeout_seconds: How long one question may take.
    """

    def __init__(self, git: str = "git", svnversion: str = "svnversion", timeout_seconds: float = 10.0) -> None:
        self._git = git
        self._svnversion = svnversion
        self._timeout = timeout_seconds

    def revision(self, folder: Path) -> Revision:
        """The revision of the working copy that `folder` lies in; changes elsewhere in it do not make it dirty."""
        return self._of_git(folder) or self._of_svn(folder) or Revision()

    def are_since(self, folder: Path, mark: str, revisions: Sequence[Revision]) -> list[bool]:
        """Which of the revisions are at or after a mark; see `ports.Revisions.are_since`."""
        system = self.revision(folder).system
        if system == "none":
            raise BadInput(f"{folder} is in no version control", instead="Git and Subversion know revisions")
        if system == "svn":
            number = _number(mark)
            return [each.system == "svn" and _lowest(each.revision) >= number for each in revisions]
        commit = self._commit(folder, mark)
        if commit is None:
            raise BadInput(f"the repository has no commit {mark!r}", then="`git log --oneline` lists them.")
        known: dict[str, bool] = {"": False}
        for each in revisions:
            if each.system == "git" and each.revision not in known:
                known[each.revision] = self._is_ancestor(folder, commit, each.revision)
        return [each.system == "git" and known[each.revision] for each in revisions]

    def tag(self, folder: Path, name: str, revision: Revision, message: str) -> None:
        """Set an annotated tag; see `ports.Revisions.tag`."""
        if revision.system != "git" or not revision.revision:
            raise Refused(f"{name} was trained at no commit of Git", instead="only Git has tags for Turnout")
        if self.revision(folder).system != "git":
            raise Refused(f"the Git repository of {folder} is gone")
        there = self._commit(folder, f"refs/tags/{name}")
        if there == revision.revision:
            return
        if there is not None:
            raise Refused(f"the tag {name} exists and stands at {there[:12]}, not at {revision.revision[:12]}")
        if self._commit(folder, revision.revision) is None:
            raise Refused(f"the commit {revision.revision[:12]} is not in the repository any more")
        # A person's own name where Git knows it; a signature would ask for a passphrase that nobody can type.
        has_name = self._ask(folder, (self._git, "config", "user.email")) is not None
        who = () if has_name else ("-c", f"user.name={_NAME}", "-c", f"user.email={_ADDRESS}")
        command = (self._git, *who, "-c", "tag.gpgSign=false", "tag", "-a", "-m", message, name, revision.revision)
        if self._ask(folder, command) is None and self._commit(folder, f"refs/tags/{name}") != revision.revision:
            raise Refused(f"Git did not set the tag {name}", then=f"`git tag -a {name}` in {folder} says why.")

    def _commit(self, folder: Path, mark: str) -> str | None:
        # As one word: a mark that begins with a dash is no option.
        command = (self._git, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{mark}^{{commit}}")
        found = (self._ask(folder, command) or "").strip()
        return found if _COMMIT.fullmatch(found) else None

    def _is_ancestor(self, folder: Path, commit: str, other: str) -> bool:
        return self._ask(folder, (self._git, "merge-base", "--is-ancestor", commit, other)) is not None

    def _of_git(self, folder: Path) -> Revision | None:
        # The state folder is ours: it must not make every revision dirty where nobody ignores it.
        changes = ("status", "--porcelain", "--", ".", ":(exclude).turnout")
        status = self._ask(folder, (self._git, "-c", "core.fsmonitor=false", *changes))
        if status is None:
            return None
        head = self._ask(folder, (self._git, "rev-parse", "--verify", "--quiet", "HEAD")) or ""
        commit = head.strip() if _COMMIT.fullmatch(head.strip()) else ""
        return Revision("git", commit, bool(status.strip()))

    def _of_svn(self, folder: Path) -> Revision | None:
        found = _SVN.fullmatch((self._ask(folder, (self._svnversion, "-n", ".")) or "").strip())
        return Revision("svn", found["revision"], "M" in found["flags"]) if found else None

    def _ask(self, folder: Path, command: Sequence[str]) -> str | None:
        """What the program writes, or None when it is missing, refuses or hangs."""
        # Variables of a hook that we may run under would name another repository than the folder's.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        try:
            process = subprocess.Popen(  # noqa: S603 - the programs are named by us, the folder is an argument
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError):
            return None
        with process:
            try:
                written, _ = process.communicate(timeout=self._timeout)
            except (subprocess.TimeoutExpired, KeyboardInterrupt) as stopped:
                # The whole group: a grandchild that holds the pipe would keep us waiting.
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                if isinstance(stopped, KeyboardInterrupt):
                    raise
                return None
        return written.decode(errors="replace") if process.returncode == 0 else None


def _number(mark: str) -> int:
    found = _NUMBER.fullmatch(mark)
    if found is None:
        raise BadInput(f"{mark!r} is no revision of Subversion", instead="it is a number, such as 4123")
    return int(found["number"])


def _lowest(revision: str) -> int:
    """Of a mixed working copy (`4123:4168`) the lowest: all of it is at least that new."""
    return int(revision.partition(":")[0] or -1)
