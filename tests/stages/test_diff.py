"""diff: over a project in a world of fakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.errors import BadInput, NoSuchModel, NoSuchVersion
from pipelines.stages.diff import Difference, diff
from pipelines.stages.package import package
from pipelines.values import Alias, ModelVersion, VersionSpec
from pipelines.views import DiffView
from tests.fakes import FakeReporter
from tests.stages.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project with two versions: the second is better, and not packaged."""
    world = World(tmp_path, accuracy={1: 0.92, 2: 0.99})
    world.train()
    world.validate(1)
    package(world.project, VersionSpec("digits", 1), world.ports, FakeReporter())
    world.train(epochs="9")
    world.validate(2)
    return world


def between(world: World, left: str = "digits@1", right: str = "digits@2") -> Difference:
    """What differs."""
    return diff(world.project, VersionSpec.parse(left), VersionSpec.parse(right), world.ports)


def ran(world: World, version: ModelVersion, *cells: str) -> None:
    """Attach an executed notebook of those cells, after those of the fakes."""
    file = world.folder / "zzz.ipynb"
    said = [{"cell_type": "code", "metadata": {}, "source": cell} for cell in cells]
    file.write_text(json.dumps({"cells": said}))
    world.ports.registry.attach(version.run_id, file, "notebooks/train")


def test_what_differs_is_found_with_its_direction(world: World) -> None:
    """Parameters, metrics that the gate calls better, the bento that one of them has not."""
    found = between(world)
    assert [(change.name, change.left, change.right) for change in found.parameters.changes] == [("epochs", 8, 9)]
    assert found.parameters.equal == 3
    (metric,) = found.metrics.changes
    assert (metric.name, metric.left, metric.right, metric.is_better) == ("accuracy", 0.92, 0.99, True)
    assert found.gates.changes == ()
    assert [change.name for change in found.bento.changes] == ["flavour", "size"]


def test_the_other_way_round_it_is_worse(world: World) -> None:
    """Left and right are as they were given."""
    (metric,) = between(world, "digits@2", "digits@1").metrics.changes
    assert metric.is_better is False


def test_a_change_of_a_few_rows_may_be_chance(tmp_path: Path) -> None:
    """Two rows of 400 are answered otherwise: the interval of the change says so, and no view calls it better."""
    world = World(tmp_path, accuracy={1: 0.95, 2: 0.955})
    for number in (1, 2):
        world.train(epochs=str(number))
        world.validate(number)
    found = between(world)
    (metric,) = found.metrics.changes
    assert metric.interval is not None
    low, high = metric.interval
    assert low <= 0 < metric.right - metric.left < high
    text = DiffView(found).text(100)
    assert "+0.005, may be chance" in text
    assert "better" not in text


def test_a_change_without_rows_has_no_interval(world: World) -> None:
    """A version that was not validated has metrics of its training alone; what is known is shown."""
    world.train(epochs="3")
    assert [change.interval for change in between(world, "digits@1", "digits@3").metrics.changes] == [None]
    assert "interval" not in DiffView(between(world, "digits@1", "digits@3")).text(100)


def test_the_changed_cells_are_found_in_what_ran(world: World) -> None:
    """Line by line, with the count of those that are the same."""
    one, two = (world.ports.registry.get(VersionSpec("digits", number)) for number in (1, 2))
    ran(world, one, "import numpy", "a = 1\nb = 2", "fit()")
    ran(world, two, "import numpy", "a = 1\nb = 3", "fit()")
    found = between(world)
    assert found.cells is not None
    assert [cell.lines[1:] for cell in found.cells] == [(" a = 1", "-b = 2", "+b = 3")]
    assert found.equal_cells == 2
    text = DiffView(found).text(80)
    assert "-b = 2" in text
    assert "+b = 3" in text
    assert "2 code cells" in text


def test_a_notebook_that_is_gone_is_said_so(world: World) -> None:
    """Cells and packages are unknown then, not equal."""
    one, two = (world.ports.registry.get(VersionSpec("digits", number)) for number in (1, 2))
    ran(world, one, "a = 1")
    for file in (world.folder / "registry" / two.run_id).rglob("*.ipynb"):
        file.unlink()
    found = between(world)
    assert found.cells is None
    assert "which cells" in DiffView(found).text()


def test_the_packages_that_changed_are_named(world: World) -> None:
    """From what the models were saved with."""
    for number, needs in ((1, "numpy==2.3.0\nscipy==1.0"), (2, "numpy==2.4.0\nscipy==1.0")):
        version = world.ports.registry.get(VersionSpec("digits", number))
        (world.ports.registry.local_model(version) / "requirements.txt").write_text(needs)
    packages = between(world).packages
    assert packages is not None
    assert [(one.name, one.left, one.right) for one in packages.changes] == [("numpy", "==2.3.0", "==2.4.0")]
    assert packages.equal == 1


@pytest.mark.parametrize(
    ("left", "right", "error", "words"),
    [
        ("digits@1", "digits@9", NoSuchVersion, "9"),
        ("digits@9", "digits@1", NoSuchVersion, "9"),
        ("digits@1", "digits@1", BadInput, "twice"),
        ("digits@2", "digits@latest", BadInput, "both digits@2"),
        ("digits@1", "credit@1", BadInput, "two models"),
        ("credit@1", "credit@2", NoSuchModel, "credit"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    world: World, left: str, right: str, error: type[Exception], words: str
) -> None:
    """The message names what was asked."""
    with pytest.raises(error, match=words):
        between(world, left, right)


def test_an_alias_is_as_good_as_a_number(world: World) -> None:
    """`digits@latest` is the second version."""
    assert Alias.LATEST in between(world, "digits@1", "digits@latest").right.aliases


def test_the_view_says_better_and_counts_the_rest(world: World) -> None:
    """Text, HTML and JSON from one source."""
    view = DiffView(between(world))
    text = view.text(80)
    assert "+0.07 better" in text
    assert "Equal: 3 parameters" in text
    assert "+0.07 better" in view.html()
    told = view.json()
    (change,) = told["metrics"]["changes"]
    low, high = change.pop("interval")
    assert 0.04 < low < 0.07 < high < 0.1
    assert change == {"name": "accuracy", "left": 0.92, "right": 0.99, "better": True}
    assert told["metrics"]["equal"] == 1
    assert (told["left"], told["right"]) == ("digits@1", "digits@2")
