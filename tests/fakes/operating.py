"""A daemon that notes what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import TurnoutError
from pipelines.values import VersionRef


def running(weight: int, role: str = "champion", **changes: Any) -> dict[str, Any]:
    """One version in the status of a daemon."""
    about = {"weight": weight, "role": role, "health": "ready", "age_seconds": 75.0, "requests": 12, "failures": 0}
    return {**about, "replicas": 1, "memory_mb": 61.0, "restarts": 0, **changes}


@dataclass
class FakeOperator:
    """Implements `ports.Operator`: notes what it is asked, and shows the status it is given.

    Args:
        models: The status, by model.
        failure: What `operate` raises.
        answers: What the rooms answer, by name.
        is_silent: Whether a glance finds nobody.
    """

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: TurnoutError | None = None
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    is_silent: bool = False

    def ask(self, name: str, **asked: str | int) -> Any:
        """What was given under that name."""
        self.asked.append(("ask", name, dict(asked)))
        return self.answers[name]

    def glance(self, name: str, **asked: str | int) -> Any:
        """What was given under that name, or the status; None while it is silent."""
        if self.is_silent:
            return None
        self.asked.append(("glance", name, dict(asked)))
        return self.status() if name == "status" else self.answers.get(name)

    def tell(self, name: str, body: Mapping[str, Any]) -> Any:
        """Note it, and answer what was given under that name."""
        self.asked.append(("tell", name, dict(body)))
        return self.answers.get(name)

    def operate(
        self, verb: str, model: str, arguments: Mapping[str, Any], on_step: Callable[[str], None]
    ) -> dict[str, Any]:
        """Note it."""
        self.asked.append((verb, model, dict(arguments)))
        on_step(f"{verb} {model}")
        if self.failure is not None:
            raise self.failure
        return {"plan": ["route it", "record it"]} if arguments.get("dry_run") else self.models[model]

    def status(self) -> dict[str, Any]:
        """What was given."""
        return {"models": self.models}

    def history(self, model: str) -> list[dict[str, Any]]:
        """What was given."""
        return [event for event in self.events if event["model"] == model]

    def logs(self, ref: VersionRef | None, lines: int) -> list[str]:
        """As many lines as asked for."""
        return [f"{ref or 'gateway'}: line {number}" for number in range(lines)]

    def up(self, on_step: Callable[[str], None]) -> dict[str, Any]:
        """Note it."""
        on_step("starting")
        return self.status()

    def down(self, on_step: Callable[[str], None]) -> None:
        """Nothing runs afterwards."""
        on_step("stopping")
        self.models.clear()
