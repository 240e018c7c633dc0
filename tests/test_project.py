"""The project file: what it gives, and how the project is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pipelines
from pipelines.errors import BadProject
from pipelines.place import find_project
from pipelines.policy.metrics import BETTER
from pipelines.project import read_project
from pipelines.values import CaptureSettings, Comparison, Rollout, ServingGates, Threshold
from pipelines.values.drift import DriftSettings
from tests.project_files import KEY, MODEL, made, refusal, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's folder."""
    return made(tmp_path)


def test_everything_a_file_may_say_is_read(root: Path) -> None:
    """Each key arrives in the value of its name, whole numbers as numbers."""
    write(
        root,
        f"""
        [project]
        name = "mine"
        [tool.turnout]
        port = 4000
        {MODEL}
        parameters = {{ epochs = 8, rate = 0.5, name = "x", flag = true }}
        validate_parameters = {{ rows = 10 }}
        inputs = ["data/digits.csv", "data"]
        logged_model = "model"
        cell_timeout_minutes = 5
        [{KEY}.gates]
        accuracy = {{ min = 0.95 }}
        mean_prediction = {{ min = 0, max = 1 }}
        accuracy_vs_champion = {{ margin = 0.01, confidence = 0.9 }}
        cost_vs_champion = {{ margin = 1, better = "lower" }}
        [{KEY}.gates.serving]
        latency_p95_ms = 5
        [{KEY}.rollout]
        steps = [50, 100]
        keep = 2
        on_inconclusive = "abort"
        [{KEY}.capture]
        rate = 1
        leave_out = ["name"]
        hash = ["iban"]
        max_mb = 10
        max_days = 1.5
        [{KEY}.drift]
        window_rows = 200
        min_minutes = 0
        alpha = 0.001
        min_psi = 0.2
        """,
    )
    project = read_project(root)
    model = project.model("digits")
    assert project.port == 4000
    assert (model.train, model.validate) == (root / "notebooks/train.ipynb", root / "notebooks/validate.ipynb")
    assert model.parameters == {"epochs": 8, "rate": 0.5, "name": "x", "flag": True}
    assert model.validate_parameters == {"rows": 10}
    assert model.inputs == (root / "data/digits.csv", root / "data")
    assert (model.logged_model, model.cell_timeout_minutes) == ("model", 5.0)
    assert model.gates.thresholds == (Threshold("accuracy", 0.95), Threshold("mean_prediction", 0.0, 1.0))
    assert model.gates.comparisons == (
        Comparison("accuracy", 0.01, 0.9, "higher"),
        Comparison("cost", 1.0, 0.95, "lower"),
    )
    assert model.gates.serving == ServingGates(latency_p95_ms=5.0)
    assert model.rollout == Rollout(steps=(50, 100), keep=2, on_inconclusive="abort")
    assert model.capture == CaptureSettings(1.0, ("name",), ("iban",), 10.0, 1.5)
    assert model.drift == DriftSettings(window_rows=200, min_minutes=0.0, alpha=0.001, min_psi=0.2)


def test_captures_are_switched_off_by_one_word(root: Path) -> None:
    """And on by the other."""
    write(root, f"{MODEL}\ncapture = false")
    assert read_project(root).model("digits").capture.rate == 0.0
    write(root, f"{MODEL}\ncapture = true")
    assert read_project(root).model("digits").capture == CaptureSettings()


def test_drift_is_switched_off_by_one_word(root: Path) -> None:
    """And on by the other."""
    write(root, f"{MODEL}\ndrift = false")
    assert not read_project(root).model("digits").drift.is_on
    write(root, f"{MODEL}\ndrift = true")
    assert read_project(root).model("digits").drift == DriftSettings()


def test_the_defaults_are_those_of_the_values(root: Path) -> None:
    """A file that says nothing of the rollout gets the same as code that does not."""
    model = read_project(root).model("digits")
    assert model.rollout == Rollout()
    assert model.capture == CaptureSettings()
    assert model.drift == DriftSettings()
    assert model.cell_timeout_minutes == 60.0
    assert read_project(root).port == 3000


def test_a_project_may_have_no_models_yet(root: Path) -> None:
    """An empty table is a beginning, not a mistake."""
    write(root, "[tool.turnout]\n")
    assert read_project(root).models == {}


def test_turnouts_own_project_file_is_right() -> None:
    """The file this project ships with is read."""
    own = Path(pipelines.__file__).parent.parent
    assert "digits" in read_project(find_project(own / "pipelines")).models


