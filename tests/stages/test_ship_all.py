"""Several models shipped together: in parallel, in order, and none stopped by another that it does not need."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import BadInput, NoSuchModel, NotebookRaised
from pipelines.stages.ship_all import ShippedAll, ship_all
from pipelines.values import ModelConfig, Project
from pipelines.values.automation import Automation
from pipelines.values.sweeps import RunStatus
from pipelines.views import ShipAllView, View
from pipelines.views.blocks import Block
from tests.cli.test_cli import call
from tests.fakes import FakeCrew, FakeReporter
from tests.stages.world import World

AFTER: Mapping[str, tuple[str, ...]] = {"scores": ("features",), "features": ("raw",), "raw": (), "digits": ()}


@dataclass(frozen=True)
class Said(View):
    """What a shipment prints."""

    model: str
    outcome: str = "done"

    @property
    def ok(self) -> bool:
        """Whether no stage failed."""
        return self.outcome != "failed"

    def blocks(self) -> Sequence[Block]:
        """Nothing."""
        return []

    def document(self) -> Mapping[str, Any]:
        """A version and a step."""
        step = {"stage": "validate", "outcome": self.outcome, "reason": "accuracy FAIL"}
        return {"ref": f"{self.model}@1", "ok": self.ok, "steps": [step]}


@dataclass
class Yard:
    """Four models, three of them one behind the other.

    Args:
        folder: A temporary folder.
    """

    folder: Path
    outcomes: dict[str, str | Exception] = field(default_factory=dict)
    during: Callable[[str], object] = len
    order: list[str] = field(default_factory=list)
    shown: list[ShippedAll] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.crew = FakeCrew(self._do, 2)
        self.reporter = FakeReporter()

    def ship(self, *names: str, words: Sequence[str] = (), jobs: int | None = None) -> ShippedAll:
        """Ship these."""
        home = self.folder
        models = {
            name: ModelConfig(name, home / "train.ipynb", home / "validate.ipynb", automation=Automation("", after))
            for name, after in AFTER.items()
        }
        project = Project(self.folder, models=models)
        return ship_all(project, names, words, self.crew, self.reporter, self.shown.append, jobs=jobs)

    def _do(self, words: Sequence[str]) -> View:
        model = words[-1]
        self.during(model)
        self.order.append(model)
        outcome = self.outcomes.get(model, "done")
        if isinstance(outcome, Exception):
            raise outcome
        return Said(model, outcome)


def test_each_is_shipped_behind_those_it_builds_on(tmp_path: Path) -> None:
    """In whatever order they are named, and each once."""
    yard = Yard(tmp_path)
    done = yard.ship("scores", "features", "raw", "scores")
    assert yard.order == ["raw", "features", "scores"]
    assert done.is_done
    assert sorted(yard.crew.asked) == [("ship", "--", "features"), ("ship", "--", "raw"), ("ship", "--", "scores")]


def test_an_order_by_way_of_a_model_that_is_not_shipped_holds(tmp_path: Path) -> None:
    """scores comes after raw, though features between them is left out."""
    yard = Yard(tmp_path)
    yard.ship("scores", "raw")
    assert yard.order == ["raw", "scores"]


def test_those_that_do_not_need_each_other_run_together(tmp_path: Path) -> None:
    """Each waits in its shipment for the other to begin."""
    barrier = threading.Barrier(2)
    yard = Yard(tmp_path, during=lambda _: barrier.wait(20))
    yard.ship("raw", "digits")
    assert yard.crew.at_once == 2


def test_jobs_bound_what_runs_together(tmp_path: Path) -> None:
    """One after the other."""
    yard = Yard(tmp_path)
    yard.ship("raw", "digits", jobs=1)
    assert yard.crew.at_once == 1


@pytest.mark.parametrize("outcome", ["failed", NotebookRaised("raw.ipynb raised ValueError: no")])
def test_a_failed_model_stops_those_behind_it_alone(tmp_path: Path, outcome: str | Exception) -> None:
    """A gate or an error: what builds on it is not begun and says why, the other is shipped; it is no success."""
    yard = Yard(tmp_path, {"raw": outcome})
    done = yard.ship("scores", "features", "raw", "digits")
    assert {each.model: each.status for each in done.models} == {
        "scores": RunStatus.FAILED,
        "features": RunStatus.FAILED,
        "raw": RunStatus.FAILED,
        "digits": RunStatus.DONE,
    }
    assert sorted(yard.order) == ["digits", "raw"]
    told = ShipAllView(done)
    assert not told.ok
    document = told.json()["models"]
    assert "comes after" in document["features"]["error"]["message"]
    assert "accuracy FAIL" in done.of("raw").says or "ValueError" in document["raw"]["error"]["message"]
    assert document["digits"]["ref"] == "digits@1"


def test_what_was_reused_is_told_from_what_is_new(tmp_path: Path) -> None:
    """Both are shipped."""
    done = Yard(tmp_path, {"raw": "reused"}).ship("raw", "digits")
    assert [each.status for each in done.models] == [RunStatus.REUSED, RunStatus.DONE]
    assert done.is_done


def test_words_are_passed_on_and_steps_are_told_by_name(tmp_path: Path) -> None:
    """A share for each; whoever reads the log sees whose step it is."""
    yard = Yard(tmp_path)
    yard.ship("raw", words=("--canary", "10"))
    assert yard.crew.asked == [("ship", "--canary", "10", "--", "raw")]
    assert yard.reporter.steps == ["raw: doing raw", "raw: done"]
    assert [each.of("raw").status for each in yard.shown][:2] == [RunStatus.WAITING, RunStatus.RUNNING]


def test_an_unknown_model_ships_nothing(tmp_path: Path) -> None:
    """Also when it is named last."""
    yard = Yard(tmp_path)
    with pytest.raises(NoSuchModel):
        yard.ship("raw", "digit")
    assert yard.order == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no model is named"),
        (["--all", "digits"], "--all and names of models exclude each other"),
        (["--all", "-p", "epochs", "2"], "-p cannot be given for several models"),
        (["digits", "credit", "--junit", "a.xml", "--serve"], "--junit and --serve cannot"),
        (["--all", "--canary", "500"], "500 is no share"),
        (["--all", "--canary", "5", "--shadow"], "exclude each other"),
    ],
)
def test_wrong_calls_ship_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    """Each is told before a process is started."""
    world = World(tmp_path)
    with pytest.raises(BadInput, match=said):
        call(world, "ship", *words)
    assert world.ran() == []
