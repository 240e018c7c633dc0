"""Where the project's code stands in Git or Subversion."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.values import Revision

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
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
