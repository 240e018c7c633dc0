"""train: which parameters reach the notebook, and which of its models becomes the version."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import BadParameter, NoSuchModel, NotebookContract, NotebookRaised
from pipelines.stages.train import train
from tests.stages.world import World


def test_each_trained_model_gets_the_next_number(tmp_path: Path) -> None:
    """Two trainings make versions 1 and 2, whatever becomes of them later."""
    world = World(tmp_path)
    assert [str(world.train().version.ref) for _ in range(2)] == ["digits@1", "digits@2"]


def test_typed_parameters_go_over_the_project_files_and_these_over_the_notebooks(tmp_path: Path) -> None:
    """The version records every parameter it ran with; only what differs from the notebook is injected."""
    world = World(tmp_path, parameters={"epochs": 4, "rate": 0.5})
    version = world.train(epochs="2", fast="true").version
    assert version.parameters == {"epochs": 2, "rate": 0.5, "fast": True, "name": "cnn"}
    assert world.runner.jobs[0].parameters == {"epochs": 2, "rate": 0.5, "fast": True}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"epoch": "2"}, "Did you mean epochs"),
        ({"epochs": "two"}, "a whole number"),
        ({"epochs": "2.5"}, "a whole number"),
        ({"rate": "nan"}, "a finite number"),
        ({"fast": "perhaps"}, "true or false"),
        ({"x = 1; import os": "1"}, "no parameter"),
    ],
)
def test_a_wrong_parameter_runs_nothing(tmp_path: Path, texts: dict[str, str], said: str) -> None:
    """The message says what the notebook takes; no notebook has run and no version was made."""
    world = World(tmp_path)
    with pytest.raises(BadParameter, match=said):
        world.train(**texts)
    assert world.ran() == []
    assert world.ports.registry.versions("digits") == []


def test_a_parameter_of_the_project_file_that_the_notebook_lacks_is_refused(tmp_path: Path) -> None:
    """A typing error in the project file does not train with the default instead."""
    world = World(tmp_path, parameters={"epoch": 4})
    with pytest.raises(BadParameter, match="epoch"):
        world.train()
    assert world.ports.registry.versions("digits") == []


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    """The message names the models there are."""
    world = World(tmp_path)
    with pytest.raises(NoSuchModel, match="it has digits"):
        train(world.project, "digit", {}, world.ports, world.reporter)


@pytest.mark.parametrize(("models", "said"), [((), "no model"), (("a", "b"), "2 models: 'a', 'b'")])
def test_not_exactly_one_model_is_refused(tmp_path: Path, models: tuple[str, ...], said: str) -> None:
    """Neither none nor two become a version; the message says what to do."""
    world = World(tmp_path, models=models)
    with pytest.raises(NotebookContract, match=said):
        world.train()
    assert world.ports.registry.versions("digits") == []


def test_the_project_file_chooses_among_several_models(tmp_path: Path) -> None:
    """`logged_model` names the one that counts; a name that none has is refused."""
    world = World(tmp_path, models=("scaler", "network"), logged_model="network")
    assert world.train().version.model_uri.endswith("network")
    world.logged_model = "tree"
    with pytest.raises(NotebookContract, match="tree"):
        world.train()


def test_a_notebook_that_fails_is_kept_and_attached_and_makes_no_version(tmp_path: Path) -> None:
    """What it logged before it failed stays with its executed notebook; the error goes on as it is."""
    world = World(tmp_path, failure=NotebookRaised("cell 3 raised ValueError"))
    with pytest.raises(NotebookRaised, match="cell 3"):
        world.train()
    assert world.ports.registry.versions("digits") == []
    assert world.ports.registry.attached("run-1") == ["notebooks/train/1-train.ipynb"]  # type: ignore[attr-defined]


def test_the_next_run_after_a_failure_works(tmp_path: Path) -> None:
    """A failure leaves nothing that stands in the way."""
    world = World(tmp_path, failure=NotebookRaised("cell 3 raised ValueError"))
    with pytest.raises(NotebookRaised):
        world.train()
    world.failure = None
    world.refresh()
    assert str(world.train().version.ref) == "digits@1"


def test_a_version_knows_what_it_was_made_from(tmp_path: Path) -> None:
    """Digests of the notebook and of the lock, and the code's revision, stand with the version."""
    (tmp_path / "requirements.lock").touch()
    made_from = World(tmp_path).train().version.provenance
    assert len(made_from.notebook_digest) == len(made_from.lock_digest) == 64
    assert made_from.data_digest == ""
    assert made_from.revision.system == "git"
