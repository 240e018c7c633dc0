"""A project with packaged versions, over an operator that notes what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.app import App
from pipelines.cli import Session, main_group
from pipelines.ports import Registry
from pipelines.stages.resolve import Control
from pipelines.values import Bento, VersionRef
from pipelines.views import View
from tests.fakes import FakeCatalogue, FakeOperator, FakeReporter, running

TABLES = """
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
[tool.turnout.models.digits.rollout]
steps = [5, 100]
[tool.turnout.models.credit]
train = "train.ipynb"
validate = "validate.ipynb"
"""


def entry(**versions: dict[str, Any]) -> dict[str, Any]:
    """A model's entry: `entry(digits_1=running(100))`."""
    named = {name.replace("_", "@"): version for name, version in versions.items()}
    return {
        "url": "http://127.0.0.1:3000/digits",
        "phase": "canary" if len(named) > 1 else "live",
        "champion": next((ref for ref, version in named.items() if version["role"] == "champion"), None),
        "versions": named,
        "operation": None,
        "bake_until": None,
        "quarantined": {},
    }


class Line:
    """A project with packaged versions 1 to 3 of digits, an operator, and nobody or somebody to ask."""

    def __init__(self, root: Path) -> None:
        (root / "pyproject.toml").write_text(TABLES, encoding="utf-8")
        for name in ("train.ipynb", "validate.ipynb"):
            (root / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
        self.root = root
        self.catalogue = FakeCatalogue()
        for number in (1, 2, 3):
            ref = VersionRef("digits", number)
            self.catalogue.put(Bento(ref, "somewhere", "0" * 64, is_passed=True))
        self.operator = FakeOperator({"digits": entry(digits_1=running(95), digits_2=running(5, "canary"))})
        self.reporter = FakeReporter()
        self.questions: list[str] = []
        self.answer: bool | None = None

    def __call__(self, *arguments: str) -> View:
        """Run one command; return its view."""
        app = App(self.root, self.reporter, self._asking(), command=self._control)
        view = main_group.main(
            list(arguments), prog_name="turnout", standalone_mode=False, obj=Session(app, lambda _: None)
        )
        assert isinstance(view, View)
        return view

    @property
    def asked(self) -> dict[str, Any]:
        """The arguments of the only operation."""
        ((_, _, arguments),) = self.operator.asked
        return arguments

    def _asking(self) -> Callable[[str], bool] | None:
        def ask(question: str) -> bool:
            self.questions.append(question)
            return bool(self.answer)

        return None if self.answer is None else ask

    def _control(self, registry: Callable[[], Registry]) -> Control:
        def opened() -> Registry:
            raise AssertionError("the registry takes seconds and is not needed here")

        del registry
        return Control(self.operator, self.catalogue, opened)
