"""Where the sockets and locks of a project lie: a short folder, since the path of a socket has at most 100 bytes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import StorageFailed

SOCKET_PATH_BYTES = 100
"""The longest path of a socket that every system takes (Linux 107, macOS 103)."""

_LONGEST_NAME_BYTES = 52


@dataclass(frozen=True, slots=True)
class Runtime:
    """The runtime folder of one project.

    Args:
        folder: Mode 0700, owned by this user, empty after a reboot.
        digest: 12 hexadecimal digits of the project's path; the processes of a project carry them in their environment.
    """

    folder: Path
    digest: str

    @classmethod
    def of(cls, root: Path) -> Runtime:
        """The folder for the project at `root`; nothing is created."""
        digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:12]
        name = f"turnout-{os.getuid()}-{digest}"
        bases = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"]  # noqa: S108 - checked below
        for base in bases:
            folder = Path(base) / name
            is_short = len(os.fsencode(folder)) + 1 + _LONGEST_NAME_BYTES <= SOCKET_PATH_BYTES
            if base and is_short and Path(base).is_dir() and os.access(base, os.W_OK | os.X_OK):
                return cls(folder, digest)
        raise StorageFailed(
            "there is no folder for sockets",
            then="Set XDG_RUNTIME_DIR to a writable folder with a path below 40 bytes.",
        )

    def make(self) -> Runtime:
        """Create the folder, or check that the one there is ours alone.

        Raises:
            StorageFailed: it cannot be created, or belongs to somebody else.
        """
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            found = self.folder.lstat()
            if self.folder.is_symlink() or not self.folder.is_dir() or found.st_uid != os.getuid():
                raise StorageFailed(
                    f"{self.folder} belongs to somebody else",
                    instead="it is a folder of this user",
                    then="Remove it, or set XDG_RUNTIME_DIR to another place.",
                )
            if found.st_mode & 0o077:
                self.folder.chmod(0o700)
        except OSError as error:
            raise StorageFailed.from_os(error, "making the folder for sockets") from error
        return self

    @property
    def daemon_socket(self) -> Path:
        """Where the daemon answers."""
        return self.folder / "daemon.sock"

    @property
    def gateway_admin(self) -> Path:
        """Where the gateway reports."""
        return self.folder / "gateway.sock"

    def host_socket(self, name: str) -> Path:
        """Where a host answers; `name` has at most 52 bytes."""
        return self.folder / name

    def lock(self, name: str) -> Path:
        """A file to lock: `daemon`, `client`, `guardian`."""
        return self.folder / f"{name}.lock"
