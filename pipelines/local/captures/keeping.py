"""The daemon's part in captures: it tells the hosts what to keep, and removes what is too old or too much."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.local.captures.folder import CaptureFolder
from pipelines.local.rooms import Room
from pipelines.values import Project

SETTLE_SECONDS = 1.0
TIDY_SECONDS = 60.0


class Keeping:
    """Keeps the hosts' settings those of the project file.

    Args:
        folder: The captures.
        project: As its file has it now; raises BadProject.
    """

    def __init__(self, folder: CaptureFolder, project: Callable[[], Project]) -> None:
        self._folder = folder
        self._project = project

    @property
    def room(self) -> Room:
        """For the daemon."""
        return Room(loops=((self.settle, SETTLE_SECONDS), (self.tidy, TIDY_SECONDS)))

    def settle(self) -> None:
        """Tell the hosts what the project file says.

        Raises:
            TurnoutError: it cannot be read, or the disk is full.
        """
        for name, model in self._project().models.items():
            self._folder.set(name, model.capture)

    def tidy(self) -> None:
        """Keep each model's captures within their bounds.

        Raises:
            TurnoutError: the project file cannot be read.
        """
        for name, model in self._project().models.items():
            self._folder.tidy(name, model.capture)
