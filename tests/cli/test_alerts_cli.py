"""Gates that fail in a command's process reach whoever is told of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipelines.app import App
from pipelines.errors import ServeFailed
from pipelines.ports import Registry
from pipelines.stages.resolve import Control
from pipelines.values import VersionSpec
from tests.fakes import FakeOperator
from tests.stages.world import World

PROJECT = """
[tool.turnout.alerts]
urls = {urls}
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
gates = {{ accuracy = {{ min = 0.9 }} }}
"""


class Fakes:
    """An app over fakes, whose first version fails its gate and whose second passes."""

    def __init__(self, folder: Path, urls: str = '["$HOOK"]') -> None:
        self.world = World(folder, accuracy={1: 0.5})
        (folder / "pyproject.toml").write_text(PROJECT.format(urls=urls))
        for name in ("train.ipynb", "validate.ipynb"):
            (folder / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
        self.operator = FakeOperator({})

        def control(registry: Callable[[], Registry]) -> Control:
            return Control(self.operator, self.world.ports.catalogue, registry)

        self.app = App(folder, self.world.reporter, connect=lambda _: self.world.ports, command=control)
        for _ in range(2):
            self.app.train("digits", {})

    def told(self) -> list[str]:
        """The titles of what was handed over."""
        return [str(body["title"]) for how, name, body in self.operator.asked if (how, name) == ("tell", "alert")]


def test_a_failed_gate_is_handed_over(tmp_path: Path) -> None:
    """By `validate`, once for each run; one that passes is not."""
    fakes = Fakes(tmp_path)
    assert not fakes.app.validate(VersionSpec("digits", 1)).ok
    assert fakes.told() == ["digits@1: a gate failed"]
    assert fakes.app.validate(VersionSpec("digits", 2)).ok
    assert len(fakes.told()) == 1


def test_shipping_hands_it_over_too(tmp_path: Path) -> None:
    """A shipment that ends at its gates."""
    fakes = Fakes(tmp_path)
    for number in range(2, 9):
        fakes.world.accuracy[number] = 0.5
    fakes.world.refresh()
    assert not fakes.app.ship("digits", {}).ok
    assert len(fakes.told()) == 1


def test_without_a_target_nobody_is_asked(tmp_path: Path) -> None:
    """No daemon is started for an alert that nobody gets."""
    fakes = Fakes(tmp_path, "[]")
    assert not fakes.app.validate(VersionSpec("digits", 1)).ok
    assert fakes.operator.asked == []


def test_a_broken_daemon_changes_no_verdict(tmp_path: Path) -> None:
    """The command ends as it would have, and says that nobody could be told."""
    fakes = Fakes(tmp_path)

    class Silent(FakeOperator):
        def tell(self, name: str, body: object) -> object:
            raise ServeFailed(f"the daemon takes no {name}, {type(body)}")

    fakes.operator = Silent({})
    assert not fakes.app.validate(VersionSpec("digits", 1)).ok
    assert any("nobody could be told of it" in step for step in fakes.world.reporter.steps)
