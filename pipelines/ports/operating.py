"""Having the running versions changed, and asking about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pipelines.values import VersionRef


class Operator(Protocol):
    """Who carries out what changes the running versions: one for each project, whoever asks."""

    def operate(
        self, verb: str, model: str, arguments: Mapping[str, Any], on_step: Callable[[str], None]
    ) -> dict[str, Any]:
        """Carry out one operation; return the model's entry in the status afterwards, as the target reports it.

        Args:
            verb: `deploy`, `promote`, `rollback` or `undo`.
            model: The model.
            arguments: As docs/architecture.md lists them for the verb, JSON values. With `dry_run` nothing is changed,
                and what comes back is `{"plan": [...]}`, the steps in words.
            on_step: Told each step, in a few words, when it begins.

        Raises:
            TurnoutError: it did not succeed; what ran before runs still.
        """

    def status(self) -> dict[str, Any]:
        """What runs, as JSON: `models`, by name; empty where nothing was ever deployed, and nothing is started then."""

    def history(self, model: str) -> list[dict[str, Any]]:
        """What happened to the model, the latest first, as JSON."""

    def logs(self, ref: VersionRef | None, lines: int) -> list[str]:
        """The last lines written by a version's hosts, or by all."""

    def ask(self, name: str, **asked: str | int) -> Any:
        """Put a question to a part of the runtime, which is started where it does not run; the answer is JSON values.

        Raises:
            BadInput: nobody knows of it.
        """

    def glance(self, name: str, **asked: str | int) -> Any:
        """As `ask`, or `status` under that name, but at once or not at all: None when nothing answers within seconds.

        For whoever looks again and again: it starts nothing and waits for nobody.

        Raises:
            BadInput: nobody knows of it.
        """

    def tell(self, name: str, body: Mapping[str, Any]) -> Any:
        """Give an order to a part of the runtime. It may come twice when the runtime dies over it.

        Raises:
            BadInput: nobody takes it.
        """

    def up(self, on_step: Callable[[str], None]) -> dict[str, Any]:
        """Start the runtime and bring back what was live; return the status."""

    def down(self, on_step: Callable[[str], None]) -> None:
        """Stop all versions and the runtime, whose state is kept."""