def test_the_examples_of_the_guide_are_accepted(root: Path) -> None:
    """Each block of docs/gates.md can be copied into a project file, and the guide names every known metric."""
    guide = (Path(pipelines.__file__).parent.parent / "docs" / "gates.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        write(root, f"{MODEL}\n[{KEY}.gates]\n{block}")
        gates = read_project(root).model("digits").gates
        assert gates.thresholds or gates.comparisons or gates.serving != ServingGates()
    assert [name for name in (*BETTER, "finite_outputs") if f"`{name}`" not in guide] == []


def test_two_names_for_one_notebook_are_one_notebook(root: Path) -> None:
    """A link to the training notebook is the training notebook."""
    (root / "notebooks" / "same.ipynb").symlink_to("train.ipynb")
    assert "is the training notebook too" in refusal(root, MODEL.replace("validate.ipynb", "same.ipynb"))


def test_a_project_that_is_reached_through_a_link_works(root: Path) -> None:
    """The folder itself may be a link."""
    (root.parent / "link").symlink_to(root)
    assert read_project(root.parent / "link").root == root


def test_a_file_without_our_table_says_what_to_add(root: Path) -> None:
    """The message can be pasted into the file."""
    said = refusal(root, "[project]\nname = 'x'\n")
    assert "has no table [tool.turnout]" in said
    assert "[tool.turnout.models.digits]\n    train = " in said


@pytest.mark.parametrize("text", ["tool = 3", "[tool]\nother = 1", ""])
def test_a_strange_file_is_one_without_our_table(root: Path, text: str) -> None:
    """Whatever else stands in the file, it is told what is missing."""
    assert "has no table [tool.turnout]" in refusal(root, text)


@pytest.mark.parametrize("name", ["pipelines", "ipext"])
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py", "{}/deep/er/step.py"])
def test_a_module_that_would_shadow_turnout_is_named(root: Path, name: str, form: str) -> None:
    """A folder or file of the user's with our package's name is refused before a notebook imports the wrong one."""
    path = root / form.format(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(BadProject, match=rf"{root / name}.* has the name of a package of Turnout's.*rename"):
        read_project(root)


def test_a_folder_without_code_shadows_nothing(root: Path) -> None:
    """A folder of CI files called `pipelines` is no Python package and may stay."""
    (root / "pipelines").mkdir()
    (root / "pipelines" / "build.yaml").touch()
    assert read_project(root).models


def test_a_link_to_turnouts_own_packages_is_turnouts_own(root: Path) -> None:
    """Where the packages really lie counts: one who works on Turnout itself is not refused."""
    own = Path(pipelines.__file__).resolve().parent
    (root / "pipelines").symlink_to(own)
    (root / "ipext").symlink_to(own.with_name("ipext"))
    assert read_project(root).models


def test_a_project_is_found_from_below(root: Path) -> None:
    """The search goes up, past a pyproject.toml that is not ours."""
    below = root / "a" / "b"
    below.mkdir(parents=True)
    write(root / "a", "[project]\nname = 'other'\n")
    assert find_project(below) == root


def test_the_nearest_project_counts(root: Path) -> None:
    """A project inside another one is its own."""
    inner = root / "inner"
    inner.mkdir()
    write(inner, "[tool.turnout]\n")
    assert find_project(inner) == inner


def test_outside_of_a_project_it_says_what_to_make(tmp_path: Path) -> None:
    """Without any file, and with one that lacks our table, the message says what to add and where."""
    with pytest.raises(BadProject, match=r"lies in no project.*no pyproject.toml here or above"):
        find_project(tmp_path)
    write(tmp_path, "[project]\nname = 'x'\n")
    with pytest.raises(BadProject, match=r"pyproject.toml has no table \[tool.turnout\]"):
        find_project(tmp_path)


def test_a_broken_file_on_the_way_is_not_passed_over(root: Path) -> None:
    """A typing mistake in the nearest file does not silently select a project further up."""
    inner = root / "inner"
    inner.mkdir()
    write(inner, "[tool.turnout\n")
    with pytest.raises(BadProject, match="not valid TOML"):
        find_project(inner)


def test_inputs_may_be_patterns_and_commands(root: Path) -> None:
    """A pattern stays one until it is looked at; a command is kept as it is written."""
    write(root, f"{MODEL}inputs = ['data/*.csv', {{ command = 'git rev-parse HEAD' }}, 'data']")
    model = read_project(root).models["digits"]
    assert model.inputs == (root / "data/*.csv", root / "data")
    assert model.input_commands == ("git rev-parse HEAD",)


@pytest.mark.parametrize(("line", "read"), [("", None), ("warm_kernels = true", True), ("warm_kernels = false", False)])
def test_warm_kernels_may_be_set(root: Path, line: str, read: bool | None) -> None:
    """Unset, whether they help is found out where the notebook runs."""
    write(root, f"[tool.turnout]\n{line}\n{MODEL}")
    assert read_project(root).warm_kernels is read
