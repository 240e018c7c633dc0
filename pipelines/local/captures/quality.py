"""The daemon's part in labels: it joins them with captures as both come, and tells each model's quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.local.captures.labels import LabelStore
from pipelines.local.rooms import Room
from pipelines.values import Project

LOOK_SECONDS = 1.0
TIDY_SECONDS = 600.0
CAPTURES = 2000
"""So many are read at one look: what has piled up shall not hold up the daemon."""


class LiveQuality:
    """Keeps the quality of each model up to date, once the first label has come.

    Args:
        labels: Where they are.
        project: As its file has it now; raises BadProject.
    """

    def __init__(self, labels: LabelStore, project: Callable[[], Project]) -> None:
        self._labels = labels
        self._project = project
        self._known: dict[str, Mapping[str, Any]] = {}

    @property
    def room(self) -> Room:
        """For the daemon."""
        return Room(
            loops=((self.look, LOOK_SECONDS), (self.tidy, TIDY_SECONDS)), status=self.status, close=self._labels.close
        )

    def look(self) -> None:
        """Join what has come, and sum it up.

        Raises:
            TurnoutError: the project file cannot be read, or the store is broken.
        """
        for model in self._project().models:
            self._labels.spooled(model)
            if not self._labels.exists:
                continue
            self._labels.read(model, CAPTURES)
            summary = self._labels.summary(model)
            if summary.labels.received:
                self._known[model] = summary.as_dict()

    def tidy(self) -> None:
        """Forget what is too old.

        Raises:
            TurnoutError: the project file cannot be read, or the disk is full.
        """
        for name, model in self._project().models.items():
            self._labels.tidy(name, model.capture.max_days)

    def status(self, model: str) -> dict[str, Any]:
        """What the status says of a model: None as long as no label has come."""
        return {"quality": self._known.get(model)}
