"""What was live when, by what the journal has of each operation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipelines.errors import BadInput
from pipelines.local.journal import Journal
from pipelines.local.rooms import Room
from pipelines.values import Deployment

_DONE = "SELECT after, finished FROM operations WHERE model = ? AND outcome = 'done'"


class Past:
    """Answers which version was live at a time.

    Args:
        journal: Where each operation is.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def room(self) -> Room:
        """The past as a part of the daemon."""
        return Room(questions={"live_at": self._live_at})

    def _live_at(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """`ref`: what was live `at` a time, None when nothing was; `begins`: when the first version was, if ever."""
        model, at = asked.get("model", ""), asked.get("at", "")
        try:
            moment = datetime.fromisoformat(at).astimezone(UTC)
        except (ValueError, OverflowError):
            raise BadInput(f"{at!r} is no time", instead="it is in ISO 8601, with an offset") from None
        # All are written in UTC, so that they are in the order of their texts.
        before = self._journal.rows(
            f"{_DONE} AND finished <= ? ORDER BY finished DESC, rowid DESC LIMIT 1", model, moment.isoformat()
        )
        first = self._journal.rows(f"{_DONE} ORDER BY finished, rowid LIMIT 1", model)
        live = Deployment.from_dict(json.loads(before[0]["after"])).live if before else None
        return {"ref": str(live) if live else None, "begins": first[0]["finished"] if first else None}
