"""Which messages say the same, by the Drain algorithm."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.errors import MissingExtra
from pipelines.policy.logs import MASK

SIMILAR = 0.5
"""The share of equal words that makes two messages one template."""
MOST_TEMPLATES = 2_000


class DrainTemplates:
    """Implements `stages.logs.Templates` with drain3."""

    def texts(self, messages: Sequence[str]) -> list[str]:
        """The template of each message; equal texts are one template.

        Raises:
            MissingExtra: drain3 is not installed.
        """
        try:
            from drain3.drain import Drain
        except ImportError as error:
            raise MissingExtra.of("logs", "drain3", "A summary") from error
        drain = Drain(depth=4, sim_th=SIMILAR, max_clusters=MOST_TEMPLATES, param_str=MASK)
        found = [drain.add_log_message(message)[0] for message in messages]
        # A template grows vaguer with each message, so it is read when all have come.
        return [cluster.get_template() for cluster in found]
